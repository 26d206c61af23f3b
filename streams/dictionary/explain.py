"""Where a canonical field comes from, in words: for `opshub map explain customer.tax_id`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streams.dictionary.language import Dictionary, Lookup, Rule, Target


@dataclass(frozen=True, slots=True)
class Origin:
    """One way into a field: the table and line it stands on, and the steps from column to value, in order."""

    system: str
    table: str
    file: str
    line: int
    source: str
    steps: tuple[str, ...]
    columns: tuple[str, ...]


def origins(dictionary: Dictionary, entity: str, field: str) -> Iterator[Origin]:
    """Every rule of a dictionary that fills `field` of `entity`; `attributes.<name>` is an extra."""
    group, _, name = field.rpartition("attributes.")
    for table_name, table in dictionary.tables.items():
        for i, target in enumerate(table.to):
            if target.entity != entity:
                continue
            rules = target.attributes if group or field.startswith("attributes.") else target.fields
            rule = rules.get(name or field)
            if rule is None:
                continue
            kind = "attributes" if rules is target.attributes else "fields"
            source = dictionary.source
            line = source.lines[("tables", table_name, "to", i, kind, name or field)]
            steps = (*_conditions(target), *_steps(rule))
            yield Origin(dictionary.system, table_name, str(source.file), line, _source(rule), steps, _columns(rule))


def _columns(rule: Rule) -> tuple[str, ...]:
    return (rule.column,) if rule.column is not None else rule.columns or ()


def _source(rule: Rule) -> str:
    if rule.column is not None:
        return f"column {rule.column}"
    if rule.columns is not None:
        return f"columns {', '.join(rule.columns)} joined by {rule.join!r}"
    return f"expression {rule.expr}" if rule.expr is not None else f"constant {rule.const!r}"


def _conditions(target: Target) -> Iterator[str]:
    if target.when is not None:
        yield f"only rows with {target.when}"


def _steps(rule: Rule) -> Iterator[str]:
    if rule.path is not None:
        yield f"path {rule.path} in its JSON"
    if rule.split is not None:
        yield f"piece {rule.part} of what {rule.split!r} parts"
    if rule.typed is not None:
        yield f"reference with a type: {', '.join(rule.typed)}"
    for step in rule.steps:
        yield step if isinstance(step, str) else _step(step)
    yield from _lookups(rule.lookup)
    if rule.convert is not None:
        yield f"converted from {rule.convert.currency} to {rule.convert.to} by the rate of {rule.convert.on}"
    if rule.values is not None:
        shown = ", ".join(f"{k} → {v}" for k, v in list(rule.values.items())[:6])
        yield f"values {shown}{' …' if len(rule.values) > 6 else ''}; others: {rule.unknown}"
    if rule.timezone is not None or rule.unit is not None:
        yield " ".join(filter(None, (rule.unit, rule.timezone)))
    if rule.round is not None:
        yield f"rounded {rule.round}"
    if rule.bad != "reject":
        yield f"what is rejected: {rule.bad}, noted"
    if rule.default is not None:
        yield f"null becomes {rule.default!r}"
    if rule.required:
        yield "must have a value"


def _step(step: dict[str, Any]) -> str:
    ((name, options),) = step.items()
    if not isinstance(options, dict):
        return f"{name} {options}"
    return f"{name} ({', '.join(f'{k} {v}' for k, v in options.items())})"


def _lookups(lookup: Lookup | None) -> Iterator[str]:
    while lookup is not None:
        where = "".join(f", {c} = {e.column or repr(e.const)}" for c, e in lookup.where.items())
        yield f"{lookup.column} of the row in {lookup.table}{where}; none: {lookup.unknown}"
        lookup = lookup.then
