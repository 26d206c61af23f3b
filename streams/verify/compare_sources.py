"""Compares the rows of a source with the contributions that the hub has of them, in both directions."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from streams.errors import MappingError
from streams.model.change import Mapped
from streams.model.state import AggregateState, Contribution, EntityState
from streams.provision.systems import System
from streams.verify.comparison import Comparison
from streams.verify.source_rows import learn_codes, source_rows


class Stored(NamedTuple):
    """A contribution, and the record of the hub that it is stored in."""

    member: EntityState
    contribution: Contribution


def compare_system(system: System, dsn: str, states: Mapping[str, AggregateState], comparison: Comparison) -> None:
    """Map every row of the tables that the dictionary reads, and compare. Raises EnvironmentFault for the database."""
    stored = _contributions(system.name, states)
    in_source: set[str] = set()
    try:
        learn_codes(dsn, system.dictionary)
    except MappingError as error:
        comparison.add("rejected", str(error))
    for table in system.dictionary.tables.values():
        for row, key in source_rows(dsn, table):
            comparison.source_rows += 1
            try:
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
                _compare_record(system.name, record, known, comparison)
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


def _compare_record(system: str, record: Mapped, known: list[Stored], comparison: Comparison) -> None:
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
        fields = contribution.fields or {}
        for name, value in record.fields.items():
            if fields.get(name) != value:
                what = f"{name} is {value!r} in the source, {fields.get(name)!r} in the hub"
                comparison.add("differing", f"{where}: {what}")
                break  # one difference for each record


def _report_gone(system: str, stored: Mapping[str, list[Stored]], in_source: set[str], comparison: Comparison) -> None:
    for source, known in stored.items():
        if source in in_source:
            continue
        for _, contribution in known:
            if not contribution.deleted:
                what = f"{contribution.key} of {system} is gone from the source, and live in the hub ({source})"
                comparison.add("differing", what)
