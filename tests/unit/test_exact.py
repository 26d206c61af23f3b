"""Nothing is cut, rounded or scaled in silence: amounts in minor units, arithmetic, JSON numbers, times finer than they are kept."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams.mapping.conversions.amounts import currency_digits
from streams.mapping.conversions.registry import make_step
from streams.mapping.row_errors import BadValue, FieldError
from streams.mapping.values.times import instant
from tests.factories import compiled, field, mapped, one_table, value
from tests.unit.test_expression import run

LONG = "1.0000000000000000000000000000049"
LIST_ONE = Path(__file__).parent / "samples/iso-4217.csv"
"""ISO 4217, List One, published 2026-01-01: code, number, decimals of the minor unit (- for none)."""


def test_minor_units_are_those_of_iso_4217_for_every_currency() -> None:
    import pycountry

    listed = {row["code"]: row["minor_unit"] for row in csv.DictReader(LIST_ONE.read_text("utf-8").splitlines())}
    assert set(listed) == {one.alpha_3 for one in pycountry.currencies}, "a new edition: look at amounts._EXPONENTS"
    for code, minor in listed.items():
        if minor == "-":
            with pytest.raises(ValueError, match="no minor unit"):
                currency_digits(code)
        else:
            assert currency_digits(code) == int(minor), code


@pytest.mark.parametrize(("currency", "made"), [("RSD", "12.50"), ("LBP", "12.50"), ("IQD", "1.250"), ("UGX", "1250")])
def test_money_in_minor_units_of_a_currency_that_people_write_without_them(currency: str, made: str) -> None:
    assert convert({"minor_units": {"currency": currency}}, 1250) == Decimal(made)


def test_gold_has_no_minor_unit() -> None:
    with pytest.raises(ValueError, match="XAU has no minor unit"):
        convert({"minor_units": {"currency": "XAU"}}, 1)
    rule = "{column: v, steps: [{minor_units: {currency_column: c}}]}"
    with pytest.raises(FieldError, match="in minor units, and XAU has no minor unit"):
        value("customer", "credit_limit", rule, 1250, c="XAU")


def convert(step: Any, given: Any) -> Any:
    return make_step(step, country=None, timezone="UTC", note=lambda reason, shown: None).convert(given)


def test_a_change_of_sign_keeps_every_digit() -> None:
    assert str(convert("negate", LONG)) == f"-{LONG}"
    assert str(convert("absolute", f"-{LONG}")) == LONG
    assert str(run("-decimal(a)", a=LONG)) == f"-{LONG}"
    assert str(run("-a", a=0.0)) == "0.0"


def test_arithmetic_keeps_every_digit_or_rejects() -> None:
    assert run("decimal(a) + decimal(b)", a="12345678901234", b="1e-16") == Decimal("12345678901234.0000000000000001")
    assert run("decimal(a) - decimal(b)", a="12345678901234", b="1e-16") == Decimal("12345678901233.9999999999999999")
    product = run("decimal(a) * decimal(b)", a="12345678901234567890.12", b="98765432109876.54321")
    assert str(product) == "1219326311370217952249315652964448.7120852"
    for text in ("decimal(a) * decimal(a)", "decimal(a) + 1", "1 - decimal(a)"):
        with pytest.raises(BadValue, match="60 digits"):
            run(text, a="9" * 40 + "." + "9" * 40)


def test_floats_are_what_they_show() -> None:
    assert run("a + b", a=0.1, b=0.2) == Decimal("0.3")
    assert run("a + b", a=2**53 + 1, b=0.5) == Decimal("9007199254740993.5")
    assert run("decimal(a) == b && decimal(a) >= b && !(decimal(a) < b)", a="0.1", b=0.1) is True
    with pytest.raises(BadValue, match="more digits than a double"):
        run("double(a)", a="0.1000000000000000055")


def test_a_quotient_is_rounded_where_no_field_looks() -> None:
    assert run("decimal(a) / decimal(b)", a=LONG * 1, b="1") == Decimal(LONG)
    assert len(str(run("decimal(a) / decimal(b)", a="1", b="3"))) == 62
    with pytest.raises(FieldError, match="more than 4 decimals"):
        mapped(field("customer", "credit_limit", "{expr: 'decimal(v) / 3'}"), {"id": "k", "v": "10"})


def test_an_int_is_whole() -> None:
    assert run("int(a)", a=30.0) == 30
    for given in (30.9, "30.9", Decimal("30.9")):
        with pytest.raises(BadValue, match="not a whole number"):
            run("int(a)", a=given)
    with pytest.raises(BadValue, match="not a number"):
        run("decimal(a)", a="1_000")


def test_a_long_product_reaches_an_attribute_whole() -> None:
    text = one_table("- entity: customer\n  fields: {name: id}\n  attributes: {big: {expr: 'decimal(a) * decimal(b)'}}")
    made = mapped(text, {"id": "1", "a": "12345678901234567890.12", "b": "98765432109876.54321"})
    assert made[0].fields["attributes"] == {"big": "1219326311370217952249315652964448.7120852"}


@pytest.mark.parametrize(
    ("given", "made"),
    [('{"a": 12345678901234.1234}', 123456789012341234), ('{"a": 12.5}', 125000), ('{"a": 1e2}', 1000000)],
)
def test_a_number_in_json_keeps_every_digit(given: str, made: int) -> None:
    assert value("customer", "credit_limit", "{column: v, path: a}", given) == made


def test_a_number_in_json_that_does_not_fit_is_rejected_and_harms_no_other() -> None:
    rule = "{column: v, path: a}"
    for given in ('{"a": 0.1000000000000000055}', '{"a": 1e999999999}', '{"a": 1.' + "1" * 2000 + "}"):
        with pytest.raises(FieldError):
            value("customer", "credit_limit", rule, given)
    other = '{"a": 1, "b": 1e999999999999999999999, "c": 1.' + "1" * 2000 + "}"
    assert value("customer", "credit_limit", rule, other) == 10000
    assert value("customer", "notes", rule, '{"a": 12345678901234567890.123456789}') == "12345678901234567890.123456789"
    with pytest.raises(FieldError, match="too large"):
        value("customer", "notes", rule, '{"a": 1e999999}')


RATES = """\
system: test
rates: {table: public.fx, from: f, to: t, rate: r, date: d}
tables:
  public.fx: {key: id, to: []}
  public.t:
    key: id
    to:
      - entity: customer
        fields: {name: id, credit_limit: {column: v, convert: {to: EUR, currency: c, on: d}, round: half_even}}
"""


def test_an_amount_is_exchanged_exactly_before_it_is_rounded() -> None:
    from tests.factories import change

    known = compiled(RATES)
    rate = {"id": 1, "f": "XYZ", "t": "EUR", "r": "0.99999999999999999999999999999", "d": 20000}
    known.update_lookups(change(known, rate, table="public.fx"))
    amount = "12345678901234.00005"
    # To 28 digits the product would be 12345678901234.00005, and half of the last digit would go to the even one, 0.0000.
    made = mapped(known, {"id": "1", "v": amount, "c": "XYZ", "d": 20001})[0].fields["credit_limit"]
    assert made == 123456789012340000
    rate |= {"r": "1.00000000000000000000000000001"}
    known.update_lookups(change(known, rate, table="public.fx", position=(0, 2, 2)))
    made = mapped(known, {"id": "1", "v": amount, "c": "XYZ", "d": 20001})[0].fields["credit_limit"]
    assert made == 123456789012340001


@pytest.mark.parametrize(
    "text",
    [
        "20240501T100000.1234567Z", "2024-05-01T10:00:00,1234567", "2024-05-01T10:00:00,1234567Z", "2024-05-01T10:00:00.1234567+02:00",
        "2024-W18-3T10:00:00.1234567Z", "2024W18T10:00:00.1234567Z", "2024-05-01T100000.1234567Z", "20240501T10:00:00.1234567Z",
    ],
)  # fmt: skip
def test_what_is_finer_than_a_microsecond_is_rejected_in_every_form_of_iso_8601(text: str) -> None:
    with pytest.raises(BadValue, match="finer than a microsecond"):
        instant()(text)
    assert instant()(text.replace("1234567", "123456")) % 1_000_000 == 123456
    assert instant()(text.replace("1234567", "1234560")) % 1_000_000 == 123456


@pytest.mark.parametrize("text", ["1,1e4", "1,e04", "1,234.5e3", "1,٣٣٣", "1, 23", "+-1,234", "1,234.5,0"])
def test_groups_are_of_digits(text: str) -> None:
    with pytest.raises(BadValue):
        convert({"decimal": {"group": ","}}, text)
