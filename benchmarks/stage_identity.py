"""What identity costs: CPU microseconds a change for match keys that are known, for those that are new, and for
resolving records of two sources.

Run: python benchmarks/stage_identity.py [customers]. Pure parts only; what the hub adds is one statement for each batch
with new keys.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from streams.hub.save import Claims, HeldKey
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import EntityState
from streams.pipeline.matching import Claimant, Matching
from streams.resolve.contribution import merge
from streams.resolve.golden import golden
from streams.resolve.ownership import load_ownership
from streams.resolve.rules import Ownership
from streams.settings import Settings


def customer(number: int, systems: tuple[str, ...]) -> EntityState:
    entity = EntityState(source_id("demo-crm", "customer", str(number)), "customer", contributions={}, record={})
    for system in systems:
        fields = {
            "name": f"Company {number}", "legal_name": f"Company {number} GmbH", "tax_id": f"DE{number:09}", "phone": f"+49{number}",
            "email": f"info@c{number}.example", "billing_city": "Berlin", "billing_country": "DE", "currency": "EUR",
            "attributes": {f"{system}_no": str(number)},
        }  # fmt: skip
        key = source_id(system, "customer", str(number))
        merge(entity, Change("change", "customer", key, system, str(number), "u", 0, number, 0, number, fields=fields))
    return entity


def timed(what: Callable[[], object], count: int) -> float:
    began = time.process_time()
    what()
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    from streams.paths import connectors_dir

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ownership: Ownership = load_ownership(connectors_dir(Settings()) / "ownership.yaml")
    one = [customer(number, ("demo-crm",)) for number in range(count)]
    two = [customer(number, ("demo-crm", "demo-erp")) for number in range(count)]
    matching = Matching(ownership)

    def batches(entities: list[EntityState]) -> list[Claims]:
        asked: list[Claims] = []
        for start in range(0, len(entities), 4000):
            claimed = matching.claim(Claimant(entity, entity.id, False) for entity in entities[start : start + 4000])
            asked += claimed.claims
            held = [
                [HeldKey(claim.entity, claim.key, claim.holder, claim.parts) for claim in claims.wanted]
                for claims in claimed.claims
            ]
            matching.links_from(claimed, held)
        return asked

    figures = {
        "customers": count,
        "new_keys_us": round(timed(lambda: batches(one), count), 2),
        "known_keys_us": round(timed(lambda: batches(one), count), 2),
        "hit_rate": round(matching.hits / (matching.hits + matching.misses), 3),
        "resolve_one_source_us": round(timed(lambda: [golden(entity, ownership) for entity in one], count), 2),
        "resolve_two_sources_us": round(timed(lambda: [golden(entity, ownership) for entity in two], count), 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
