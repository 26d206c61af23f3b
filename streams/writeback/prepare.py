"""(rule, document) → the job that an adapter does. Pure. It also finds out that a document is not complete yet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from streams.hub.intents import Intent
from streams.model.entities import ENTITIES
from streams.writeback.documents import Document, DocumentLine, EntityView
from streams.writeback.failures import MissingValue, NotReady, Refused
from streams.writeback.jobs import CreatedRecord, Job
from streams.writeback.read_back import tolerance_of
from streams.writeback.required import Place, why_missing
from streams.writeback.rule_inputs import field_value, matches
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields, Paths, ValueSpec, value_of


def prepare(intent: Intent, rule: WritebackRule, document: Document, last_written: Fields | None) -> Job:
    """The job of an intent. `last_written`: what the rule last wrote to the subject.

    Raises Refused for a value that has not the form that the target wants, MissingValue for one that is required and
    not known, or when the target does not have the subject yet.
    """
    paths = document.paths()
    missing: list[str] = []
    try:
        params = _values(rule.params, paths, "params", missing)
        lines = [
            _values(rule.lines or {}, document.line_paths(line), "lines", missing, _line_name(line, number))
            for number, line in enumerate(document.lines, 1)
        ]
        wanted = _values(rule.values, paths, "values", missing)
        creates = _created_record(rule, document)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        raise Refused(
            f"{intent.key}: a value cannot be formed: {error}",
            remedy=f"correct the rule {intent.rule} in writeback.yaml",
        ) from error
    if rule.lines is not None and rule.lines_required and not lines:
        missing.append("it has no lines")
    # What `skip_when` leaves out is not sent, so nothing of it can be missing.
    if missing and not matches(rule.skip_when, wanted):
        why = "; ".join(missing)
        raise MissingValue(why, question=f"not sent, {why}: enter it, and it is sent by itself")
    # A row in any other state was changed by somebody else, and is not overwritten.
    expected: list[Fields] = []
    key = None
    if rule.values:
        key = document.subject.keys.get(intent.target)
        if key is None:
            raise MissingValue(
                f"{intent.target} does not have {intent.subject_id}",
                question=f"{intent.target} has no such record: it is written once it has",
            )
        contributed = document.subject.contributions.get(intent.target, {})
        expected.append({field: field_value(contributed, field) for field in rule.values})
        if last_written is not None:
            # The hub may not have seen yet what the last delivery wrote.
            expected.append(last_written)
    record = document.main.record
    currency = record.get("currency")
    return Job(
        key=intent.key, rule=rule, params=params, lines=lines, subject_key=key, wanted=wanted, expected=expected,
        in_doubt=intent.in_doubt, failed_before=intent.failures > 0, creates=creates,
        about=str(record.get("number") or record.get("name") or ""), currency=currency,
        tolerance=tolerance_of(rule.tolerance, currency, len(document.lines)),
        sent_s=intent.sent_s, sent_at=intent.sent_at, queued_s=intent.queued_s,
    )  # fmt: skip


def _values(
    specs: Mapping[str, ValueSpec], paths: Paths, place: Place, missing: list[str], line: str = ""
) -> dict[str, Any]:
    """The values of one part of a rule. What is required and not known is added to `missing`."""
    values = {}
    for name, spec in specs.items():
        values[name] = value = value_of(spec, paths)
        why = why_missing(spec, value, paths, place)
        if why is not None:
            missing.append(f"{line}{name}: {why}")
    return values


def _line_name(line: DocumentLine, number: int) -> str:
    record = line.line.record
    name = record.get("description")
    return f"line {record.get('line_no') or number}{f' ({name})' if name else ''}, "


def _created_record(rule: WritebackRule, document: Document) -> CreatedRecord | None:
    """The record that the rule creates, by the fields of `by_hand`. References are left out: they are other ids when
    it comes back.
    """
    if rule.by_hand is None:
        return None
    kinds = ENTITIES[rule.by_hand.entity].fields
    paths = document.paths()
    fields = {
        field: value
        for field, spec in rule.by_hand.values.items()
        if kinds[field].kind != "ref" and (value := value_of(spec, paths)) is not None
    }
    return CreatedRecord(rule.by_hand.entity, fields) if fields else None


def why_withdrawn(rule: WritebackRule, document: Document) -> str | None:
    """Why the cause of an intent is gone: people took it back while the intent waited. None while the cause is still
    there.
    """
    record = document.main.record
    if not rule.becomes or matches(rule.becomes, record):
        return None
    return "the cause was taken back: " + ", ".join(f"{field} is {record.get(field)!r} now" for field in rule.becomes)


def check_complete(intent: Intent, rule: WritebackRule, document: Document) -> None:
    """Raise NotReady while the document is not complete in the hub.

    Either a record is missing that the document refers to and that the rule uses, or the lines do not add up to the
    header. Both come on other partitions, and people write a document in several transactions.
    """
    _check_references(document.main, document.references, rule.params)
    for line in document.lines:
        _check_references(line.line, line.references, rule.lines or {})
    if rule.ready is None:
        return
    header = document.main.record.get(rule.ready.header)
    total = sum(line.line.record.get(rule.ready.lines) or 0 for line in document.lines)
    scale = ENTITIES[intent.entity].fields[rule.ready.header].scale or 0
    rounding = max(Decimal("0.01"), tolerance_of(None, document.main.record.get("currency"), len(document.lines)))
    tolerance = int((rounding if rule.ready.tolerance is None else rule.ready.tolerance).scaleb(scale))
    if document.lines and header is not None and abs(total - header) <= tolerance:
        return
    shown = "nothing" if header is None else _decimal_text(header, scale)
    message = f"{len(document.lines)} lines make {_decimal_text(total, scale)}, the header says {shown}"
    raise NotReady(message, question=f"the document is not complete: {message}")


def _check_references(entity: EntityView, references: dict[str, EntityView], values: dict[str, ValueSpec]) -> None:
    for name in {spec.path.partition(".")[0] for spec in values.values() if spec.path is not None}:
        # Other roots, such as `record`, have no field `record_id`.
        if name not in references and entity.record.get(f"{name}_id"):
            raise NotReady(
                f"the hub does not have its {name} {entity.record[f'{name}_id']} yet",
                question=f"its {name} is not in the hub: write it all the same?",
            )


def _decimal_text(unscaled: int, scale: int) -> str:
    return format(Decimal(unscaled).scaleb(-scale).normalize(), "f")
