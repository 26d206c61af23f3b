"""Traces of sampled changes: capture → ingest → assemble → write-back, by OpenTelemetry. Off unless OPSHUB_TRACES_URL
is set; needs the extra `traces`.

The context of a trace travels as the header `traceparent` (W3C Trace Context) of records on the change topics and on
the canonical topics, and in the hub in the intents that a change causes. Spans carry a record's coordinates, never its
values.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from streams.errors import ConfigError
from streams.runtime.batch import Output
from streams.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from streams.model.kafka_record import KafkaRecord

HEADER = "traceparent"
"""Name of the header: version, trace id, span id, flags."""

Attributes = Mapping[str, str | int]


class TracedChange(Protocol):
    """What a span says of a change."""

    @property
    def entity(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def system(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def source_us(self) -> int: ...


class Traces:
    """Makes the spans of one worker and exports them in the background; an exporter that fails loses spans only."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when the packages are missing."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise ConfigError(
                "OPSHUB_TRACES_URL is set, and the packages for traces are not installed",
                remedy="pip install 'opshub[traces]', or unset OPSHUB_TRACES_URL",
            ) from error
        resource = Resource.create({"service.name": "opshub", "service.instance.id": settings.worker})
        # What is left when the process ends is exported then.
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces_url)))
        self._tracer = self._provider.get_tracer("opshub")
        self._share = settings.traces_share

    def flush(self) -> None:
        """Export now what waits."""
        self._provider.force_flush()

    def span(self, name: str, parent: str | None, start_us: int, end_us: int, about: Attributes) -> str:
        """Record a span (times in µs since 1970) and return its context for those that follow from it."""
        from opentelemetry.trace import propagation
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {} if parent is None else {HEADER: parent}
        context = TraceContextTextMapPropagator().extract(carrier)
        attributes = {f"opshub.{key}": value for key, value in about.items()}
        span: Span = self._tracer.start_span(name, context, attributes=attributes, start_time=start_us * 1000)
        span.end(end_time=max(start_us, end_us) * 1000)
        made: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(made, propagation.set_span_in_context(span, context))
        return made[HEADER]

    def ingested(self, outputs: Sequence[Output], changes: Iterable[TracedChange], read_us: int) -> list[Output]:
        """The outputs of ingest, of which a share begins a trace each: they carry its context."""
        by_value = {id(change.value): change for change in changes if random.random() < self._share}
        if not by_value:
            return list(outputs)
        traced = []
        now = _now_us()
        for output in outputs:
            change = by_value.get(id(output.value))
            if change is None:
                traced.append(output)
                continue
            about: dict[str, str | int] = {"system": change.system, "entity": change.entity, "entity_id": change.id}
            captured = self.span("capture", None, change.source_us, read_us, about)
            context = self.span("ingest", captured, read_us, now, about | {"topic": output.topic})
            traced.append(output._replace(headers=_with(output, context)))
        return traced

    def assembled(
        self, records: Sequence[KafkaRecord], outputs: Sequence[Output]
    ) -> tuple[list[Output], dict[str, str]]:
        """(the outputs of assemble, those about a traced aggregate with the context; aggregate → context)."""
        contexts: dict[str, str] = {}
        now = _now_us()
        for record in records:
            headers = record.headers()
            parent = next((value.decode() for name, value in headers or () if name == HEADER), None)
            key = record.key()
            if parent is not None and key is not None:
                about: dict[str, str | int] = {
                    "topic": record.topic(), "partition": record.partition(), "offset": record.offset(),
                    "aggregate_id": key.decode(),
                }  # fmt: skip
                contexts[key.decode()] = self.span("assemble", parent, record.timestamp()[1] * 1000, now, about)
        if not contexts:
            return list(outputs), contexts
        keys = {aggregate.encode(): context for aggregate, context in contexts.items()}
        traced = [
            output._replace(headers=_with(output, keys[output.key])) if output.key in keys else output
            for output in outputs
        ]
        return traced, contexts

    def written(self, context: str, intent: int, rule: str, target: str, cause_us: int, now_us: int) -> None:
        """The span of an intent that a target took."""
        about: dict[str, str | int] = {"intent": intent, "rule": rule, "target": target}
        self.span("write_back", context, cause_us, now_us, about)


def traces_of(settings: Settings) -> Traces | None:
    """The traces of a worker; None where they are off."""
    return Traces(settings) if settings.traces_url else None


def _with(output: Output, context: str) -> list[tuple[str, bytes]]:
    return [*(output.headers or ()), (HEADER, context.encode())]


def _now_us() -> int:
    return time.time_ns() // 1000
