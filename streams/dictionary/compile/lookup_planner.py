"""Plans the values that come from rows of other tables: lookups, and exchange rates.

In goes a `Lookup` or `Exchange` of a rule. As `source_planner`, it records columns and constants, and every mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

from streams.dictionary.canonical_fields import FieldType
from streams.dictionary.compile.plans import PlannedField
from streams.dictionary.compile.source_planner import LookupSide, SourcePlanner, Then
from streams.dictionary.language.dictionary import Dictionary, Target
from streams.dictionary.language.mapping_rule import Exchange, Lookup, MappingRule
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.lookups import LookupTable, key_value
from streams.mapping.row_groups import RowGroups
from streams.mapping.source_types import ColumnTypes, SourceType, for_lookup, in_expression, source_type


class LookupPlanner(SourcePlanner):
    """Plans what one table takes from other tables."""

    def _lookup(
        self, rule: MappingRule, lookup: Lookup, field: FieldType, path: YamlPath, then: Then
    ) -> tuple[str, ...]:
        current: Lookup | None = lookup
        extra: tuple[str, ...] = ()
        while current is not None:
            table = self.shared.dictionary.tables.get(current.table)
            if table is None:
                near = get_close_matches(current.table, self.shared.dictionary.tables, n=1)
                self.shared.wrong(
                    (*path, "table"),
                    f"{current.table!r} is not captured",
                    f"did you mean {near[0]}?" if near else "list it under `tables` with its key and `to: []`",
                )
                return extra
            by = current.keyed_by(table.key)
            if len(by) != 1:
                has = (
                    f"{current.table} is looked up by {', '.join(by)}"
                    if by
                    else f"`where` leaves no column of {current.table}"
                )
                self.shared.wrong(
                    path,
                    has,
                    "a value is looked up by exactly one column: name it in `by:`, and the other columns in `where:`",
                )
                return extra
            self.uses_lookups = True
            getter = self._constant("lookup", self._getter(current, by))
            more = [
                repr(key_value(e.const, None)) if e.column is None else self._read_column(e.column, for_lookup)
                for e in current.where.values()
            ]
            then(lambda v, g=getter, rest="".join(f", {m}" for m in more): f"{g}({v}{rest})")  # type: ignore[misc]
            extra += tuple(e.column for e in current.where.values() if e.column is not None)
            looked_up = self._type_of(current.column, current.table)
            if current.typed is not None or current.steps:
                self._through_steps(current.column, looked_up, path, then)
            elif current.then is not None and looked_up is not None:
                self._as_read(for_lookup(looked_up), path, then)
            elif current.then is None and current.take not in ("sum", "count"):  # these are numbers already
                self._result(rule, field, current.column, looked_up, path, then)
            if current.typed is not None:
                self._typed(current.typed, field, current.then, rule, path, then)
            for i, step in enumerate(current.steps):
                extra += self._step(rule, step, field, (*path, "steps", i), then)
            path, current = (*path, "then"), current.then
        return extra

    def _getter(self, lookup: Lookup, by: tuple[str, ...]) -> Callable[..., object]:
        side = self.shared.lookups[lookup_name(lookup, (*by, *lookup.where))]
        if isinstance(side, LookupTable):
            return side.getter(lookup.column, lookup.unknown)
        source = self._type_of(lookup.column, lookup.table)
        return side.getter(lookup.column, lookup.take, lookup.order, in_expression(source) if source else None)

    def _result(
        self, rule: MappingRule, field: FieldType, column: str, source: SourceType | None, path: YamlPath, then: Then
    ) -> None:
        """What a column's value becomes if nothing but a value map and the field's type come after it."""
        raise NotImplementedError

    def _exchange(
        self, rule: MappingRule, exchange: Exchange, field: FieldType, path: YamlPath, then: Then
    ) -> tuple[str, ...]:
        """Convert an amount, and keep the rate, its day and the original in the record's attributes."""
        rates = self.shared.rates
        if rates is None or rates.table not in self.shared.dictionary.tables:
            self.shared.wrong(
                path, "there is no table of rates", "add `rates:` next to `tables:`, and list its table under `tables:`"
            )
            return ()
        if field.kind != "decimal" or rule.round is None:
            self.shared.wrong(
                path,
                "the converted amount may have more decimal places than the field",
                "add `round:`; only decimals can be converted",
            )
            return ()
        if rule.column is None:
            self.shared.wrong(
                path,
                "only the amount of a `column` can be converted",
                "name its column; an expression cannot be converted",
            )
            return ()
        self.uses_lookups = True
        extra = (exchange.currency, exchange.on)
        given = ", ".join(self.names.local(c) for c in extra)
        call = self._constant("convert", rates.converter(exchange.to))
        then(lambda v: f"{call}({v}, {given})")
        for what in ("rate", "rate_date", "original"):
            keep = self._constant("keep", rates.keeper(exchange.to, what))
            python = f"{keep}({self.names.local(rule.column)}, {given})"
            self.conversion_attributes.append(PlannedField(f"{field.name}_{what}", [], python, (rule.column, *extra)))
        return extra


def lookup_name(lookup: Lookup, by: tuple[str, ...]) -> str:
    """The name of a table that is looked into, with the columns that its rows are looked up by."""
    return f"{lookup.table} by {', '.join(by)}{' in groups' if lookup.take != 'one' else ''}"


def lookup_tables(dictionary: Dictionary, types: Mapping[str, ColumnTypes] | None) -> dict[str, LookupSide]:
    """Every table that some rule looks into, with the columns that the rules want of it."""
    sides: dict[str, LookupSide] = {}
    for table in dictionary.tables.values():
        for target in table.to:
            for lookup in lookups_of(target):
                looked_into = dictionary.tables.get(lookup.table)
                if looked_into is not None:
                    by = (*lookup.keyed_by(looked_into.key), *lookup.where)
                    name = lookup_name(lookup, by)
                    known = (types or {}).get(lookup.table, {})
                    reads = tuple(for_lookup(source_type(known.get(column, "unknown"))) for column in by)
                    kind = LookupTable if lookup.take == "one" else RowGroups
                    side = sides.setdefault(name, kind(lookup.table, by, reads))
                    for column in (lookup.column, *lookup.order):
                        side.column_index(column)
    return sides


def lookups_of(target: Target) -> Iterator[Lookup]:
    """Every lookup of a record's rules, also those that follow another (`then`)."""
    rules = [
        *target.fields.values(),
        *target.attributes.values(),
        *target.with_.values(),
        target.parent,
        target.same_as,
    ]
    for rule in rules:
        lookup = rule.lookup if rule is not None else None
        while lookup is not None:
            yield lookup
            lookup = lookup.then
