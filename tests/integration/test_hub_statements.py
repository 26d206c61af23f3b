"""Every statement of hub/sql fits the tables that the migrations make: Postgres itself parses and analyses each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from streams.hub.statements import SQL
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

PARAMETER = re.compile(r"%\((\w+)\)[sbt]|%[sbt]")


def numbered(sql: str) -> str:
    """psycopg's placeholders as $1, $2 …; one that has a name keeps its number."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match[1] or f"{match.start()}"
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return PARAMETER.sub(number, sql).replace("%%", "%")


@pytest.fixture(scope="module")
def hub(stack: NativeStack) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    dsn = hub_of_its_own(stack, "statements")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("name", sorted(SQL))
def test_statement_fits_the_tables(hub: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    for number, statement in enumerate(filter(None, map(str.strip, re.split(r";\s*\n", SQL[name].decode())))):
        text = numbered(statement.rstrip(";"))
        if not re.match(r"(--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text):
            continue
        try:
            hub.execute(f"PREPARE s{number} AS {text}".encode())
        except (errors.IndeterminateDatatype, errors.AmbiguousParameter):
            continue  # a parameter whose type only the client knows; names were resolved before this is found
        hub.execute(f"DEALLOCATE s{number}".encode())
