"""How `opshub map` shows its findings to people."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_STYLE = {"error": "bold red", "warning": "yellow"}


def show_findings(found: list[dict[str, Any]], summary: list[str]) -> None:
    """Every fault as file:line, field, what is wrong and what would be right; then a line for each system."""
    console = Console(soft_wrap=True)
    for one in sorted(found, key=lambda f: (f["file"], f["line"])):
        level = f"[{_STYLE[one['level']]}]{one['level']}[/]"
        where = f"{escape(one['file'])}:{one['line']}"
        console.print(f"{where}: {level} [bold]{escape(one['field'])}[/]: {escape(one['what'])}")
        if one["right"]:
            console.print(f"    {escape(one['right'])}")
    for line in summary:
        console.print(line)
    counts = Counter(one["level"] for one in found)
    told = ", ".join(
        f"{counts[level]} {level}{'s' if counts[level] > 1 else ''}" for level in ("error", "warning") if counts[level]
    )
    console.print(told or "[green]all is right[/]")


def show_origins(field: str, told: list[dict[str, Any]]) -> None:
    """Where a field comes from, system by system."""
    console = Console(soft_wrap=True)
    if not told:
        console.print(f"no dictionary fills {escape(field)}")
    for origin in told:
        console.print(f"[bold]{origin['system']}[/]  {escape(origin['table'])}  {escape(origin['source'])}")
        console.print(f"    {escape(origin['file'])}:{origin['line']}", style="dim")
        for step in origin["steps"]:
            console.print(f"    → {escape(step)}")
        for row in origin["now"]:
            given = ", ".join(f"{k}={_short(v)}" for k, v in row["from"].items())
            made = (
                f"[red]{escape(row['rejected'])}[/]"
                if "rejected" in row
                else f"[green]{escape(_short(row.get('to')))}[/]"
            )
            console.print(f"    now  {escape(given)}  →  {made}")
        if origin["not_read"]:
            console.print(f"    rows are not shown: {escape(origin['not_read'])}", style="dim")


def show_noted(notes: list[dict[str, Any]]) -> None:
    """What workers mended or forgave, as the hub counts it: a line each."""
    console = Console(soft_wrap=True, highlight=False)
    for note in notes:
        console.print(
            f"  {escape(note['system'])} {escape(note['table'])} {escape(_kind(note))}: {note['count']:,} times since {note['since']},"
            f" last {note['last']}, key {escape(note['example'])}"
        )


def _kind(note: dict[str, Any]) -> str:
    return f"{note['field']}: {note['kind']}" + (f" ({note['reason']})" if note["reason"] else "")


def show_tried(tried: list[dict[str, Any]], notes: list[dict[str, Any]]) -> None:
    """Each row beside what it becomes."""
    console = Console()
    for one in tried:
        made = one.get("records", [])
        title = f"{one['table']} → " + (
            ", ".join(
                f"{'part of ' if r['part'] else ''}{r['entity']} {r['key']}{' (deleted)' if r['deleted'] else ''}"
                for r in made
            )
            or "nothing"
        )
        table = Table("row", "record", title=escape(title), title_justify="left", expand=True)
        left = "\n".join(f"{k}: {_short(v)}" for k, v in one["row"].items())
        right = (
            f"rejected: {one['rejected']}\n{one['remedy']}" if "rejected" in one else "\n\n".join(map(_record, made))
        )
        table.add_row(escape(left), f"[red]{escape(right)}[/]" if "rejected" in one else escape(right))
        console.print(table)
    for note in notes:
        console.print(
            f"note: {escape(note['table'])} {escape(_kind(note))} ({note['count']} times, last {escape(_short(note['last']))})"
        )
    if not tried:
        console.print("no rows")


def _record(record: dict[str, Any]) -> str:
    lines = [f"{k}: {_short(v)}" for k, v in record["fields"].items()]
    lines += [f"({name} {record[name]})" for name in ("parent", "same_as") if record[name]]
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
