"""Check identity: every customer of both systems is linked, no others are, and every planted disagreement is logged.

In: the facts of the simulator's journal, the hub and the ERP. Out: an `IdentityVerdict`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import psycopg

from streams.demo.statements import SQL
from streams.model.ids import source_id
from streams.simulator.world import Fact

CRM, ERP = "demo-crm", "demo-erp"


class IdentityVerdict(msgspec.Struct):
    """What was planted, and what the hub made of it."""

    shared: int = 0
    """Customers that were planted in both systems."""
    linked: int = 0
    """Those of them that are one record in the hub."""
    wrongly_linked: int = 0
    """Records that join two different companies."""
    twice: int = 0
    """Companies with more than one customer in the ERP; only write-back could have created the second."""
    conflicts_planted: int = 0
    """Pairs of customer and field on which the systems disagree."""
    conflicts_logged: int = 0
    """Those of them that the hub has logged."""
    examples: list[str] = []

    @property
    def holds(self) -> bool:
        return (
            self.linked == self.shared
            and not self.wrongly_linked
            and not self.twice
            and self.conflicts_logged == self.conflicts_planted
        )


def check_identity(hub_dsn: str, erp_dsn: str, facts: Iterable[Fact]) -> IdentityVerdict:
    """Compare the planted facts (`shared`, `changed_in_one`) with the hub. Call it when nothing is in flight.

    A customer of the ERP that names its CRM account (`crm_ref`: planted, or written back) belongs to that account.
    """
    verdict = IdentityVerdict(examples=[])
    pairs = _referring(erp_dsn)
    planted: dict[tuple[str, str], str] = {}
    for fact in facts:
        if fact["fact"] == "shared":
            crm, erp = source_id(CRM, "customer", str(fact["crm"])), source_id(ERP, "customer", str(fact["erp"]))
            pairs[erp] = crm
            for field in fact["conflicts"]:
                planted[erp, field] = "planted with the customer"
        elif fact["fact"] == "changed_in_one" and fact["crm"] is not None and fact["erp"] is not None:
            planted[source_id(ERP, "customer", str(fact["erp"])), fact["field"]] = f"changed in {fact['system']} only"
    with psycopg.connect(hub_dsn) as connection:
        made_of: dict[str, list[tuple[str, str]]] = {}
        record_of: dict[str, str] = {}
        for entity_id, source, system in connection.execute(SQL["contributions_of_customers"]):
            made_of.setdefault(entity_id, []).append((system, source))
            record_of[source] = entity_id
        logged = set(connection.execute(SQL["conflicts_of_customers"]))
    for erp, crm in pairs.items():
        verdict.shared += 1
        if erp in record_of and record_of[erp] == record_of.get(crm):
            verdict.linked += 1
        else:
            _example(verdict, f"shared {crm} and {erp} are {record_of.get(crm)} and {record_of.get(erp)}")
    for entity_id, sources in made_of.items():
        # A company is its CRM account, or the one customer that only the ERP knows.
        companies = {
            source if system == CRM else pairs.get(source, source) for system, source in sources if system in (CRM, ERP)
        }
        if len(companies) > 1:
            verdict.wrongly_linked += 1
            _example(verdict, f"{entity_id} is made of {sources}")
        elif sum(system == ERP for system, _ in sources) > 1:
            verdict.twice += 1
            _example(verdict, f"the ERP has {entity_id} twice: {sources}")
    for (erp, field), how in planted.items():
        verdict.conflicts_planted += 1
        if (record_of.get(erp), field) in logged:
            verdict.conflicts_logged += 1
        else:
            _example(verdict, f"no conflict on {field} of {record_of.get(erp)} ({erp}), {how}")
    return verdict


def _referring(erp_dsn: str) -> dict[str, str]:
    with psycopg.connect(erp_dsn) as connection:
        rows = connection.execute(SQL["crm_references"]).fetchall()
    return {source_id(ERP, "customer", erp): source_id(CRM, "customer", crm) for erp, crm in rows}


def _example(verdict: IdentityVerdict, text: str) -> None:
    if len(verdict.examples) < 20:
        verdict.examples.append(text)
