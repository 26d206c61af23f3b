"""A collector of OpenTelemetry's protocol (OTLP over HTTP) that keeps the spans which it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class ReceivedSpan(NamedTuple):
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    start_ns: int
    end_ns: int


class Collector:
    """`spans` grows as they come; `url` is what OPSHUB_TRACES_URL takes."""

    def __init__(self, url: str, spans: list[ReceivedSpan]) -> None:
        self.url, self.spans = url, spans

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.name == name]


@contextmanager
def open_collector() -> Iterator[Collector]:
    spans: list[ReceivedSpan] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        values = {
                            item.key: item.value.string_value or str(item.value.int_value) for item in span.attributes
                        }
                        spans.append(
                            ReceivedSpan(
                                span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), values,
                                span.start_time_unix_nano, span.end_time_unix_nano,
                            )
                        )  # fmt: skip
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_port}/v1/traces", spans)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
