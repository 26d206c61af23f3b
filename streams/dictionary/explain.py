"""Where a canonical field comes from, in words: for `opshub map explain customer.tax_id`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streams.dictionary.language.dictionary import Dictionary, Target
from streams.dictionary.language.mapping_rule import Lookup, MappingRule, StepRule

_MOST_VALUES = 6
"""Entries of a value map that an explanation shows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One rule that fills a field: its table and line, and the steps from column to value, in order."""

    system: str
    table: str
    file: str
    line: int
    source: str
    """The source in words: `column vat_no`."""
    steps: tuple[str, ...]
    columns: tuple[str, ...]


def origins(dictionary: Dictionary, entity: str, field: str) -> Iterator[Origin]:
    """Every rule of a dictionary that fills `field` of `entity`; `attributes.<name>` is an extra field."""
    is_attribute = field.startswith("attributes.")
    group = "attributes" if is_attribute else "fields"
    name = field.removeprefix("attributes.")
    for table_name, table in dictionary.tables.items():
        for i, target in enumerate(table.to):
            rule = (target.attributes if is_attribute else target.fields).get(name)
            if target.entity != entity or rule is None:
                continue
            file = dictionary.file
            yield Origin(
                system=dictionary.system,
                table=table_name,
                file=str(file.path),
                line=file.lines[("tables", table_name, "to", i, group, name)],
                source=_source(rule),
                steps=(*_conditions(target), *_steps(rule)),
                columns=_columns(rule),
            )


def _columns(rule: MappingRule) -> tuple[str, ...]:
    return (rule.column,) if rule.column is not None else rule.columns or ()


def _source(rule: MappingRule) -> str:
    if rule.column is not None:
        return f"column {rule.column}"
    if rule.columns is not None:
        return f"columns {', '.join(rule.columns)} joined by {rule.join!r}"
    return f"expression {rule.expr}" if rule.expr is not None else f"constant {rule.const!r}"


def _conditions(target: Target) -> Iterator[str]:
    if target.when is not None:
        yield f"only rows with {target.when}"


def _steps(rule: MappingRule) -> Iterator[str]:
    if rule.path is not None:
        yield f"path {rule.path} in its JSON"
    if rule.split is not None:
        yield f"piece {rule.part} of the text split at {rule.split!r}"
    if rule.typed is not None:
        yield f"reference with a type: {', '.join(rule.typed)}"
    for step in rule.steps:
        yield _step(step)
    yield from _lookups(rule.lookup)
    if rule.convert is not None:
        yield f"converted from {rule.convert.currency} to {rule.convert.to} by the rate of {rule.convert.on}"
    if rule.values is not None:
        entries = ", ".join(f"{k} → {v}" for k, v in list(rule.values.items())[:_MOST_VALUES])
        yield f"values {entries}{' …' if len(rule.values) > _MOST_VALUES else ''}; others: {rule.unknown}"
    if rule.timezone is not None or rule.unit is not None:
        yield " ".join(filter(None, (rule.unit, rule.timezone)))
    if rule.round is not None:
        yield f"rounded {rule.round}"
    if rule.bad != "reject":
        yield f"a rejected value: {rule.bad}, with a mapping note"
    if rule.default is not None:
        yield f"null becomes {rule.default!r}"
    if rule.required:
        yield "must have a value"


def _step(step: StepRule) -> str:
    if isinstance(step, str):
        return step
    ((name, options),) = step.items()
    if not isinstance(options, dict):
        return f"{name} {options}"
    return f"{name} ({', '.join(f'{k} {v}' for k, v in options.items())})"


def _lookups(lookup: Lookup | None) -> Iterator[str]:
    while lookup is not None:
        where = "".join(f", {c} = {e.column or repr(e.const)}" for c, e in lookup.where.items())
        yield f"{lookup.column} of the row in {lookup.table}{where}; no such row: {lookup.unknown}"
        lookup = lookup.then
