"""What a traced change leaves: headers on its records, spans in one trace; and nothing where traces are off."""

from __future__ import annotations

from types import SimpleNamespace

from streams.model.change import Position
from streams.pipeline.outcomes import EmittedChange
from streams.runtime.batch import Output
from streams.runtime.producing import produce
from streams.runtime.traces import HEADER, Traces, traces_of
from streams.settings import Settings
from tests.collector import open_collector

CUSTOMER = "6b1d3a0c-0000-4000-8000-000000000001"


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]


def test_traces_are_off_by_default() -> None:
    assert traces_of(settings()) is None


def test_a_change_is_one_trace_from_capture_to_write_back() -> None:
    change = EmittedChange("customer", CUSTOMER, None, None, False, b"value", "7", "crm", Position(0, 1, 1), 1_000_000)
    outputs = [Output("changes.customer", CUSTOMER.encode(), change.value), Output("deadletters", b"x", b"y")]
    with open_collector() as collector:
        traces = Traces(settings(traces_url=collector.url, traces_share=1.0))
        sent, other = traces.ingested(outputs, [change], read_us=2_000_000)
        assert other.headers is None
        record = SimpleNamespace(
            topic=lambda: sent.topic, partition=lambda: 0, offset=lambda: 5, key=lambda: sent.key,
            headers=lambda: sent.headers, timestamp=lambda: (1, 2_500),
        )  # fmt: skip
        canonical = Output("canonical.customer", CUSTOMER.encode(), None, [("version", b"3")])
        (emitted,), contexts = traces.assembled([record], [canonical])  # type: ignore[list-item]
        assert [name for name, _ in emitted.headers or ()] == ["version", HEADER]
        traces.written(contexts[CUSTOMER], 4, "erp/customer", "erp", 1_000_000, 9_000_000)
        traces.flush()
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"capture", "ingest", "assemble", "write_back"}
    assert len({span.trace_id for span in spans.values()}) == 1
    assert spans["write_back"].parent_id == spans["assemble"].span_id
    assert spans["assemble"].parent_id == spans["ingest"].span_id
    assert (spans["capture"].start_ns, spans["capture"].end_ns) == (1_000_000_000, 2_000_000_000)


class Kept:
    """Keeps what is produced, in order."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def produce(self, topic: str, *, value: object, key: bytes, headers: object) -> None:
        self.keys.append(key)

    def produce_batch(self, topic: str, messages: list[dict[str, bytes]]) -> int:
        self.keys += [message["key"] for message in messages]
        return len(messages)


def test_records_with_headers_keep_their_place_in_their_topic() -> None:
    kept = Kept()
    outputs = [Output("t", b"1", b"a"), Output("t", b"2", b"b", [("h", b"v")]), Output("t", b"3", b"c")]
    produce(kept, outputs)  # type: ignore[arg-type]
    assert kept.keys == [b"1", b"2", b"3"]
