"""Compares the rows of a source with the contributions that the hub has of them, in both directions."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from streams.errors import MappingError
from streams.model.change import Mapped
from streams.model.state import AggregateState, Contribution, EntityState
from streams.provision.systems import System
from streams.verify.comparison import Comparison
from streams.verify.source_rows import learn_codes, refuse_nul, source_rows
from streams.verify.words import canonical_differences, in_words, record_name


class Stored(NamedTuple):
    """A contribution, and the record of the hub that it is stored in."""

    member: EntityState
    contribution: Contribution


class RowsOfRecord(NamedTuple):
    """What the rows of a system say of one record that several rows make. Which of them spoke last only their changes
    say, so the hub may have the value of any.
    """

    record: Mapped
    known: list[Stored]
    values: dict[str, list[Any]]
    """Field → the value in each row that names it."""


def compare_system(system: System, dsn: str, states: Mapping[str, AggregateState], comparison: Comparison) -> None:
    """Map every row of the tables that the dictionary reads, and compare. Raises EnvironmentFault for the database."""
    stored = _contributions(system.name, states)
    in_source: set[str] = set()
    of_several_rows = _of_several_rows(system)
    together: dict[str, RowsOfRecord] = {}
    for error in learn_codes(dsn, system.dictionary):
        comparison.add("rejected", str(error))
    for table in system.dictionary.tables.values():
        for row, key in source_rows(dsn, table, whole=True):
            comparison.source_rows += 1
            try:
                refuse_nul(table, row)
                mapped = table.map(row, "r", key)
            except MappingError as error:
                comparison.add("rejected", f"{table.name}: {error}")
                # The hub may have an older state of it while its dead letter waits: the row is not gone.
                with contextlib.suppress(MappingError):
                    in_source.update(record.id for record in table.map(row, "d", key))
                continue
            for record in mapped:
                known = stored.get(record.id, [])
                if record.adds_fields and (not known or known[0].contribution.deleted):
                    continue  # the row only adds to a record, and no row makes that record
                if not record.adds_fields:
                    in_source.add(record.id)
                if record.entity in of_several_rows:
                    together.setdefault(record.id, RowsOfRecord(record, known, defaultdict(list)))
                    _collect(record, together[record.id].values)
                    if not record.adds_fields:
                        together[record.id] = together[record.id]._replace(record=record)
                else:
                    _compare_record(system.name, record, known, record.fields, comparison)
    for record, known, values in together.values():
        stored_fields = (known[0].contribution.fields or {}) if known else {}
        _compare_record(system.name, record, known, _nearest(values, stored_fields), comparison)
    _report_gone(system.name, stored, in_source, comparison)


def _contributions(system: str, states: Mapping[str, AggregateState]) -> dict[str, list[Stored]]:
    """Source id → where the hub has a contribution of it; more than one place is an error."""
    stored: dict[str, list[Stored]] = defaultdict(list)
    for state in states.values():
        for member in state.members.values():
            if member.merged_into is None:
                for source, contribution in member.contributions.items():
                    if contribution.system == system:
                        stored[source].append(Stored(member, contribution))
    return stored


def _of_several_rows(system: System) -> set[str]:
    """Entities to whose records rows of further tables add fields."""
    return {
        entity
        for table in system.dictionary.tables.values()
        for entity in table.entities
        if entity not in table.own_entities
    }


def _collect(record: Mapped, values: dict[str, list[Any]]) -> None:
    for name, value in record.fields.items():
        values[name].append(value)


def _nearest(values: Mapping[str, list[Any]], stored: Mapping[str, Any]) -> dict[str, Any]:
    """For each field the value of the row whose value the hub has, else of the first row; maps are united by key."""
    fields: dict[str, Any] = {}
    for name, of_rows in values.items():
        known = stored.get(name)
        maps = [value for value in of_rows if isinstance(value, Mapping)]
        if maps:
            of_keys: dict[str, list[Any]] = defaultdict(list)
            for each in maps:
                for key, value in each.items():
                    of_keys[key].append(value)
            inner = known if isinstance(known, Mapping) else {}
            fields[name] = _nearest(of_keys, inner)
        else:
            fields[name] = known if known in of_rows else of_rows[0]
    return fields


def _compare_record(
    system: str, record: Mapped, known: list[Stored], fields: Mapping[str, Any], comparison: Comparison
) -> None:
    where = f"{record.entity} {record.key} of {system}"
    if not known:
        if not record.deleted:
            comparison.add("lost", where)
        return
    if len(known) > 1:
        comparison.add("doubled", f"{where} contributes to {', '.join(place.member.id for place in known)}")
    contribution = known[0].contribution
    if not record.adds_fields and contribution.deleted != record.deleted:
        what = f"deleted is {record.deleted} in the source, {contribution.deleted} in the hub"
        comparison.add("differing", f"{where}: {what}")
    elif not record.deleted:
        named = {name: value for name, value in (contribution.fields or {}).items() if name in fields}
        differences = list(canonical_differences(record.entity, fields, named))
        if differences:  # one difference for each record
            words = "; ".join(in_words(difference, "the source", "the hub") for difference in differences)
            comparison.add("differing", f"{where}: {words}")


def _report_gone(system: str, stored: Mapping[str, list[Stored]], in_source: set[str], comparison: Comparison) -> None:
    for source, known in stored.items():
        if source in in_source:
            continue
        for member, contribution in known:
            if not contribution.deleted:
                name = record_name(member.entity, contribution.key, member.record)
                what = f"{name} of {system} is gone from the source, and live in the hub ({source})"
                comparison.add("differing", what)
