"""What a lookup takes where several rows are found, values with names, and keys that are made from a value."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from streams.mapping.compiled import CompiledDictionary
from streams.mapping.row_errors import FieldError
from streams.model.ids import source_id
from tests.factories import change, compiled, mapped, one_table, problems

STOCK = """
system: test
tables:
  public.company: {key: id, to: []}
  public.move: {key: id, before: full, to: []}
  public.address: {key: id, before: full, to: []}
  public.t:
    key: id
    to:
      - entity: inventory_level
        with:
          came: {column: id, lookup: {table: public.move, by: product, where: {target: {const: 7}, done: {const: true}}, take: sum, column: qty}}
          left: {column: id, lookup: {table: public.move, by: product, where: {origin: {const: 7}, done: {const: true}}, take: sum, column: qty}}
        fields:
          product_id: id
          warehouse: {const: main}
          on_hand: {expr: came - left}
        attributes:
          moves: {column: id, lookup: {table: public.move, by: product, take: count, column: id}}
          latest: {column: id, lookup: {table: public.move, by: product, take: last, order: day, column: id}}
          least: {column: id, lookup: {table: public.move, by: product, take: min, column: qty}}
      - entity: customer
        with:
          company: {column: id, lookup: {table: public.company, by: party, column: id, unknown: "null"}}
        when: company == null
        fields:
          name: n
          billing_city: {column: id, lookup: {table: public.address, by: party, where: {active: {const: true}}, take: first, order: [sequence, id], column: city}}
"""
ROW = {"id": 1, "n": "x"}


def learn(known: CompiledDictionary, table: str, at: int, row: dict[str, object] | None, key: int = 0) -> bool:
    op = "d" if row is None else "u"
    return known.update_lookups(
        change(
            known, row, op=op, table=f"public.{table}", key={"id": key} if row is None else None, position=(0, at, 0)
        )  # type: ignore[arg-type]
    )


def move(
    id: int, qty: object, *, origin: int = 1, target: int = 7, done: bool = True, product: int = 1, day: int = 0
) -> dict[str, object]:
    return {"id": id, "product": product, "origin": origin, "target": target, "done": done, "qty": qty, "day": day}


def test_sum_follows_inserts_updates_deletes_and_rows_that_move_to_another_group() -> None:
    known = compiled(STOCK)

    def on_hand() -> object:
        return mapped(known, ROW)[0].fields["on_hand"]

    assert on_hand() == 0
    assert learn(known, "move", 1, move(1, "10.5")) and learn(known, "move", 2, move(2, 2.25))
    assert learn(known, "move", 3, move(3, "1", origin=7, target=1)) and learn(
        known, "move", 4, move(4, "9", done=False)
    )
    assert on_hand() == 11_750_000
    assert not learn(known, "move", 0, move(1, "99")), "an older change is ignored"
    assert not learn(known, "move", 4, move(4, "9", done=False)), "a repeat changes nothing"
    learn(known, "move", 5, move(1, "10.5", product=2))
    assert on_hand() == 1_250_000
    learn(known, "move", 6, None, key=3)
    assert on_hand() == 2_250_000
    assert not learn(known, "move", 5, move(3, "1", origin=7, target=1)), "what is deleted does not come back"


def test_first_and_last_follow_the_order_and_take_null_last() -> None:
    known = compiled(STOCK)

    def city() -> object:
        return mapped(known, ROW)[1].fields["billing_city"]

    assert city() is None
    for id, sequence, active, name in (
        (11, None, True, "none"),
        (10, 2, True, "ten"),
        (9, 2, True, "nine"),
        (8, 1, False, "old"),
    ):
        learn(known, "address", id, {"id": id, "party": 1, "sequence": sequence, "active": active, "city": name})
    assert city() == "nine", "of equals the lower key, as numbers"
    learn(known, "address", 20, {"id": 8, "party": 1, "sequence": 1, "active": True, "city": "old"})
    assert city() == "old"
    for id in (1, 2, 3):
        learn(known, "move", 30 + id, move(id, 12 - id, day=id % 3))
    attributes = mapped(known, ROW)[0].fields["attributes"]
    assert attributes == {"moves": "3", "latest": "2", "least": "9"}


def test_condition_on_a_value_of_another_table_leaves_our_own_company_out() -> None:
    known = compiled(STOCK)
    assert [record.entity for record in mapped(known, ROW)] == ["inventory_level", "customer"]
    learn(known, "company", 1, {"id": 5, "party": 1})
    assert [record.entity for record in mapped(known, ROW)] == ["inventory_level"]


def test_sum_of_what_is_no_number_rejects_the_row_with_its_field() -> None:
    known = compiled(STOCK)
    learn(known, "move", 1, move(1, "many"))
    with pytest.raises(FieldError, match="not a number"):
        mapped(known, ROW)


def test_sum_is_exact() -> None:
    known = compiled(STOCK)
    for id, qty in enumerate(("0.1", "0.2", 1e-6, "123456789.000001"), 1):
        learn(known, "move", id, move(id, qty))
    assert mapped(known, ROW)[0].fields["on_hand"] == int(Decimal("123456789.300002") * 10**6)


TYPED_KEY = one_table(
    "- {entity: shipment, fields: {number: n}}\n"
    "- {entity: shipment, part_of: true, key: {column: doc, typed: {stock.shipment: shipment}}, fields: {tracking_number: m}}",
    table="before: full",
)


def test_key_of_an_additional_row_may_be_a_reference_with_its_type() -> None:
    known = compiled(TYPED_KEY)
    row = {"id": 1, "n": "x", "m": "move", "doc": "stock.shipment,5"}
    added = mapped(known, row)[1]
    assert (added.key, added.id, added.adds_fields) == ("5", source_id("test", "shipment", "5"), True)
    assert len(mapped(known, row | {"doc": "stock.return,5"})) == len(mapped(known, row | {"doc": None})) == 1


def test_additional_row_that_names_another_record_empties_the_first() -> None:
    known = compiled(TYPED_KEY)
    old = {"id": 1, "n": "x", "m": "move", "doc": "stock.shipment,5"}
    made = known.tables["public.t"].map_change(change(known, old | {"doc": "stock.shipment,6"}, op="u", before=old))
    assert [(m.key, m.fields) for m in made if m.adds_fields] == [
        ("5", {"tracking_number": None}),
        ("6", {"tracking_number": "move"}),
    ]
    made = known.tables["public.t"].map_change(change(known, old | {"doc": None}, op="u", before=old))
    assert [(m.key, m.fields) for m in made if m.adds_fields] == [("5", {"tracking_number": None})]
    made = known.tables["public.t"].map_change(change(known, None, op="d", before=old, key={"id": 1}))
    assert ("5", {"tracking_number": None}) in [(m.key, m.fields) for m in made]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("take: first, order: [sequence, id]", "take: first", "need `order`"),
        ("take: sum, column: qty", 'take: sum, unknown: "null", column: qty', "no row is missing"),
        ("by: product, where: {target: {const: 7}", "where: {target: {const: 7}", "`take` needs `by`"),
        ("company == null", "compani == null", ""),
        ("with:\n          came", "with:\n          Came", "Came"),
    ],
)
def test_mistakes_are_named(old: str, new: str, what: str) -> None:
    text = STOCK.replace(old, new, 1)
    assert text != STOCK
    if what:
        assert any(what in problem.what + problem.right for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("key", "table", "what"),
    [
        ("{column: doc, typed: {a: shipment}}", "", "a delete does not contain"),
        ("{column: doc, lookup: {table: public.t, column: n}}", "before: full", "may not be looked up"),
        ("{column: doc, typed: {a: invoice}}", "before: full", "points to invoice"),
    ],
)
def test_wrong_keys_are_named(key: str, table: str, what: str) -> None:
    text = one_table(
        f"- {{entity: shipment, fields: {{number: n}}}}\n- {{entity: shipment, part_of: true, key: {key}, fields: {{carrier: m}}}}",
        table=table,
    )
    assert any(what in problem.what for problem in problems(text)), problems(text)


PAGE = Path(__file__).parents[2] / "docs/guides/values-from-other-tables.md"


def test_samples_of_the_guide_are_dictionaries() -> None:
    """Each sample of the page, in a dictionary with the tables that it looks into."""
    samples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(samples) >= 7
    sides = {name: "id" for name in re.findall(r"table: (public\.\w+)", PAGE.read_text())}
    for sample in samples:
        if sample.startswith("  public."):
            table = sample
        elif sample.startswith("      - entity"):
            table = f"  public.t:\n    key: id\n    before: full\n    to:\n{sample}"
        else:
            entity = "product" if "unit:" in sample else "customer"
            needed = "sku: id" if entity == "product" else "name: id"
            table = f"  public.t:\n    key: id\n    to:\n      - entity: {entity}\n        fields:\n          {needed}\n{sample}"
        if "fields:" not in table:
            table += "        fields: {name: id}\n"
        entities = {"shipment": "number: n", "sales_order": "number: n", "sales_order_line": "", "party": ""}
        makers = "".join(
            f"  public.made_{entity}: {{key: id, to: [{{entity: {entity}, fields: {{{fields}}}}}]}}\n"
            for entity, fields in entities.items()
            if fields and f"entity: {entity}\n        part_of" in table
        )
        text = "system: tryton\ntables:\n" + "".join(
            f"  {name}: {{key: {key}, before: full, to: []}}\n"
            for name, key in sides.items()
            if f"  {name}:" not in table
        )
        assert problems(text + makers + table) == [], sample


def test_row_that_its_system_merged_into_another_says_so() -> None:
    text = one_table(
        "- {entity: customer, deleted: won != null, same_as: {system: test, column: won}, fields: {name: n}}"
    )
    (record,) = mapped(text, {"id": 1, "n": "x", "won": 7})
    assert (record.deleted, record.same_as, record.merges) == (True, source_id("test", "customer", "7"), True)
    (alone,) = mapped(text, {"id": 1, "n": "x", "won": None})
    assert (alone.deleted, alone.same_as) == (False, None)
    (problem,) = problems(text.replace("deleted: won != null, ", ""))
    assert "stays a live record beside it" in problem.what
