"""A re-snapshot takes out what a row no longer makes (sling-cli#333), and only that."""

from __future__ import annotations

from typing import Any

from streams.model.change import Mapped
from streams.model.state import EntityState
from streams.resolve.contribution import merge
from streams.verify.gone_records import Gone, deletes
from tests.factories import changed, compiled, mapped, one_table

CLIENTS = "- {entity: customer, when: 'client in [1, 2, 3]', fields: {name: name}}"


def read(text: str, position: tuple[int, int, int], **row: Any) -> list[Mapped]:
    return mapped(compiled(text), {"id": 1, "name": "Ada", **row}, op="r", position=position)


def test_a_row_that_is_read_again_and_is_not_meant_leaves() -> None:
    (record,) = read(one_table(CLIENTS), (0, 7, 8), client=0)
    assert (record.key, record.deleted) == ("1", True)
    (record,) = read(one_table(CLIENTS), (0, 7, 8), client=2)
    assert not record.deleted


def test_the_first_snapshot_deletes_nothing() -> None:
    assert read(one_table(CLIENTS), (0, 0, 0), client=0) == []
    assert read(one_table(CLIENTS), (1, 0, 0), client=0) == []


def test_a_row_that_never_had_a_key_does_not_take_it_out() -> None:
    """The key is unique among the rows that are meant; others may have it too."""
    text = one_table(CLIENTS.replace("when", "key: code, when"), table="before: full")
    dictionary = compiled(text)
    entity = EntityState("x", "customer", contributions={}, record={})

    def send(row_id: int, client: int, at: int, op: Any) -> None:
        row = {"id": row_id, "code": "K", "client": client, "name": f"row {row_id}"}
        key = b'{"id":%d}' % row_id
        for record in mapped(dictionary, row, op=op, position=(0, at, at), message_key=key):
            change = changed("test", "customer", record.key, at, op=op, deleted=record.deleted, **record.fields)
            merge(entity, _with_row(change, record.row))

    send(1, 1, 5, "c")
    send(2, 0, 6, "r")
    (contribution,) = entity.contributions.values()
    assert not contribution.deleted
    send(1, 0, 7, "r")
    (contribution,) = entity.contributions.values()
    assert contribution.deleted


def _with_row(change: Any, row: str | None) -> Any:
    import msgspec

    return msgspec.structs.replace(change, row=row)


def test_a_delete_counts_against_the_change_that_was_seen() -> None:
    entity = EntityState("x", "customer", contributions={}, record={})
    merge(entity, changed("crm", "customer", "1", 5, name="Ada"))
    (source,) = entity.contributions
    gone = Gone("customer", "1", source, "x", (0, 5, 0), 5)
    ((topic, aggregate, delete),) = deletes([gone], "crm")
    assert (topic, aggregate, delete.op) == ("changes.customer", "x", "r")
    assert merge(entity, delete) == "newer"
    assert entity.contributions[source].deleted
    merge(entity, changed("crm", "customer", "1", 6, name="Ada again"))
    assert merge(entity, delete) == "older"
    assert not entity.contributions[source].deleted
