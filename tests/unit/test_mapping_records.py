"""Rows through compiled dictionaries: keys, references, conditions, deletes, absent columns."""

from __future__ import annotations

import pytest

from streams.errors import MappingError
from streams.mapping.row_errors import ColumnMissing, FieldError
from streams.model.ids import source_id
from tests.factories import compiled, field, mapped, one_table, problems, value, warnings


def test_row_becomes_a_record_with_the_id_of_its_key() -> None:
    (record,) = mapped(field("customer", "email", "mail"), {"id": 5, "mail": "a@b.example"})
    assert (record.entity, record.key, record.id) == ("customer", "5", source_id("test", "customer", "5"))
    assert record.fields == {"name": "5", "email": "a@b.example"}
    assert (record.deleted, record.parent, record.same_as) == (False, None, None)


def test_null_key_is_rejected() -> None:
    with pytest.raises(FieldError, match="a key that is null"):
        mapped(field("customer", "name", "v"), {"id": None, "v": "x"})


def test_different_composite_keys_have_different_texts() -> None:
    text = "system: test\ntables:\n  public.t:\n    key: [a, b]\n    to: [{entity: product, fields: {sku: a}}]\n"
    keys = {
        mapped(text, {"a": a, "b": b})[0].key for a, b in [("x|y", "z"), ("x", "y|z"), ("x\\", "|z"), ("x\\|", "z")]
    }
    assert len(keys) == 4
    assert mapped(text, {"a": 1, "b": "z"})[0].key == "1|z"


def test_reference_becomes_the_id_of_the_record_that_it_names() -> None:
    assert value("opportunity", "customer_id", "v", 7) == source_id("test", "customer", "7")
    assert value("opportunity", "customer_id", "v", "") is None
    assert value("opportunity", "customer_id", "{column: v, system: other}", "x") == source_id("other", "customer", "x")
    assert value("opportunity", "customer_id", "{columns: [v, w]}", 1, w="a") == source_id("test", "customer", "1|a")
    assert value("opportunity", "customer_id", "{columns: [v, w]}", 1, w=None) is None
    typed = "{column: v, typed: {res.partner: customer}}"
    assert value("opportunity", "customer_id", typed, "res.partner,12") == source_id("test", "customer", "12")
    assert value("opportunity", "customer_id", typed, "res.user,12") is None
    assert value("opportunity", "customer_id", typed, "res.partner,-1") is None
    with pytest.raises(FieldError, match="type,key"):
        value("opportunity", "customer_id", typed, "12")
    with pytest.raises(FieldError, match="usable as a key"):
        value("opportunity", "customer_id", "v", 1.5)


def test_parent_is_the_reference_of_the_model_unless_the_dictionary_names_another() -> None:
    text = one_table("- {entity: contact, fields: {customer_id: c}}")
    assert mapped(text, {"id": 1, "c": 7})[0].parent == source_id("test", "customer", "7")
    text = one_table("- {entity: sales_order, parent: {system: crm, column: o}, fields: {number: n}}")
    assert mapped(text, {"id": 1, "o": "x", "n": "1"})[0].parent == source_id("crm", "opportunity", "x")
    assert mapped(text, {"id": 1, "o": None, "n": "1"})[0].parent is None


def test_steps_convert_the_key_of_a_parent() -> None:
    text = one_table("- {entity: sales_order_line, parent: {column: o, steps: [strip_zeros]}, fields: {line_no: n}}")
    assert mapped(text, {"id": 1, "o": "00042", "n": 1})[0].parent == source_id("test", "sales_order", "42")
    assert mapped(text, {"id": 1, "o": None, "n": 1})[0].parent is None


def test_same_as_is_the_id_of_a_record_in_another_system() -> None:
    text = one_table("- {entity: customer, same_as: {system: crm, column: ref}, fields: {name: n}}")
    assert mapped(text, {"id": 1, "ref": "u", "n": "x"})[0].same_as == source_id("crm", "customer", "u")


def test_conditions_choose_which_records_a_row_makes() -> None:
    text = one_table(
        '- {entity: customer, when: \'kind == "C" || kind == "B"\', fields: {name: n}}\n'
        "- {entity: product, when: 'kind != \"C\"', fields: {sku: n}}"
    )
    assert [m.entity for m in mapped(text, {"id": 1, "kind": "C", "n": "x"})] == ["customer"]
    assert [m.entity for m in mapped(text, {"id": 1, "kind": "B", "n": "x"})] == ["customer", "product"]
    gone = mapped(text, {"id": 1, "kind": "P", "n": "x"}, op="u")
    assert [(m.entity, m.deleted, m.fields) for m in gone] == [("customer", True, {}), ("product", False, {"sku": "x"})]


def test_whole_old_rows_limit_deletes_to_records_that_existed() -> None:
    text = one_table("- {entity: customer, when: 'kind == \"C\"', fields: {name: n}}", table="before: full")
    row, was = {"id": 1, "kind": "P", "n": "x"}, {"id": 1, "kind": "C", "n": "x"}
    assert [m.deleted for m in mapped(text, row, op="u", before=was)] == [True]
    assert mapped(text, row, op="u", before=row) == []
    assert mapped(text, None, op="d", before=row) == []
    assert [m.deleted for m in mapped(text, None, op="d", before=was)] == [True]


def test_soft_deleted_record_keeps_its_fields() -> None:
    text = one_table("- {entity: customer, deleted: 'gone != null', fields: {name: n}}")
    (record,) = mapped(text, {"id": 1, "gone": "2024-01-01T00:00:00Z", "n": "x"}, op="u")
    assert record.deleted and record.fields == {"name": "x"}


def test_delete_needs_only_the_key() -> None:
    text = one_table("- {entity: sales_order_line, parent: o, fields: {line_no: n}}")
    (record,) = mapped(text, None, op="d", before={"id": 1, "o": 0, "n": 0})
    assert (record.key, record.deleted, record.fields, record.parent) == ("1", True, {}, None), (
        "Debezium fills columns that it does not know with 0"
    )
    (record,) = mapped(text, None, op="d", key={"id": 1})
    assert record.deleted
    (record,) = mapped(
        text.replace("key: id", "key: [o, id]\n    before: full"), None, op="d", before={"id": 1, "o": 9, "n": 0}
    )
    assert record.parent == source_id("test", "sales_order", "9"), "the key has the parent, so the row cannot change it"


def test_delete_has_the_parent_if_the_key_contains_it() -> None:
    text = "system: test\ntables:\n  public.t:\n    key: [o, n]\n    to: [{entity: sales_order_line, parent: o, fields: {line_no: n}}]\n"
    assert mapped(text, None, op="d", key={"o": 9, "n": 1})[0].parent == source_id("test", "sales_order", "9")


def test_changed_natural_key_deletes_the_old_record_and_makes_a_new_one() -> None:
    text = one_table("- {entity: product, key: sku, fields: {sku: sku}}", table="before: full")
    was, row = {"id": 1, "sku": "A"}, {"id": 1, "sku": "B"}
    assert [(m.key, m.deleted) for m in mapped(text, row, op="u", before=was)] == [("A", True), ("B", False)]
    assert [(m.key, m.deleted) for m in mapped(text, row, op="u", before=row)] == [("B", False)]
    assert [(m.key, m.deleted) for m in mapped(text, None, op="d", before=row, key={"id": 1})] == [("B", True)]
    with pytest.raises(MappingError, match="does not say what was deleted"):
        mapped(text, None, op="d", key={"id": 1})


def test_deleted_part_of_row_empties_only_its_fields() -> None:
    text = one_table("- {entity: customer, part_of: true, fields: {credit_limit: lim}}")
    text += "  public.firm: {key: id, to: [{entity: customer, fields: {name: n}}]}\n"
    (record,) = mapped(text, None, op="d", key={"id": 1})
    assert not record.deleted and record.fields == {"credit_limit": None}


def test_column_that_was_not_sent_leaves_its_field_out() -> None:
    text = one_table(
        "- {entity: customer, fields: {name: n, notes: t, email: {columns: [n, t]}}, attributes: {a: t, b: n}}"
    )
    (record,) = mapped(text, {"id": 1, "n": "x"}, op="u")
    assert record.fields == {"name": "x", "attributes": {"b": "x"}}
    (record,) = mapped(text, {"id": 1, "n": "x", "t": None}, op="u")
    assert record.fields == {"name": "x", "notes": None, "email": "x", "attributes": {"a": None, "b": "x"}}


def test_missing_structural_column_stops_the_row() -> None:
    text = one_table("- {entity: sales_order_line, parent: o, fields: {line_no: n}}")
    with pytest.raises(ColumnMissing, match="no longer sends o"):
        mapped(text, {"id": 1, "n": 1}, op="u")


def test_truncate_is_not_mapped() -> None:
    known = compiled(field("customer", "name", "v"))
    with pytest.raises(MappingError, match="truncated"):
        known.tables["public.t"].map(None, "t", None)


def test_names_of_tables_and_columns_may_have_any_form() -> None:
    text = (
        'system: test\ntables:\n  "Sales Data.Order-Items":\n    key: ["Order Id", class]\n    to:\n'
        '      - {entity: product, when: \'row["In Use?"] == true\', fields: {sku: "Stück-Nr.", name: Class, description: _hidden}}\n'
    )
    row = {"Order Id": 1, "class": "a", "Stück-Nr.": "S", "Class": "C", "_hidden": "h", "In Use?": True}
    (record,) = mapped(text, row, table="Sales Data.Order-Items")
    assert record.key == "1|a" and record.fields == {"sku": "S", "name": "C", "description": "h"}


def test_two_tables_of_one_entity_need_a_namespace() -> None:
    text = """
system: test
tables:
  public.person:
    key: id
    to: [{entity: customer, namespace: person, fields: {name: n}}]
  public.company:
    key: id
    to: [{entity: customer, fields: {name: n}}]
  public.deal:
    key: id
    to:
      - entity: opportunity
        fields: {customer_id: {column: p, namespace: person}, name: n}
"""
    assert warnings(text) == []
    known = compiled(text)
    assert mapped(known, {"id": 1, "n": "x"}, table="public.person")[0].key == "person:1"
    assert mapped(known, {"id": 1, "n": "x"}, table="public.company")[0].key == "1"
    deal = mapped(known, {"id": 1, "p": 1, "n": "x"}, table="public.deal")[0]
    assert deal.fields["customer_id"] == source_id("test", "customer", "person:1")
    assert mapped(known, None, op="d", key={"id": 1}, table="public.person")[0].key == "person:1"
    assert [
        "makes a customer too" in p.what for p in problems(text.replace("namespace: person, fields", "fields"))
    ] == [True]


def test_reference_to_an_entity_that_no_table_makes_is_a_warning() -> None:
    (warning,) = warnings(field("opportunity", "contact_id", "v"))
    assert "points to a contact, which no table of this dictionary makes" in warning.what


def test_an_unsent_entry_of_attributes_leaves_the_others_alone() -> None:
    """artie-labs/transfer#100: a wide value that did not change hid the change of another column."""
    both = one_table("- {entity: customer, fields: {name: id}, attributes: {vip: vip, terms: terms}}")
    (record,) = mapped(both, {"id": "1", "vip": "B"}, op="u")
    assert record.fields["attributes"] == {"vip": "B"}
    (record,) = mapped(both, {"id": "1", "vip": None, "terms": "long"}, op="u")
    assert record.fields["attributes"] == {"vip": None, "terms": "long"}


def test_a_deleted_row_that_only_added_empties_its_entries() -> None:
    added = one_table(
        "- {entity: customer, fields: {name: id}}\n- {entity: customer, part_of: true, attributes: {vip: vip}}"
    )
    record = mapped(added, None, op="d", key={"id": "1"}, before={"id": "1"})[1]
    assert record.fields == {"attributes": {"vip": None}} and record.adds_fields
