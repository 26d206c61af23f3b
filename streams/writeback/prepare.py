"""(rule, document) → the job that an adapter does. Pure. Says, too, when a document is not whole yet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from streams.model.entities import ENTITIES
from streams.writeback.failures import NotYet, Refused
from streams.writeback.rule_inputs import desired_values, field_value, matches
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Value, value_of
from streams.writeback.work import Job, Work


def prepare(work: Work, rule: WritebackRule, document: dict[str, Any], last_written: dict[str, Any] | None) -> Job:
    """The job. Raises Refused for a value that has no form that the target wants, NotYet when the subject is not known there."""
    try:
        params = {name: value_of(spec, document) for name, spec in rule.params.items()}
        lines = [
            {
                name: value_of(spec, document | line | {"line": line["record"]})
                for name, spec in (rule.lines or {}).items()
            }
            for line in document["lines"]
        ]
        wanted = desired_values(rule, document)
        makes = _makes(rule, document)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        raise Refused(f"{work.key}: a value can not be formed: {error}", remedy=f"mend the rule {work.rule}") from error
    subject = document["subject"]
    expected: list[dict[str, Any]] = []
    key = None
    if rule.values:
        key = subject["keys"].get(work.target)
        if key is None:
            raise NotYet(
                f"{work.target} does not know {work.subject_id}",
                ask=f"{work.target} has no such record: write it once it has?",
            )
        said = subject["contributions"].get(work.target, {})
        expected.append({field: field_value(said, field) for field in rule.values})
        if last_written is not None:
            expected.append(last_written)
    return Job(
        key=work.key, rule=rule, params=params, lines=lines, subject_key=key, wanted=wanted, expected=expected, tried=work.unsure,
        doubtful=work.failures > 0, makes=makes,
    )  # fmt: skip


def _makes(rule: WritebackRule, document: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """What the record that the rule adds says, by which it is known when it comes back: references are other ids there."""
    if rule.by_hand is None:
        return None
    kinds = ENTITIES[rule.by_hand.entity].fields
    said = {
        field: value
        for field, spec in rule.by_hand.values.items()
        if kinds[field].kind != "ref" and (value := value_of(spec, document)) is not None
    }
    return (rule.by_hand.entity, said) if said else None


def no_more(rule: WritebackRule, document: dict[str, Any]) -> str | None:
    """Why what gave rise to an intent is so no more: people took it back while it waited. None where it still is."""
    record = document["record"]
    if not rule.becomes or matches(rule.becomes, record):
        return None
    return "it is so no more: " + ", ".join(f"{field} is {record.get(field)!r}" for field in rule.becomes)


def check_whole(work: Work, rule: WritebackRule, document: dict[str, Any]) -> None:
    """Raises NotYet while what it refers to, of which the rule has values, is not in the hub, or the lines do not make up the header: they
    come on other partitions, and people write a document in pieces.
    """
    for one, values in ((document, rule.params), *((line, rule.lines) for line in document["lines"])):
        for name in _roots(values or {}):
            if name not in one and one["record"].get(f"{name}_id"):
                raise NotYet(
                    f"the hub does not have its {name} {one['record'][f'{name}_id']} yet",
                    ask=f"its {name} is not in the hub: write it all the same?",
                )
    ready = rule.ready
    if ready is None:
        return
    header = document["record"].get(ready.header)
    lines = document["lines"]
    total = sum(line["record"].get(ready.lines) or 0 for line in lines)
    scale = ENTITIES[work.entity].fields[ready.header].scale or 0
    tolerance = int(ready.tolerance.scaleb(scale))
    if lines and header is not None and abs(total - header) <= tolerance:
        return
    said = "nothing" if header is None else _plain(header, scale)
    message = f"{len(lines)} lines make {_plain(total, scale)}, the header says {said}"
    raise NotYet(message, ask=f"the document is not whole: {message}")


def _roots(values: dict[str, Value]) -> set[str]:
    """What the paths of these begin with."""
    return {one.path.partition(".")[0] for one in values.values() if one.path is not None}


def _plain(unscaled: int, scale: int) -> str:
    return format(Decimal(unscaled).scaleb(-scale).normalize(), "f")
