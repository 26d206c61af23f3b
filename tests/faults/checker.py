"""An independent, simple check that nothing is lost, doubled, wrong or gone back. It shares no code with the pipeline.

In: `Evidence` (evidence.py). Out: `Findings`, what is wrong by kind. Ids are computed with the standard library's
UUIDv5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.faults.evidence import TOPICS, Evidence
from tests.faults.rows import MASTERS, ROWS, id_of
from tests.faults.written import what_is_wrong

LINES = {
    "opportunity_line", "sales_order_line", "shipment_line", "invoice_line", "purchase_order_line", "goods_receipt_line", "production_order_line",
    "bill_of_materials_line", "return_order_line",
}  # fmt: skip
KINDS = ("lost", "doubled", "differing", "gone_back", "ghost", "unbalanced", "echoed")


@dataclass
class Findings:
    """How many of each kind, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    where: set[tuple[str, str]] = field(default_factory=set)
    """(kind, what is wrong), of all of them."""

    def note(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.where.add((kind, text.partition(":")[0]))
        if self.counts[kind] <= 5:
            self.examples.append(f"{kind}: {text}")

    @property
    def hold(self) -> bool:
        return not sum(self.counts.values())

    def __str__(self) -> str:
        return f"{dict(self.counts) or 'all holds'} over {dict(self.checked)}" + "".join(
            f"\n  {one}" for one in self.examples
        )


def check(evidence: Evidence) -> Findings:
    """Compare in both directions."""
    found = Findings()
    folded = _fold(evidence, found)
    speaks: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    lines: dict[str, dict[str, Any]] = {}
    for (entity, one), (_, record) in folded.items():
        if record is None:
            continue
        for source in record.get("sources", ()):
            speaks[source["system"], entity, source["key"]].append(one)
        for line in record.get("lines", ()):
            lines[str(line["id"])] = line
    _rows(evidence, folded, speaks, lines, found)
    _raw(evidence, found)
    _hub(evidence, folded, found)
    _accounts(evidence, found)
    _echoes(evidence, found)
    _flows(evidence, folded, speaks, found)
    _supplies(evidence, folded, found)
    _cases(evidence, folded, found)
    for kind, text in what_is_wrong(evidence.written):
        found.note(kind, text)
    found.checked["won"] = len(evidence.written.won)
    return found


def _fold(evidence: Evidence, found: Findings) -> dict[tuple[str, str], tuple[int, dict[str, Any] | None]]:
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = {}
    for entity, one, version, record in evidence.records:
        found.checked["records"] += 1
        before = folded.get((entity, one))
        if before is not None:
            if version < before[0]:
                found.note("gone_back", f"{entity} {one}: version {version} after {before[0]}")
            elif version == before[0] and record != before[1]:
                found.note("doubled", f"{entity} {one}: two records of version {version}")
        folded[entity, one] = (version, record)
    return folded


def _rows(
    evidence: Evidence,
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]],
    speaks: dict[tuple[str, str, str], list[str]],
    lines: dict[str, dict[str, Any]],
    found: Findings,
) -> None:
    systems = {(system, entity) for system, _, entity, _ in ROWS}
    for (system, entity, key), (table, wanted) in evidence.rows.items():
        found.checked["rows"] += 1
        where = f"{entity} {key} of {system}"
        if (table, key) in evidence.waiting:
            continue
        if entity in LINES:
            record = lines.get(id_of(system, entity, key))
            if record is None:
                found.note("lost", where)
                continue
        else:
            speakers = speaks.get((system, entity, key), [])
            if not speakers:
                found.note("lost", where)
                continue
            if len(speakers) > 1:
                found.note("doubled", f"{where} is in {', '.join(speakers)}")
            record = folded[entity, speakers[0]][1] or {}
            wanted = _mastered(wanted, system, record.get("sources", ()))
        for name, value in wanted.items():
            held = _plain(record.get(name), value)
            if held != value and not _is_named(value, held, speaks):
                found.note("differing", f"{where}: {name} is {value!r} in the source, {held!r} in the topic")
                break
    for (system, entity, key), _ in speaks.items():
        if (system, entity) in systems and (system, entity, key) not in evidence.rows:
            table = next(table for one, table, name, _ in ROWS if (one, name) == (system, entity))
            if (table, key) not in evidence.waiting:
                found.note("ghost", f"{entity} {key} of {system} is gone from the source, and live in the topic")
    wrong = {id_of(system, entity, key) for system, entity, key in evidence.rows if entity in LINES}
    for one in lines.keys() - wrong:
        found.note("ghost", f"line {one} is gone from the source, and live in the topic")


def _mastered(wanted: dict[str, Any], system: str, sources: Any) -> dict[str, Any]:
    """Of what one row says, that which stands whatever others say: all, where nobody else speaks."""
    systems = [source["system"] for source in sources]
    if len(systems) == 1:
        return wanted
    if systems.count(system) > 1:
        return {}
    return {name: value for name, value in wanted.items() if value is not None and MASTERS.get(name) == system}


def _is_named(value: Any, held: Any, speaks: dict[tuple[str, str, str], list[str]]) -> bool:
    """Whether `held` is the id of the record for which the row speaks that `value` names. One that is not there may
    have been any.
    """
    if not isinstance(value, str) or not value.startswith("@"):
        return False
    system, entity, key = value[1:].split("/", 2)
    speakers = speaks.get((system, entity, key))
    return speakers is None or str(held) in speakers


def _raw(evidence: Evidence, found: Findings) -> None:
    alive = {(table, key) for (_, _, key), (table, _) in evidence.rows.items()} | evidence.marked
    for (table, key), is_row in evidence.journal.items():
        found.checked["commits"] += 1
        if is_row and (table, key) not in alive:
            found.note("lost", f"{table} {key}: the commit was acknowledged, and the source does not have it")
        # A new epoch tells only what there is: a delete that it missed has no record.
        captured = evidence.raw.get((table, key), False if evidence.epochs else None)
        if evidence.raw and captured != is_row:
            found.note("lost", f"{table} {key}: capture's last record {'has no' if is_row else 'has a'} row")


def _hub(evidence: Evidence, folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]], found: Findings) -> None:
    for one, (entity, version, live) in evidence.hub.items():
        if entity not in TOPICS:
            continue
        found.checked["hub rows"] += 1
        held = folded.get((entity, one))
        if held is None:
            if live and version:
                found.note("lost", f"{entity} {one}: version {version} of the hub was never emitted")
        elif held[0] != version or (held[1] is not None) != live:
            found.note(
                "differing",
                f"{entity} {one}: the topic has version {held[0]}, the hub {version} ({'live' if live else 'gone'})",
            )
    for (entity, one), (version, record) in folded.items():
        if record is not None and one not in evidence.hub:
            found.note("ghost", f"{entity} {one}: version {version} of what the hub does not know")


def _accounts(evidence: Evidence, found: Findings) -> None:
    for partition, (first, end) in evidence.raw_ends.items():
        if end == first:
            continue
        upto, counted, aside = evidence.accounts.get(partition, (0, 0, 0))
        if upto != end or counted != end - first:
            found.note(
                "unbalanced",
                f"{partition}: {end - first} records are there, {counted} were counted, up to {upto} of {end}",
            )
        if aside != evidence.dead_letters[partition]:
            found.note(
                "unbalanced",
                f"{partition}: {aside} records are dead or parked, the hub holds {evidence.dead_letters[partition]}",
            )


def _echoes(evidence: Evidence, found: Findings) -> None:
    for intent, cause in evidence.causes.items():
        found.checked["intents"] += 1
        if evidence.said.get(cause) is False:
            found.note("echoed", f"{intent} arose from what write-back itself had written")


def _flows(
    evidence: Evidence,
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]],
    speaks: dict[tuple[str, str, str], list[str]],
    found: Findings,
) -> None:
    flows = {str(record["sales_order_id"]): (one, record) for (entity, one), (_, record) in folded.items() if entity == "order_flow" and record}  # fmt: skip
    for key, wanted in evidence.flows.items():
        found.checked["flows"] += 1
        order = next(iter(speaks.get(("demo-erp", "sales_order", key), ())), None)
        if order is None or ("erp.so_head", key) in evidence.waiting:
            continue  # told of as a row
        if order not in flows:
            found.note("lost", f"flow of order {key}")
            continue
        one, record = flows[order]
        for place, told in (("topic", record), ("hub", evidence.hub_flows.get(one, {}))):
            wrong = {name: (value, _plain(told.get(name), value)) for name, value in wanted.items() if _plain(told.get(name), value) != value}  # fmt: skip
            if wrong:
                found.note("differing", f"flow of order {key}: (in the ERP, in the {place}) {wrong}")


def _supplies(
    evidence: Evidence, folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]], found: Findings
) -> None:
    """Only where no row of the ERP waits: one that waits may be the purchase of any line."""
    if any(table.startswith("erp.") for table, _ in evidence.waiting):
        return
    shown = {str(record["order_line_id"]): record for (entity, _), (_, record) in folded.items() if entity == "supply" and record}  # fmt: skip
    for line, wanted in evidence.supplies.items():
        found.checked["supplies"] += 1
        record = shown.get(line)
        if record is None:
            found.note("lost", f"supply of order line {line}: {wanted} in the ERP")
            continue
        told = {name: _day(record.get(name)) for name in wanted}
        if any(told[name] != wanted[name] for name in ("late_days", "expected_date")) or any(
            told[name] not in wanted[name] for name in ("status", "waits_for")
        ):
            found.note("differing", f"supply of order line {line}: {wanted} in the ERP, {told} in the topic")
    for line in shown.keys() - evidence.supplies.keys():
        found.note("ghost", f"supply of order line {line}: nothing supplies it in the ERP")


def _cases(
    evidence: Evidence, folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]], found: Findings
) -> None:
    if any(table in ("public.service_case", "erp.ret_head") for table, _ in evidence.waiting):
        return
    shown: dict[str, dict[str, Any]] = {}
    for (entity, one), (_, record) in folded.items():
        if entity == "service_case" and record:
            root = str(record["service_request_id"] or record["return_order_id"])
            if root in shown:
                found.note("doubled", f"service case {one}: there is another of {root}")
            shown[root] = record
    for root, (number, is_open) in evidence.cases.items():
        found.checked["cases"] += 1
        record = shown.get(root)
        if record is None:
            found.note("lost", f"service case of {number}")
        elif record["number"] != number or (is_open is not None and record["is_open"] is not is_open):
            found.note("differing", f"service case of {number}: (number, open) is {(number, is_open)} in the systems, {(record['number'], record['is_open'])} in the topic")  # fmt: skip
    for root in shown.keys() - evidence.cases.keys():
        found.note("ghost", f"service case {shown[root]['number']}: nobody asked for it")


def _day(value: Any) -> Any:
    """A day of the topic as days since 1970."""
    return (value - date(1970, 1, 1)).days if isinstance(value, date) else value


def _plain(value: Any, like: Any) -> Any:
    """A value of the topic in the form of the SQL above: decimals as integers of their scale."""
    if hasattr(value, "as_tuple"):
        return int(value.scaleb(-value.as_tuple().exponent))
    return value
