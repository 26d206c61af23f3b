"""How `opshub map` prints its results for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from streams.cli.map_findings import FindingView
    from streams.dictionary.try_rows import MappedRow, NoteCount, RecordView

_STYLE = {"error": "bold red", "warning": "yellow"}
_MOST_CHARACTERS = 60


def show_findings(findings: list[FindingView], summary: list[str]) -> None:
    """Every problem as file:line, field, what is wrong and what would be right; then a line for each system."""
    console = Console(soft_wrap=True)
    for finding in sorted(findings, key=lambda f: (f["file"], f["line"])):
        level = f"[{_STYLE[finding['level']]}]{finding['level']}[/]"
        place = f"{escape(finding['file'])}:{finding['line']}"
        console.print(f"{place}: {level} [bold]{escape(finding['field'])}[/]: {escape(finding['what'])}")
        if finding["right"]:
            console.print(f"    {escape(finding['right'])}")
    for line in summary:
        console.print(line)
    counts = Counter(finding["level"] for finding in findings)
    totals = ", ".join(
        f"{counts[level]} {level}{'s' if counts[level] > 1 else ''}" for level in ("error", "warning") if counts[level]
    )
    console.print(totals or "[green]no problems[/]")


def show_origins(field: str, origins: Sequence[Mapping[str, Any]]) -> None:
    """Where a field comes from, system by system."""
    console = Console(soft_wrap=True)
    if not origins:
        console.print(f"no dictionary fills {escape(field)}")
    for origin in origins:
        console.print(f"[bold]{origin['system']}[/]  {escape(origin['table'])}  {escape(origin['source'])}")
        console.print(f"    {escape(origin['file'])}:{origin['line']}", style="dim")
        for step in origin["steps"]:
            console.print(f"    → {escape(step)}")
        for row in origin["now"]:
            given = ", ".join(f"{column}={_short(value)}" for column, value in row["from"].items())
            if "rejected" in row:
                result = f"[red]{escape(row['rejected'])}[/]"
            else:
                result = f"[green]{escape(_short(row.get('to')))}[/]"
            console.print(f"    now  {escape(given)}  →  {result}")
        if origin["not_read"]:
            console.print(f"    rows are not shown: {escape(origin['not_read'])}", style="dim")


def show_mapping_notes(notes: Sequence[Mapping[str, Any]]) -> None:
    """Mapping notes as the hub counts them: a line for each table, field and kind."""
    console = Console(soft_wrap=True, highlight=False)
    for note in notes:
        place = f"{escape(note['system'])} {escape(note['table'])} {escape(_kind(note))}"
        times = f"{note['count']:,} times since {note['since']}, last {note['last']}"
        console.print(f"  {place}: {times}, key {escape(note['example'])}")


def _kind(note: Mapping[str, Any] | NoteCount) -> str:
    return f"{note['field']}: {note['kind']}" + (f" ({note['reason']})" if note["reason"] else "")


def show_mapped_rows(rows: list[MappedRow], notes: list[NoteCount]) -> None:
    """Each row next to the records that it makes, or why it is rejected."""
    console = Console()
    for row in rows:
        records = row.get("records", [])
        title = f"{row['table']} → {', '.join(map(_title, records)) or 'nothing'}"
        table = Table("row", "record", title=escape(title), title_justify="left", expand=True)
        columns = escape("\n".join(f"{column}: {_short(value)}" for column, value in row["row"].items()))
        if "rejected" in row:
            rejected = escape(f"rejected: {row['rejected']}\n{row.get('remedy', '')}")
            table.add_row(columns, f"[red]{rejected}[/]")
        else:
            table.add_row(columns, escape("\n\n".join(map(_record, records))))
        console.print(table)
    for note in notes:
        times = f"{note['count']} times, last {escape(_short(note['last']))}"
        console.print(f"note: {escape(note['table'])} {escape(_kind(note))} ({times})")
    if not rows:
        console.print("no rows")


def _title(record: RecordView) -> str:
    return (
        f"{'adds fields to ' if record['adds_fields'] else ''}{record['entity']} {record['key']}"
        f"{' (deleted)' if record['deleted'] else ''}"
    )


def _record(record: RecordView) -> str:
    lines = [f"{name}: {_short(value)}" for name, value in record["fields"].items()]
    if record["parent"]:
        lines.append(f"(parent {record['parent']})")
    if record["same_as"]:
        lines.append(f"(same_as {record['same_as']})")
    return "\n".join(lines)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}…"
