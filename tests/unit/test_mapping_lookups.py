"""Lookups and exchange rates in compiled dictionaries."""

from __future__ import annotations

import pytest

from streams.mapping.lookups import LookupTable
from streams.mapping.row_errors import FieldError, LookupMissing
from streams.model.change import Position
from tests.factories import change, compiled, mapped

LOOKUPS = """
system: test
tables:
  public.stage:
    key: id
    to: []
  public.picking:
    key: id
    to: []
  public.t:
    key: id
    to:
      - entity: opportunity
        fields:
          name: n
          stage: {column: s, lookup: {table: public.stage, column: code, unknown: %s}, values: {W: won}}
          owner: {column: p, lookup: {table: public.picking, column: origin, then: {table: public.stage, column: code, by: name}}}
"""


def test_lookup_follows_the_changes_of_its_table() -> None:
    known = compiled(LOOKUPS % "wait")
    row = {"id": 1, "n": "x", "s": 3, "p": None}
    with pytest.raises(LookupMissing, match="public.stage has no row 3"):
        mapped(known, row)
    assert known.lookup_tables == ("public.stage", "public.picking")
    stage = {"id": 3, "code": "W", "name": "last"}
    assert known.update_lookups(change(known, stage, table="public.stage", position=(0, 5, 5))) is True
    assert known.update_lookups(change(known, stage, table="public.stage", position=(0, 6, 6))) is False
    assert mapped(known, row)[0].fields["stage"] == "won"
    old = stage | {"code": "L"}
    assert known.update_lookups(change(known, old, table="public.stage", position=(0, 4, 4))) is False, (
        "an older change is ignored"
    )
    known.update_lookups(change(known, {"id": 9, "origin": "last"}, table="public.picking"))
    assert mapped(known, row | {"p": 9})[0].fields["owner"] == "W"
    assert (
        known.update_lookups(change(known, None, op="d", key={"id": 3}, table="public.stage", position=(0, 7, 7)))
        is True
    )
    with pytest.raises(LookupMissing):
        mapped(known, row)


def test_lookup_follows_its_rule_for_a_missing_row() -> None:
    row = {"id": 1, "n": "x", "s": 3, "p": None}
    assert mapped(LOOKUPS % '"null"', row)[0].fields["stage"] is None
    with pytest.raises(FieldError, match="has no such row"):
        mapped(LOOKUPS % "reject", row)
    assert mapped(LOOKUPS % "pass", row | {"s": "W"})[0].fields["stage"] == "won"


RATES = """
system: test
rates: {table: public.fx, from: f, to: t, rate: r, date: d}
tables:
  public.fx:
    key: id
    to: []
  public.t:
    key: id
    to:
      - entity: opportunity
        fields:
          amount: {column: v, convert: {to: EUR, currency: cur, on: day}, round: half_even}
          currency: {const: EUR}
"""


def test_amount_is_converted_by_the_rate_of_its_day_and_keeps_it() -> None:
    known = compiled(RATES)
    for i, (day, rate) in enumerate([("2024-01-01", "0.90"), ("2024-02-01", "0.95")]):
        known.update_lookups(change(known, {"id": i, "f": "USD", "t": "EUR", "r": rate, "d": day}, table="public.fx"))
    (record,) = mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240115})
    assert record.fields == {
        "amount": 90_000,
        "currency": "EUR",
        "attributes": {"amount_rate": "0.90", "amount_rate_date": "2024-01-01", "amount_original": "10.00 USD"},
    }
    assert mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240201})[0].fields["amount"] == 95_000
    (same,) = mapped(known, {"id": 1, "v": "10.00", "cur": "EUR", "day": None})
    assert same.fields["amount"] == 100_000 and set(same.fields["attributes"].values()) == {None}
    with pytest.raises(LookupMissing, match="USD to EUR on 2023-12-31"):
        mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20231231})
    with pytest.raises(FieldError, match="without a day"):
        mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": None})
    with pytest.raises(FieldError, match="not above zero"):
        known.update_lookups(
            change(known, {"id": 7, "f": "USD", "t": "EUR", "r": "0", "d": "2024-01-01"}, table="public.fx")
        )
    known.update_lookups(change(known, None, op="d", key={"id": 1}, table="public.fx", position=(0, 2, 2)))
    assert mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240201})[0].fields["amount"] == 90_000


def test_steps_convert_the_result_of_a_lookup() -> None:
    text = """system: test
tables:
  public.address: {key: id, to: []}
  public.t:
    key: id
    to:
      - {entity: customer, part_of: true, fields: {email: {column: a, lookup: {table: public.address, column: email, steps: [email]}, bad: "null"}}}
  public.firm: {key: id, to: [{entity: customer, fields: {name: n}}]}
"""
    known = compiled(text)
    for key, email in (("1", " Info@Ada.EXAMPLE "), ("2", "nobody")):
        known.update_lookups(change(known, {"id": key, "email": email}, table="public.address"))
    assert mapped(known, {"id": "x", "a": "1"})[0].fields == {"email": "info@ada.example"}
    assert mapped(known, {"id": "x", "a": "2"})[0].fields == {"email": None}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_rows_of_a_code_table_swap_their_codes(order: tuple[int, int]) -> None:
    """A row that leaves a code does not take the row along that has it by now (pglogical#438)."""
    table = LookupTable("public.codes", ("code",))
    get = table.getter("label", "null")
    table.put("a", Position(0, 0, 0), "1", ("one",))
    table.put("b", Position(0, 0, 0), "2", ("two",))
    moves = [("a", Position(0, 5, 6), "2", ("one",)), ("b", Position(0, 5, 7), "1", ("two",))]
    for number in order:
        table.put(*moves[number])
    assert (get("1"), get("2")) == ("two", "one")
    table.put("a", Position(0, 8, 9), None, None)
    assert (get("1"), get("2")) == ("two", None)
