"""The inbox without a hub: what a form changes, tokens of what was seen, what a retry says, commands beside the API."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import FormData

from streams.console.operations.inbox_conflicts import ConflictDecision
from streams.console.operations.inbox_conflicts import _command as conflict_command
from streams.console.operations.inbox_dead_letters import ShownDeadLetter
from streams.console.operations.jobs import NewJob
from streams.console.operations.jobs import _command as job_command
from streams.console.pages.inbox_dead_letters import as_text, column_value, edited_of
from streams.console.problems import WrongInput, status_of
from streams.hub.conflicts import LoggedConflict
from streams.inbox.conflict_decisions import seen_token
from streams.inbox.dead_letters import row_of, with_row
from streams.inbox.identity_decisions import pair_id, split_pair
from streams.inbox.progress import DecidedBefore


def shown(row: dict[str, Any], text: str | None = None) -> ShownDeadLetter:
    texts = dict.fromkeys(
        ("name", "entity", "topic", "state", "stage", "error_class", "reason", "advice", "came_as", "seen_at"), ""
    )
    return ShownDeadLetter(
        id=1, group=None, partition=0, offset=0, key=None, tried=1, is_raw=True, is_edited=False, edited_by=None,
        row=row, text=text, original=None, is_masked=False, waiting_behind=0, failing=None, audit=[], **texts,
    )  # fmt: skip


def test_only_columns_with_another_text_are_edited() -> None:
    row = {"id": 7, "name": "A…", "note": None, "text": "two\nlines", "tags": ["a"]}
    form = FormData(
        {f"column.{name}": text for name, text in
         {"id": "7", "name": "A…", "note": "", "text": "two\r\nlines", "tags": '["a","b"]'}.items()}
    )  # fmt: skip
    assert edited_of(form, shown(row)).row == {"tags": ["a", "b"]}


def test_a_form_that_changes_nothing_is_no_edit() -> None:
    assert edited_of(FormData({"column.id": "7"}), shown({"id": 7})).row is None


@pytest.mark.parametrize(
    ("given", "before", "value"),
    [("EUR", "QQQ", "EUR"), ("", "QQQ", ""), ("", 5, None), ("12", 5, 12), ("true", False, True), ("", None, None)],
)
def test_a_column_keeps_its_type(given: str, before: object, value: object) -> None:
    assert column_value("c", given, before) == value


def test_a_text_in_a_number_is_refused_by_its_column() -> None:
    with pytest.raises(WrongInput, match="amount: 'much' is not a int"):
        column_value("amount", "much", 5)


def test_json_must_be_json() -> None:
    with pytest.raises(WrongInput, match="not JSON"):
        edited_of(FormData({"as": "json", "text": "{"}), shown({}, "{}"))
    assert edited_of(FormData({"as": "json", "text": "{ }"}), shown({}, "{}")).text == "{ }"


def test_a_row_is_put_back_into_its_envelope() -> None:
    value = b'{"before":{"id":1},"after":null,"op":"d"}'
    assert row_of(value) == {"id": 1}
    assert with_row(value, {"id": 2}) == b'{"before":{"id":2},"after":null,"op":"d"}'
    assert row_of(b"not json") == {}


def test_values_are_texts_of_a_form() -> None:
    assert [as_text(value) for value in (None, "a", 1.5, {"a": 1})] == ["", "a", "1.5", '{"a":1}']


def test_a_conflict_that_changed_has_another_token() -> None:
    values: Any = {"crm": {"value": 1}, "erp": {"value": 2}}
    conflict = LoggedConflict(
        "id", "customer", "e", "a", "phone", "disagreement", values, "crm", "owner", "open", 0, "", None, None, "g"
    )
    before = seen_token(conflict)
    assert seen_token(conflict) == before
    conflict.outcome, conflict.decided_by = "decided", "ada"
    assert seen_token(conflict) != before


def test_a_pair_has_one_id_in_either_order() -> None:
    assert pair_id("a", "b") == pair_id("b", "a") == "b:a"
    assert split_pair("b:a") == ("b", "a")


def test_who_comes_second_gets_409() -> None:
    assert status_of(DecidedBefore("ada was faster")) == 409


def test_pages_show_the_command_that_does_the_same() -> None:
    decision = ConflictDecision(id="3f2a", system="demo-erp", reason="called")
    assert conflict_command(decision) == "opshub conflicts resolve 3f2a --system 'demo-erp' --reason 'called'"
    job = NewJob(action="retry_write_backs", group="ab12", not_done=True, reason="new key")
    assert job_command(job) == "opshub jobs start retry_write_backs --group 'ab12' --not-done --reason 'new key'"
