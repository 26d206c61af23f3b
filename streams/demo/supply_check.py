"""Check supply: each order line shows what it waits for and how late that is, as the ERP's tables have it.

In: the facts of the simulator's journal (`late_supplier`), the ERP, the hub. Out: a `SupplyVerdict`. The ERP's side is
one SQL statement, which shares nothing with the hub's join.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import psycopg

from streams.demo.statements import SQL
from streams.model.ids import source_id
from streams.simulator.world import Fact

ERP = "demo-erp"
_WORST_FIRST = ("short", "requested", "on_order", "partly_available", "available", "shipped")
_WAITS = _WORST_FIRST[:4]


class SupplyVerdict(msgspec.Struct):
    """Order lines that something supplies, by the ERP and in the hub."""

    lines: int = 0
    """Order lines that the ERP supplies: all of them are compared."""
    differing: int = 0
    """Those of them, or of their orders, that the hub shows otherwise."""
    late_lines: int = 0
    """Those that wait for a planted late supplier, past the promised day."""
    late_shown: int = 0
    """Those of them that the hub shows so, the line and its order."""
    suppliers: int = 0
    """Planted late suppliers that hit them."""
    short: int = 0
    """Lines of which some is neither there nor on its way."""
    examples: list[str] = []

    @property
    def holds(self) -> bool:
        return not self.differing and self.late_shown == self.late_lines

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        shown = "all shown" if self.holds else f"{self.late_shown} shown, {self.differing} of {self.lines} lines differ"
        return f"{self.late_lines} late lines of {self.suppliers} suppliers, {self.short} short of stock, {shown}"


class _Line(NamedTuple):
    """An order line by the ERP's tables."""

    id: str
    order: str
    status: str
    late_days: int | None
    expected: int | None
    numbers: list[str]
    """Numbers of the documents that come last: any of them may be shown."""


def check_supply(hub_dsn: str, erp_dsn: str, facts: Iterable[Fact]) -> SupplyVerdict:
    """Compare all order lines and their flows. Call it when nothing is in flight."""
    verdict = SupplyVerdict(examples=[])
    planted = [fact["purchase"] for fact in facts if fact.get("fact") == "late_supplier"]
    with psycopg.connect(erp_dsn) as erp:
        lines = [_Line(*row) for row in erp.execute(SQL["supply_in_erp"]).fetchall()]
        purchases = erp.execute(SQL["purchases_by_id"], [planted]).fetchall()
    late: dict[str, int] = {number: supplier for _, number, supplier in purchases}
    with psycopg.connect(hub_dsn) as hub:
        shown = {line: tuple(values) for line, *values in hub.execute(SQL["supplies_in_hub"]).fetchall()}
        flows = {order: (flow, tuple(values)) for order, flow, *values in hub.execute(SQL["flows_in_hub"]).fetchall()}
    records = dict(flows.values())
    by_flow: dict[str, list[_Line]] = {}
    hit: dict[str, set[str]] = {}
    for line in lines:
        verdict.lines += 1
        verdict.short += line.status == "short"
        flow = flows.get(line.order, ("", ()))[0]
        by_flow.setdefault(flow, []).append(line)
        of_late = {number for number in line.numbers if number in late} if line.late_days else set()
        if of_late:
            verdict.late_lines += 1
            hit[line.id] = of_late
        if not _line_agrees(verdict, line, shown.get(source_id(ERP, "sales_order_line", line.id))):
            continue
        verdict.late_shown += line.id in hit
    verdict.suppliers = len({late[number] for numbers in hit.values() for number in numbers})
    for line_flow, of_flow in by_flow.items():
        if not _flow_agrees(verdict, of_flow, records.get(line_flow)):
            verdict.late_shown -= sum(line.id in hit for line in of_flow)
    return verdict


def _line_agrees(verdict: SupplyVerdict, line: _Line, shown: tuple[object, ...] | None) -> bool:
    waits = line.status in _WAITS and bool(line.numbers)
    wanted = (line.status, line.late_days, line.expected if waits else None)
    if shown is not None and shown[:3] == wanted and (shown[3] in line.numbers if waits else shown[3] is None):
        return True
    _differs(
        verdict,
        f"supply of line {line.id} of order {line.order}: {(*wanted, line.numbers)} in the ERP, {shown} in the hub",
    )
    return False


def _flow_agrees(verdict: SupplyVerdict, lines: list[_Line], shown: tuple[object, ...] | None) -> bool:
    worst = min(lines, key=_severity)
    late_days = max((line.late_days or 0 for line in lines if line.status in _WAITS), default=0) or None
    numbers = {number for line in lines if _severity(line) == _severity(worst) for number in line.numbers}
    if worst.status not in _WAITS:
        numbers = set()
    if (
        shown is not None
        and shown[:2] == (worst.status, late_days)
        and (shown[2] in numbers if numbers else shown[2] is None)
    ):
        return True
    wanted = f"{worst.status}, {late_days} days late, waits for {sorted(numbers)}"
    _differs(verdict, f"supply of order {lines[0].order}: {wanted} in the ERP, {shown} in the hub")
    return False


def _severity(line: _Line) -> tuple[int, bool, int]:
    return _WORST_FIRST.index(line.status), line.expected is not None, -(line.expected or 0)


def _differs(verdict: SupplyVerdict, text: str) -> None:
    verdict.differing += 1
    if len(verdict.examples) < 20:
        verdict.examples.append(text)
