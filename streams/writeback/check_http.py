"""Check the HTTP part of a rule: its parameters exist, and its answers can prove something. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from streams.writeback.http_rules import Call, HttpAction, HttpStep
from streams.writeback.rules import WritebackRule
from streams.writeback.templates import NAME

Unknown = Callable[[str, str, Collection[str]], str]
"""(what, name, choices) → the text for a name that is none of the choices."""


def check_http(
    rule: WritebackRule, action: HttpAction, params: Collection[str], unknown: Unknown
) -> Iterator[tuple[str, str]]:
    """(field of the rule, what is wrong and what would be right)."""
    known = set(params)
    calls: list[tuple[str, Call | None, set[str]]] = [
        (n, getattr(action, n), known) for n in ("now", "look_up", "read")
    ]
    for step in action.steps:
        yield from _check_step(step, known, unknown)
        calls += [(f"steps.{step.name}.find", step.find, known), (f"steps.{step.name}", step, known)]
        known = {*known, *step.result}
    calls += [("send", action.send, known), ("read_back", action.read_back, {*known, *action.result})]
    for name, call, names in calls:
        if call is not None:
            for place, template in (("path", call.path), ("query", call.query), ("headers", call.headers)):
                for wrong in _templates(template, names, (), unknown):
                    yield f"http.{name}.{place}", wrong
            for place, body in (
                ("json", call.json_body),
                ("form", call.form),
                ("multipart", call.multipart),
                ("xml", call.xml),
            ):
                for wrong in _templates(body, names, set(rule.lines or {}), unknown):
                    yield f"http.{name}.{place}", wrong
    for name, count in Counter(step.name for step in action.steps).items():
        if count > 1:
            yield "http.steps", f"{count} steps have the name {name!r}"
    if action.batch is not None:
        for name in action.batch.match.values():
            if name not in params:
                yield "http.batch.match", unknown("there is no parameter", name, params)
        if not _has_intents(action.send.json_body):
            yield "http.batch", "`send.json` has no list over the intents: {each: intents, do: …}"
    yield from _check_proof(action, params, unknown)
    yield from _check_compare(rule, action, params, unknown)


def _has_intents(template: object) -> bool:
    if isinstance(template, dict):
        return template.get("each") == "intents" or any(map(_has_intents, template.values()))
    return isinstance(template, list) and any(map(_has_intents, template))


def _check_step(step: HttpStep, params: Collection[str], unknown: Unknown) -> Iterator[tuple[str, str]]:
    place = f"http.steps.{step.name}"
    for name in step.result:
        if name in params:
            yield f"{place}.result", f"{name!r} is a parameter already: choose another name"
    if step.find is not None:
        if step.find.result:
            for name in sorted(set(step.result) - set(step.find.result)):
                yield f"{place}.find.result", f"has no {name!r}, which the step's result has"
        for name in step.find.match.values():
            if name not in params:
                yield f"{place}.find.match", unknown("there is no parameter", name, params)


def _check_proof(action: HttpAction, params: Collection[str], unknown: Unknown) -> Iterator[tuple[str, str]]:
    has_result = any(wanted.required for wanted in action.result.values())
    says_so = action.send.done and all(form.where or form.empty for form in action.send.done)
    if not has_result and action.read_back is None and not says_so:
        yield (
            "http.send",
            "nothing proves that it was done: add `result` (a name and its path in the answer, such as the id of what "
            "was made), or `read_back` with `compare`, or to `done` what only such an answer has (`where`, `empty`)",
        )
    look_up = action.look_up
    if look_up is None:
        return
    if not (look_up.result or action.result or look_up.match):
        yield (
            "http.look_up",
            "any answer would count as found: add `result` (paths in the record), or `match` (a path in the record and "
            "the parameter that it must have)",
        )
    if look_up.result:
        for name in sorted(set(action.result) - set(look_up.result)):
            yield "http.look_up.result", f"has no {name!r}, which http.result has"
    for name in look_up.match.values():
        if name not in params:
            yield "http.look_up.match", unknown("there is no parameter", name, params)


def _check_compare(
    rule: WritebackRule, action: HttpAction, params: Collection[str], unknown: Unknown
) -> Iterator[tuple[str, str]]:
    for name in action.compare.values():
        if name not in {*params, *action.result, *(made for step in action.steps for made in step.result)}:
            yield "http.compare", unknown("there is no parameter", name, params)
    if bool(action.compare) != bool(action.read or action.read_back):
        yield "http.compare", "needs `read` or `read_back`, and they need it"
    missing = set(rule.values) - set(action.compare.values())
    if action.read is not None and (missing or not rule.values):
        names = ", ".join(sorted(missing)) or "nothing, since the rule has no `values`"
        yield "http.read", f"is compared with what the rule saw: `compare` has no path for {names}"


def _templates(template: object, params: Collection[str], lines: Collection[str], unknown: Unknown) -> Iterator[str]:
    if isinstance(template, dict):
        if template.get("each") == "intents" and "do" in template:
            yield from _templates(template["do"], params, lines, unknown)
            return
        if template.get("each") == "lines" and "do" in template:
            if not lines:
                yield "`each: lines` needs `lines`"
            yield from _templates(template["do"], {*params, *lines}, (), unknown)
            return
        for value in template.values():
            yield from _templates(value, params, lines, unknown)
    elif isinstance(template, list):
        for value in template:
            yield from _templates(value, params, lines, unknown)
    elif isinstance(template, str):
        for _, name in NAME.findall(template):
            if name not in params:
                yield unknown("there is no parameter", name, params)
