"""Pages of systems, dictionary and live tail that need no server: forms, masks, filters, what is not repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from streams.console.app import create_app
from streams.console.operations.live import WantedTail, masked_values, tail_command
from streams.console.operations.quality import faults_of, right_of, score_of
from streams.console.pages.quality import spark
from streams.console.pages.systems import _has_secret, worst_slots, worst_tables
from streams.console.people import Grant, Person
from streams.dictionary.difference import compare_rows
from streams.dictionary.try_rows import MappedRow
from streams.emit.consume import Consumed
from streams.emit.tail import TailFilter, parse_fields
from streams.errors import ConfigError, EnvironmentFault
from streams.hub.quality import MeasuredQuality
from streams.monitor.new_system import check_new_system, environment_of, source_json
from streams.monitor.table_status import SourceSlot, SystemStatus, TableStatus
from streams.settings import Settings
from tests.console_client import form_token

VIEWER = Person("vera", (Grant("viewer"),))


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(Settings()), base_url="http://127.0.0.1")


def test_form_of_a_new_system_asks_for_a_password_and_says_that_nothing_is_kept(client: TestClient) -> None:
    page = client.get("/systems/new").text
    assert 'type="password"' in page and "no file, log or audit has them" in page


def test_password_is_in_no_answer(client: TestClient) -> None:
    token = form_token(client, "/systems/new")
    form = {
        "csrf": token, "name": "erp-2", "dsn": "postgresql://me:geheim1@127.0.0.1:1/x", "password": "geheim2",
    }  # fmt: skip
    answer = client.post("/systems/new", data=form)
    assert answer.status_code == 422
    assert "cannot be reached" in answer.text
    assert "geheim" not in answer.text
    api = client.post(
        "/api/v1/systems/check", json={"name": "erp-2", "dsn": "postgresql://me:geheim1@127.0.0.1:1/x", "password": "g"}
    )
    assert api.status_code == 503 and "geheim" not in api.text


@pytest.mark.parametrize(
    ("dsn", "secret"),
    [
        ("postgresql://me@db/x", False),
        ("postgresql://me:pw@db/x", True),
        ("host=db password=pw", True),
        ("postgresql://me@db/x?password=pw", True),
        ("postgresql://me:p@ss@db:5432/x", True),
    ],
)
def test_address_with_a_password_is_not_repeated(dsn: str, secret: bool) -> None:
    assert _has_secret(dsn) is secret


@pytest.mark.parametrize("dsn", ["", "nonsense", "postgresql://me:p@ss@db:5432/x", "http://x", "postgresql:///x"])
def test_what_is_no_address_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(ConfigError, match="this is not the address of a database") as refused:
        check_new_system("erp", dsn, password="geheim")
    assert "ss@db" not in str(refused.value) + refused.value.remedy
    with pytest.raises(ConfigError, match="is no name of a system"):
        check_new_system("Erp!", "postgresql://me@db/x")


def test_password_is_not_in_the_error_of_a_database_that_does_not_answer() -> None:
    with pytest.raises(EnvironmentFault) as failed:
        check_new_system("erp", "postgresql://me@127.0.0.1:1/x", password="geheim")
    assert "geheim" not in str(failed.value)


def test_new_source_json_names_variables_and_nothing_else() -> None:
    config = json.loads(source_json("erp-2"))["config"]
    assert list(config.values()) == [f"${{env:{name}}}" for name in environment_of("erp-2")]


def test_dictionary_is_listed_in_both_directions_and_searched(client: TestClient) -> None:
    by_table = client.get("/dictionary?system=demo-erp&table=erp.cust").text
    assert "vat_no" in by_table and "customer.tax_id" in by_table
    by_field = client.get("/dictionary?by=field&entity=customer&field=tax_id").text
    assert "demo-crm" in by_field and "demo-erp" in by_field and "owner:" in by_field
    assert "customer.tax_id" in client.get("/dictionary?text=vat_no").text
    assert "No rule is like that" in client.get("/dictionary?text=nothinglikethis").text


def test_edited_dictionary_is_checked_with_lines_and_written_nowhere(client: TestClient) -> None:
    text = client.get("/api/v1/dictionary/demo-erp").json()["text"]
    wrong = text.replace("steps: [nfkc, collapse]", "steps: [nfkcc, collapse]", 1)
    wrong = wrong.replace("steps: [gtin]", "steps: [gtinn]", 1)
    token = form_token(client, "/dictionary/demo-erp")
    page = client.post("/dictionary/demo-erp", data={"csrf": token, "text": wrong, "act": "check"}).text
    assert "2 mistakes" in page
    mistakes = client.post("/api/v1/dictionary/demo-erp/check", json={"text": wrong}).json()["mistakes"]
    lines = wrong.splitlines()
    assert ["nfkcc" in lines[one["line"] - 1] or "gtinn" in lines[one["line"] - 1] for one in mistakes] == [True, True]
    assert client.get("/api/v1/dictionary/demo-erp").json()["text"] == text
    saved = client.post("/dictionary/demo-erp", data={"csrf": token, "text": wrong, "act": "download"})
    assert saved.text == wrong and "attachment" in saved.headers["content-disposition"]


def test_write_back_rules_are_shown(client: TestClient) -> None:
    assert "demo-erp/" in client.get("/dictionary/rules").text


def test_operations_answer_for_a_viewer_masked() -> None:
    raw = {"op": "u", "after": {"id": 1, "email": "ann@firm.example"}, "source": {"db": "erp"}}
    assert masked_values("raw.demo-erp.erp.cust", raw, VIEWER)["after"]["email"] != "ann@firm.example"
    customer = {"id": "1", "email": "ann@firm.example", "name": "Firm AG"}
    assert masked_values("canonical.customer", customer, VIEWER)["email"] != "ann@firm.example"
    change = {"entity": "customer", "fields": {"email": "ann@firm.example"}}
    assert masked_values("changes.customer", change, VIEWER)["fields"]["email"] != "ann@firm.example"
    conflict = {"entity": "customer", "field": "email", "values": [{"system": "erp", "value": "ann@firm.example"}]}
    assert masked_values("conflicts", conflict, VIEWER)["values"][0]["value"] != "ann@firm.example"
    letter = {"exception.message": "ann@firm.example is odd", "record": {"after": {"email": "ann@firm.example"}}}
    assert "ann@" not in str(masked_values("deadletters", letter, VIEWER))


def record(topic: str, values: object, key: str = "k1") -> Consumed:
    return Consumed(topic, 0, 1, 0, key, None, values)  # type: ignore[arg-type]


def test_filters_of_the_tail() -> None:
    raw = record("raw.demo-erp.erp.cust", {"after": {"ctry": "DE", "cred_lim": 5, "blocked": None}}, '{"id":7}')
    assert TailFilter(key='"id":7').lets_through(raw)
    assert TailFilter(fields={"ctry": "DE", "cred_lim": "5", "blocked": "null"}).lets_through(raw)
    assert not TailFilter(fields={"ctry": "FR"}).lets_through(raw)
    assert TailFilter(system="demo-erp").lets_through(raw) and not TailFilter(system="demo-crm").lets_through(raw)
    assert TailFilter(text="CTRY").lets_through(raw) and not TailFilter(text="elsewhere").lets_through(raw)
    assert TailFilter(system="erp").lets_through(record("conflicts", {"values": [{"system": "erp"}]}))
    assert parse_fields(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}
    with pytest.raises(ConfigError, match="is no field=value"):
        parse_fields(["a"])
    assert tail_command(WantedTail(topic="raw", where=["a=b"])) == "opshub consume raw --where 'a=b'"


def row(fields: dict[str, object] | None, **more: object) -> MappedRow:
    made = {"entity": "customer", "key": "7", "id": "x", "deleted": False, "adds_fields": False, "parent": None}
    records = [] if fields is None else [made | {"same_as": None, "fields": fields}]
    return {"table": "erp.cust", "row": {"id": 7}, "records": records, **more}  # type: ignore[typeddict-item,return-value]


def test_difference_of_two_dictionaries() -> None:
    before = [row({"name": "A", "attributes": {"no": "1"}}), row({"name": "B"}), row({"name": "C"}), row(None)]
    rejected: MappedRow = {"table": "erp.cust", "row": {}, "rejected": "bad value"}
    after = [row({"name": "A", "attributes": {"no": "2"}}), row({"name": "B"}), rejected, row({"name": "D"})]
    found = compare_rows(before, after)
    assert (found.compared, len(found.rows), found.by_field) == (4, 3, {"customer.attributes.no": 1})
    assert [(value.before, value.after) for value in found.rows[0].changed] == [("1", "2")]
    assert found.rows[1].rejected == "bad value" and found.rows[1].removed == ["customer 7"]
    assert found.rows[2].added == ["customer 7"]
    assert compare_rows([rejected], [row({"name": "C"})]).rows[0].accepted == "bad value"


def test_score_counts_what_is_there_and_without_fault() -> None:
    figures = MeasuredQuality("customer", "email", 10, 8, 1, 1, 0, 0, 0, "2026-11-30T12:00:00Z")
    assert (faults_of(figures), score_of(figures), right_of(figures)) == (2, 0.6, 0.75)
    assert spark([]) == "" and spark([0.5]).count(",") == 2
    heights = [float(point.split(",")[1]) for point in spark([0.1, 0.9]).split()]
    assert 0 < heights[1] < heights[0] < 28


def status(name: str, left: int | None, *tables: TableStatus) -> SystemStatus:
    slot = SourceSlot(name=name, left_bytes=left, limit_bytes=100)
    return SystemStatus(
        name=name, kind="postgres", state="ok", connector="RUNNING", problem=None, paused=None, slot=slot,
        tables=list(tables),
    )  # fmt: skip


def test_worst_comes_first() -> None:
    def table(name: str, state: str) -> TableStatus:
        return TableStatus(
            system="erp", table=name, entities=[], state=state, problem=None, remedy=None, waiting=0,  # type: ignore[arg-type]
            last_at=datetime.now(UTC), today=0, taken=1, dead=0, parked=0, paused=False, change=None,
        )  # fmt: skip

    both = [status("a", 90, table("w", "warn"), table("o", "ok")), status("b", 10, table("b", "bad"))]
    assert [one.table for one in worst_tables(both)] == ["b", "w"]
    assert [one.name for one in worst_slots(both)] == ["b", "a"]
