"""A change is followed by one trace from its commit to the hub, through real Kafka; without values of the record."""

from __future__ import annotations

from tests.collector import open_collector
from tests.conftest import Pipeline
from tests.waiting import wait_for


def test_one_trace_from_the_commit_to_the_hub(pipeline: Pipeline) -> None:
    with open_collector() as collector:
        plain = pipeline.settings
        pipeline.settings = plain.model_copy(update={"traces_url": collector.url, "traces_share": 1.0})
        try:
            pipeline.start_worker("traced")
            with pipeline.connect("CRM") as crm:
                crm.execute("INSERT INTO account (name, email) VALUES ('Traced GmbH', 'traced@example.com')")
            wait_for(lambda: bool(collector.named("assemble")))
        finally:
            pipeline.stop_workers()
            pipeline.settings = plain
    assemble = collector.named("assemble")[0]
    chain = {span.span_id: span for span in collector.spans if span.trace_id == assemble.trace_id}
    ingest = chain[assemble.parent_id]
    capture = chain[ingest.parent_id]
    assert [capture.name, ingest.name, assemble.name] == ["capture", "ingest", "assemble"]
    assert capture.parent_id == ""
    assert capture.attributes["opshub.entity"] == "customer"
    assert capture.start_ns <= ingest.start_ns <= assemble.end_ns
    assert all("Traced" not in str(span) and "example.com" not in str(span) for span in collector.spans)
