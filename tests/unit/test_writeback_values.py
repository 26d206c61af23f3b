"""Values for a target: the forms that it wants, and back to canonical form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streams.writeback.values import ValueSpec, inward, kind_of, outward, plain, value_of


def test_values_take_the_form_that_the_target_wants() -> None:
    document = {
        "record": {
            "day": 20_416,
            "amount": 12_3456,
            "qty": 2_500000,
            "rate": 19_0000,
            "at": 1_763_999_999_000_000,
            "owner": "Grace Hopper",
        }
    }

    def form(path: str, **more: Any) -> Any:
        return value_of(ValueSpec(**{"from": f"record.{path}", **more}), document)

    assert form("day", **{"as": "yyyymmdd"}) == 20251124
    assert form("amount", **{"as": "money"}) == Decimal("12.3456")
    assert form("qty", **{"as": "float"}) == 2.5
    assert form("rate", **{"as": "rate"}, values={"19": "V1"}) == "V1"
    assert form("at", **{"as": "local_time"}, timezone="Europe/Berlin").isoformat() == "2025-11-24T16:59:59"
    assert form("owner", **{"as": "initials"}) == "GH"
    assert form("missing", default="x") == "x"


@pytest.mark.parametrize(("key", "number"), [("42", 42), ("0042", 42), (7, 7), ("42.0", 42)])
def test_key_becomes_a_whole_number(key: object, number: int) -> None:
    assert value_of(ValueSpec(**{"from": "keys.erp", "as": "int"}), {"keys": {"erp": key}}) == number  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["4.5", "A-1", "nan", "1e400000000"])
def test_key_that_is_no_whole_number_is_an_error(key: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        value_of(ValueSpec(**{"from": "keys.erp", "as": "int"}), {"keys": {"erp": key}})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entity", "field", "canonical", "shown", "also"),
    [
        ("product", "list_price", 12_3500, "12.35", [12.35, "12.3500", Decimal("12.35")]),
        ("product", "available", -1, "-0.000001", ["-0.0000010"]),
        ("sales_order", "promised_date", 20_416, "2025-11-24", ["2025-11-24T00:00:00"]),
        ("product", "created_at", 1_763_999_999_000_000, "2025-11-24T15:59:59+00:00", ["2025-11-24T16:59:59+01:00", "2025-11-24T15:59:59Z"]),
        ("product", "active", True, True, []),
        ("product", "name", "7", "7", []),
    ],
)  # fmt: skip
def test_canonical_values_go_out_as_people_write_them_and_come_back(
    entity: str, field: str, canonical: Any, shown: Any, also: list[Any]
) -> None:
    kind = kind_of(entity, field)
    out = outward(kind, canonical)
    assert (format(out.normalize(), "f") if isinstance(out, Decimal) else plain(out)) == shown
    assert [inward(kind, one) for one in [out, shown, *also]] == [canonical] * (2 + len(also))


def test_value_without_canonical_form_stays_as_it_is() -> None:
    assert inward(kind_of("product", "list_price"), "12.34567") == "12.34567"
    assert inward(kind_of("product", "list_price"), "on request") == "on request"
    assert inward(kind_of("sales_order", "promised_date"), "soon") == "soon"
