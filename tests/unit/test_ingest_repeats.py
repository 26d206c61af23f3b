"""A batch of ingest that is tried again emits all that it emitted at first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streams.model.change import Change, Mapped, Position, Resnapshot, RowChange
from streams.model.ids import source_id
from streams.pipeline.ingest import Ingest

TOPIC = "raw.demo-erp.erp.dlv_head"
ORDER, SHIPMENT = source_id("demo-erp", "sales_order", "1"), source_id("demo-erp", "shipment", "7")


class Shipments:
    """A route that reads one shipment, whatever it is given."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def at_epoch(self, epoch: int) -> None: ...

    def begin(self) -> None: ...

    def take_resnapshots(self) -> list[Resnapshot]:
        return []

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> RowChange:
        return RowChange("demo-erp", "erp.dlv_head", "c", key, None, {}, Position(0, 1, 1), 1, None, None)

    def map(self, change: RowChange) -> list[Mapped]:
        return [Mapped("shipment", "7", SHIPMENT, {"number": "LF7"}, parent=ORDER)]


async def nothing(name: str, *parameters: Any) -> list[Any]:
    return []


def kind_and_target(change: Change) -> bytes:
    return f"{change.kind} {change.target}".encode()


async def test_a_link_is_emitted_again_until_it_is_committed() -> None:
    record = SimpleNamespace(
        topic=lambda: TOPIC, partition=lambda: 0, offset=lambda: 3, key=lambda: b"{}", value=lambda: b"{}", headers=lambda: None, timestamp=lambda: (0, 0)
    )  # fmt: skip
    step = Ingest({TOPIC: Shipments()}, kind_and_target)  # type: ignore[dict-item]
    link = (SHIPMENT.encode(), f"link {ORDER}".encode())
    for _ in range(2):  # the hub or Kafka was away: the same batch once more
        outputs, outcome = await step.step([record], nothing)
        assert link in [(one.key, one.value) for one in outputs]
    step.committed(outcome)
    outputs, _ = await step.step([record], nothing)
    assert link not in [(one.key, one.value) for one in outputs]


class LinesFirst(Shipments):
    """Kafka gives no order between topics: here that of the lines was read first."""

    def map(self, change: RowChange) -> list[Mapped]:
        if change.key == b"line":
            return [Mapped("shipment_line", "70", source_id("demo-erp", "shipment_line", "70"), {}, parent=SHIPMENT)]
        return super().map(change)


async def test_a_document_goes_before_its_lines_whatever_was_read_first() -> None:
    records = [
        SimpleNamespace(
            topic=lambda: TOPIC, partition=lambda: 0, offset=lambda at=at: at, key=lambda key=key: key, value=lambda: b"{}", headers=lambda: None, timestamp=lambda: (0, 0),
        )
        for at, key in enumerate((b"line", b"head", b"line"))
    ]  # fmt: skip
    step = Ingest({TOPIC: LinesFirst()}, lambda change: change.entity.encode())  # type: ignore[dict-item]
    outputs, _ = await step.step(records, nothing)
    emitted = [one.value for one in outputs if one.key == ORDER.encode()]
    assert emitted == [b"shipment", b"shipment_line", b"shipment_line"]
