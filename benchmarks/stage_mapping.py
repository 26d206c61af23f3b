"""The CPU that decode and map cost for one row, compared with a function that a person wrote by hand for the same
table.

Both read the same Debezium event of a row with 20 columns and return the same `Mapped`. Run `python -m
benchmarks.stage_mapping [--json]`. It exits with 1 if the compiled dictionary costs more than 1.3 times the
hand-written function, or if decode and map together cost more than 8 us.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streams.decode.envelope import Decoder
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.language.read import parse_dictionary
from streams.dictionary.yaml_lines import YamlFile, parse_yaml
from streams.model.change import Mapped
from streams.model.ids import ids

DICTIONARY = """
system: demo-crm
tables:
  public.deals:
    key: deal_id
    to:
      - entity: opportunity
        deleted: deleted_at != null
        fields:
          number: deal_no
          name: {column: title, steps: [trim]}
          customer_id: account_id
          contact_id: person_id
          stage: {column: phase, values: {N: prospecting, Q: qualified, O: proposal, V: negotiation, W: won, L: lost}}
          probability: likelihood
          amount: amount
          currency: {column: cur, default: EUR}
          expected_close: close_on
          won_at: won_at
          lost_reason: lost_reason
          owner: owner
          source: lead_source
          order_number: erp_order
          order_status: erp_status
          shipment_status: erp_shipment
          notes: memo
          created_at: created_at
"""
ROW = {
    "deal_id": "7b1d3f2a-5a54-4c1e-9d1d-0b8a7c6e5f40",
    "deal_no": "D-2024-004711",
    "title": " Extension of the northern line ",
    "account_id": "0a4e2a10-97a3-4b53-8a5e-0e8c9a1f7d11",
    "person_id": "5d0c7e5b-1f0e-4d8e-b7f6-2f9b5f3f4a22",
    "phase": "V",
    "likelihood": 60,
    "amount": "148250.75",
    "cur": "EUR",
    "close_on": 20012,
    "won_at": None,
    "lost_reason": None,
    "owner": "m.keller",
    "lead_source": "fair",
    "erp_order": None,
    "erp_status": None,
    "erp_shipment": None,
    "memo": "Wants delivery in two parts; asks for the new frame contract.",
    "created_at": "2024-05-01T10:00:00.123456Z",
    "deleted_at": None,
    "row_version": 7,
    "updated_at": "2024-06-02T11:12:13.000001Z",
}


def event(row: dict[str, Any]) -> bytes:
    """An update of the row, as Debezium 3 sends it without schemas."""
    source = {
        "version": "3.7.0.Final", "connector": "postgresql", "name": "raw.demo-crm", "ts_ms": 1714557600123,
        "snapshot": "false", "db": "crm", "sequence": '["24023119","24023128"]', "ts_us": 1714557600123456,
        "ts_ns": 1714557600123456000, "schema": "public", "table": "deals", "txId": 555, "lsn": 24023128, "xmin": None,
        "origin": None, "origin_lsn": None,
    }  # fmt: skip
    body = {
        "before": None,
        "after": row,
        "source": source,
        "transaction": None,
        "op": "u",
        "ts_ms": 1714557600200,
        "ts_us": 1714557600200000,
    }
    return json.dumps(body, separators=(",", ":")).encode()


_STAGES = {"N": "prospecting", "Q": "qualified", "O": "proposal", "V": "negotiation", "W": "won", "L": "lost"}
customers, contacts, opportunities = (ids("demo-crm", name) for name in ("customer", "contact", "opportunity"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _money(text: str) -> int:
    whole, _, fraction = text.partition(".")
    if len(fraction) > 4 or not (digits := whole + fraction).lstrip("-").isdigit():
        raise ValueError(text)
    return int(digits) * 10 ** (4 - len(fraction))


def _micros(text: str) -> int:
    span = datetime.fromisoformat(text) - _EPOCH
    return span.days * 86_400_000_000 + span.seconds * 1_000_000 + span.microseconds


def by_hand(row: Any) -> list[Mapped]:
    """What a careful person would write for this table: the same checks, the same result."""
    unset = msgspec.UNSET
    fields: dict[str, Any] = {}
    if row.deal_no is not unset:
        fields["number"] = row.deal_no
    if row.title is not unset:
        fields["name"] = row.title.strip() or None if row.title is not None else None
    if row.account_id is not unset:
        fields["customer_id"] = customers[row.account_id] if row.account_id else None
    if row.person_id is not unset:
        fields["contact_id"] = contacts[row.person_id] if row.person_id else None
    if row.phase is not unset:
        fields["stage"] = _STAGES[row.phase] if row.phase is not None else None
    if row.likelihood is not unset:
        fields["probability"] = row.likelihood
    if row.amount is not unset:
        fields["amount"] = _money(row.amount) if row.amount is not None else None
    if row.cur is not unset:
        fields["currency"] = row.cur or "EUR"
    if row.close_on is not unset:
        fields["expected_close"] = row.close_on
    if row.won_at is not unset:
        fields["won_at"] = _micros(row.won_at) if row.won_at is not None else None
    if row.lost_reason is not unset:
        fields["lost_reason"] = row.lost_reason
    if row.owner is not unset:
        fields["owner"] = row.owner
    if row.lead_source is not unset:
        fields["source"] = row.lead_source
    if row.erp_order is not unset:
        fields["order_number"] = row.erp_order
    if row.erp_status is not unset:
        fields["order_status"] = row.erp_status
    if row.erp_shipment is not unset:
        fields["shipment_status"] = row.erp_shipment
    if row.memo is not unset:
        fields["notes"] = row.memo
    if row.created_at is not unset:
        fields["created_at"] = _micros(row.created_at) if row.created_at is not None else None
    key = row.deal_id
    return [
        Mapped(
            "opportunity",
            key,
            opportunities[key],
            fields,
            row.deleted_at is not None,
            None,
            None,
        )
    ]


def _cost(call: Callable[[], object], rounds: int = 20_000, repeats: int = 7) -> float:
    """CPU microseconds of one call: the best of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time_ns()
        for _ in range(rounds):
            call()
        best = min(best, (time.process_time_ns() - start) / rounds / 1000)
    return best


def measure() -> dict[str, float]:
    """Costs in CPU microseconds a row, and the ratio of the compiled dictionary to the hand-written function."""
    file = Path("dictionary.yaml")
    data, lines = parse_yaml(DICTIONARY, file)
    compiled = compile_dictionary(parse_dictionary(data, YamlFile(file, lines)))
    decoder = Decoder(compiled)
    table = compiled.tables["public.deals"]
    topic, key, value = decoder.topics[0], json.dumps({"deal_id": ROW["deal_id"]}).encode(), event(ROW)
    change = decoder.decode(topic, key, value)
    assert change is not None
    row, op, row_key = change.after, change.op, change.key
    if table.map(row, op, row_key) != by_hand(row):
        raise SystemExit("the compiled dictionary and the function by hand differ")
    decode = _cost(lambda: decoder.decode(topic, key, value))
    mapped = _cost(lambda: table.map(row, op, row_key))
    hand = _cost(lambda: by_hand(row))
    whole = _cost(lambda: json.loads(value))
    return {
        "event_bytes": len(value),
        "decode_us": round(decode, 2),
        "map_us": round(mapped, 2),
        "hand_us": round(hand, 2),
        "ratio": round(mapped / hand, 2),
        "decode_and_map_us": round(decode + mapped, 2),
        "json_loads_us": round(whole, 2),
    }


def main() -> int:
    result = measure()
    print(
        json.dumps(result)
        if "--json" in sys.argv
        else "\n".join(f"{name:>20} {value:g}" for name, value in result.items())
    )
    return 0 if result["ratio"] <= 1.3 and result["decode_and_map_us"] <= 8 else 1


if __name__ == "__main__":
    raise SystemExit(main())
