"""The pages of the dictionary: browse and search it, try it on the last rows, see what an edit would change."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, do, read_form, wanted_of
from streams.console.operations.dictionary import (
    WantedCompare,
    WantedDictionary,
    WantedEdit,
    WantedMapping,
    WantedRules,
    WantedTry,
    check_edited,
    compare_edited,
    list_mapping,
    list_rule_texts,
    show_dictionary,
    try_table,
)
from streams.console.problems import NotAllowed
from streams.console.render import page
from streams.errors import OpshubError

ROWS_COMPARED = 50


def dictionary(request: Request) -> Response:
    """Columns and fields, both directions: by table, or with an entity by field."""
    wanted = wanted_of(request, WantedMapping)
    mapping = ask(request, list_mapping, wanted)
    by = request.query_params.get("by", "table")
    groups: dict[tuple[str, str], list[object]] = {}
    for rule in mapping.fields:
        key = (rule.entity, rule.field) if by == "field" else (rule.system, rule.table)
        groups.setdefault(key, []).append(rule)
    ordered = sorted(groups.items()) if by == "field" else list(groups.items())
    return page(
        request,
        "dictionary.html",
        calls=[(list_mapping, wanted)],
        mapping=mapping,
        wanted=wanted,
        groups=ordered,
        by=by,
    )


def one_system(request: Request) -> Response:
    """The text of one dictionary with a place to edit it, and the last rows of a table."""
    wanted = wanted_of(request, WantedDictionary)
    text = ask(request, show_dictionary, wanted)
    return page(
        request,
        "dictionary_edit.html",
        calls=[(show_dictionary, wanted)],
        **_edit_page(text.text, text.tables, wanted.system),
    )


def _edit_page(text: str, tables: list[str], system: str) -> dict[str, Any]:
    return {
        "system": system, "text": text, "tables": tables, "checked": None, "differences": None, "error": None,
        "rows_compared": ROWS_COMPARED,
    }  # fmt: skip


def rows(request: Request) -> Response:
    """The last rows of a table before and after."""
    wanted = wanted_of(request, WantedTry)
    tried = ask(request, try_table, wanted)
    text = ask(request, show_dictionary, WantedDictionary(wanted.system))
    return page(
        request, "dictionary_try.html", calls=[(try_table, wanted)], tried=tried, wanted=wanted, tables=text.tables
    )


async def edit(request: Request) -> Response:
    """Check an edited dictionary, compare it, or send it back as a file. Nothing is written."""
    wanted = await read_form(request, WantedEdit)
    form = await request.form()
    text = wanted.text.replace("\r\n", "\n")
    system = wanted.system
    if form.get("act") == "download":
        await do(request, show_dictionary, WantedDictionary(system))
        headers = {"content-disposition": f'attachment; filename="{system}.dictionary.yaml"'}
        return Response(text, media_type="application/yaml", headers=headers)
    shown = await do(request, show_dictionary, WantedDictionary(system))
    made = _edit_page(text, shown.tables, system)
    wanted_edit = WantedEdit(system=system, text=text)
    try:
        checked = await do(request, check_edited, wanted_edit)
        made["checked"] = checked
        if form.get("act") == "compare" and not any(mistake.level == "error" for mistake in checked.mistakes):
            compare = WantedCompare(system=system, text=text, limit=ROWS_COMPARED)
            made["differences"] = await do(request, compare_edited, compare)
    except NotAllowed:
        raise
    except OpshubError as error:
        made["error"] = error
    short = WantedEdit(system=system, text="…")
    return page(request, "dictionary_edit.html", calls=[(check_edited, short)], **made)


def rules(request: Request) -> Response:
    """Write-back rules as their files have them."""
    wanted = wanted_of(request, WantedRules)
    listed = ask(request, list_rule_texts, wanted)
    return page(request, "dictionary_rules.html", calls=[(list_rule_texts, wanted)], rules=listed.rules, wanted=wanted)


ROUTES = [
    Route("/dictionary", dictionary),
    Route("/dictionary/rules", rules),
    Route("/dictionary/{system}", one_system),
    Route("/dictionary/{system}", edit, methods=["POST"]),
    Route("/dictionary/{system}/rows", rows),
]
