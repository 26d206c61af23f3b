"""What a draft guesses of a soft delete must delete nobody: most rows are live, and the guess is by the column's type."""

from __future__ import annotations

import pytest

from streams.mapping.catalog import LiveColumn, LiveTable
from streams.mapping.draft import draft_text, propose


@pytest.mark.parametrize(
    ("type_", "line"),
    [
        ("boolean", "deleted: deleted  #"),
        ("smallint", "deleted: deleted == 1  #"),
        ("timestamp with time zone", "deleted: deleted != null  #"),
        ("character varying", "# TO DECIDE: deleted: what does deleted hold"),
    ],
)
def test_a_soft_delete_is_guessed_by_the_type_of_its_column(type_: str, line: str) -> None:
    columns = [LiveColumn("id", "bigint", False), LiveColumn("name", "text", True), LiveColumn("deleted", type_, True)]
    table = LiveTable(
        "public.customers", "default", 10, columns={one.name: one for one in columns}, primary_key=("id",)
    )
    catalog = {table.name: table}
    text = draft_text("test", propose(catalog, {table.name: {}}), catalog)
    assert [found.strip() for found in text.splitlines() if found.strip().startswith(line)], text
