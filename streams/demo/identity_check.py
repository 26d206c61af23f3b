"""Was every customer that both systems know linked, nobody else, and every planted disagreement logged?

In: the facts of the simulator's journal, and the hub. Out: an `IdentityVerdict`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg

from streams.model.ids import source_id

CRM, ERP = "demo-crm", "demo-erp"


class IdentityVerdict(msgspec.Struct):
    """`shared` customers were planted, of which `linked` are one record. `wrongly_linked` records hold two that are not the same company;
    of `twice` companies the ERP has more than one customer, which no system but write-back would have made.
    Of `conflicts_planted` (customer, field) `conflicts_logged` were logged at some time.
    """

    shared: int = 0
    linked: int = 0
    wrongly_linked: int = 0
    twice: int = 0
    conflicts_planted: int = 0
    conflicts_logged: int = 0
    examples: list[str] = []

    @property
    def holds(self) -> bool:
        return (
            self.linked == self.shared
            and not self.wrongly_linked
            and not self.twice
            and self.conflicts_logged == self.conflicts_planted
        )


def check_identity(hub_dsn: str, erp_dsn: str, facts: Iterable[dict[str, Any]]) -> IdentityVerdict:
    """Compare the facts that the simulator planted (`shared`, `changed_in_one`) with the hub. Call it when nothing is in flight.

    A customer of the ERP that names its CRM account (`crm_ref`: planted, or written back) is rightly linked to that one.
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
        where: dict[str, str] = {}
        rows = connection.execute(
            "SELECT e.id::text, said.key, said.value->>0 FROM entity e, jsonb_each(e.contributions) said"
            " WHERE e.entity = 'customer' AND e.merged_into IS NULL"
        )
        for entity_id, source, system in rows:
            made_of.setdefault(entity_id, []).append((system, source))
            where[source] = entity_id
        logged = {
            (entity_id, field)
            for entity_id, field in connection.execute(
                "SELECT DISTINCT entity_id::text, field FROM conflict WHERE entity = 'customer'"
            )
        }
    for erp, crm in pairs.items():
        verdict.shared += 1
        if erp in where and where[erp] == where.get(crm):
            verdict.linked += 1
        else:
            _example(verdict, f"shared {crm} and {erp} are {where.get(crm)} and {where.get(erp)}")
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
        if (where.get(erp), field) in logged:
            verdict.conflicts_logged += 1
        else:
            _example(verdict, f"no conflict on {field} of {where.get(erp)} ({erp}), {how}")
    return verdict


def _referring(erp_dsn: str) -> dict[str, str]:
    with psycopg.connect(erp_dsn) as connection:
        rows = connection.execute("SELECT id::text, crm_ref::text FROM erp.cust WHERE crm_ref IS NOT NULL").fetchall()
    return {source_id(ERP, "customer", erp): source_id(CRM, "customer", crm) for erp, crm in rows}


def _example(verdict: IdentityVerdict, text: str) -> None:
    if len(verdict.examples) < 20:
        verdict.examples.append(text)
