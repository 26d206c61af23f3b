"""Lists, search and pages of flows and records on a real hub that the real settling filled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from starlette.testclient import TestClient

from streams.console.app import create_app
from streams.hub.flow_lists import FlowFilter, list_flows, stage_counts
from streams.hub.store import HubStore
from streams.model.ids import source_id
from streams.pipeline.service_cases import ServiceCases
from streams.resolve.rules import EntityRule, FieldRule, Ownership
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.factories import changed
from tests.integration.test_sums import Topic
from tests.writers import Writers, hub_of_its_own

XSS = "<script>alert(1)</script> & Söhne"
RULES = Ownership({"customer": EntityRule(rank=("crm", "erp"), fields={"phone": FieldRule(rank=("erp", "crm"))})})
CUSTOMER = source_id("crm", "customer", "K1")
ORDER = source_id("erp", "sales_order", "A1")
CHINESE = source_id("crm", "customer", "K2")


@pytest.fixture(scope="module")
def dsn(stack: NativeStack) -> str:
    return hub_of_its_own(stack, "console_flows")


async def make_company(dsn: str) -> None:
    """A customer with two orders, of which one is invoiced; another customer with a Chinese name."""
    writers = Writers(dsn, RULES)
    named = {"name": XSS, "tax_id": "DE142685337", "email": "office@acme.example", "phone": "+49305974551"}
    writers.say(changed("crm", "customer", "K1", 1, **named))
    writers.say(changed("crm", "customer", "K2", 2, name="华东机械有限公司"))
    for number, key in ((1042, "A1"), (7, "A2")):
        order = {"number": f"SO-{number:06}", "customer_id": CUSTOMER, "owner": "Ben Koch", "promised_date": 19_000}
        amounts = {"currency": "EUR", "net_amount": 10_000_000, "gross_amount": 11_900_000}
        times = {"status": "confirmed", "created_at": 4_000_000, "confirmed_at": 5_000_000}
        writers.say(changed("erp", "sales_order", key, 10, **order, **amounts, **times))
        line = {"line_no": 1, "quantity": 10_000_000, "unit": "C62", "net_amount": 10_000_000, "kind": "goods"}
        parent = source_id("erp", "sales_order", key)
        writers.say(changed("erp", "sales_order_line", f"{key}L", 11, parent=parent, description="Bolt", **line))
    bill = {"number": "RE-000900", "status": "open", "kind": "invoice", "currency": "EUR", "customer_id": CUSTOMER}
    money = {"gross_amount": 11_900_000, "net_amount": 10_000_000, "open_amount": 11_900_000}
    days = {"invoice_date": 19_500, "due_date": 19_530}
    writers.say(changed("erp", "invoice", "I1", 20, parent=ORDER, **bill, **money, **days))
    await writers.run()
    await add_service(dsn, writers)
    await writers.close()


async def add_service(dsn: str, writers: Writers) -> None:
    """The line of the first order is bought; its customer sends a piece back."""
    writers.say(changed("erp", "supplier", "V1", 29, name=XSS, customer_id=CUSTOMER))
    bought = {"number": "PO-004711", "status": "confirmed", "expected_date": 19_007}
    writers.say(changed("erp", "purchase_order", "P1", 30, **bought))
    of_line = {"order_line_id": source_id("erp", "sales_order_line", "A1L"), "quantity": 10_000_000, "unit": "C62"}
    writers.say(
        changed("erp", "purchase_order_line", "P1L", 31, parent=source_id("erp", "purchase_order", "P1"), **of_line)
    )
    asked = {"number": "CASE-42", "status": "open", "kind": "return", "customer_id": CUSTOMER, "opened_at": 6_000_000}
    writers.say(changed("crm", "service_request", "R1", 32, order_number="so-001042", **asked))
    back = {"number": "RMA-8", "status": "requested", "service_request_id": source_id("crm", "service_request", "R1")}
    writers.say(changed("erp", "return_order", "B1", 33, requested_at=7_000_000, **back))
    await writers.run()
    topic = Topic()
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute("UPDATE due SET at = now() - interval '1 s' WHERE kind = 'service_case'")
    store = HubStore(dsn, "cases")
    await ServiceCases(store, topic, lambda change: change).make_due()  # type: ignore[arg-type, return-value]
    await store.close()
    for message in topic.sent:
        writers.send(*message)
    await writers.run()


@pytest.fixture(scope="module")
def company(dsn: str) -> None:
    asyncio.run(make_company(dsn))


@pytest.fixture(scope="module")
def client(dsn: str, company: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("state")
    settings = Settings(_env_file=None, state_dir=folder, hub_dsn=dsn)  # type: ignore[call-arg]
    with TestClient(create_app(settings), base_url="http://127.0.0.1", follow_redirects=False) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("SO-001042", f"/flows/{ORDER}"),
        ("so-001042", f"/flows/{ORDER}"),
        ("RE-000900", f"/records/invoice/{source_id('erp', 'invoice', 'I1')}"),
        ("office@ACME.example", f"/records/customer/{CUSTOMER}"),
        ("DE142685337", f"/records/customer/{CUSTOMER}"),
        ("+49 30 5974551", f"/records/customer/{CUSTOMER}"),
        ("030/5974551", f"/records/customer/{CUSTOMER}"),
        ("Söhne", f"/records/customer/{CUSTOMER}"),
        ("华东", f"/records/customer/{CHINESE}"),
        ("机械有限", f"/records/customer/{CHINESE}"),
        (CUSTOMER, f"/records/customer/{CUSTOMER}"),
        ("crm:K1", f"/records/customer/{CUSTOMER}"),
        ("erp:sales_order:A1", f"/flows/{ORDER}"),
        ("po-004711", f"/records/purchase_order/{source_id('erp', 'purchase_order', 'P1')}"),
        ("RMA-8", f"/records/return_order/{source_id('erp', 'return_order', 'B1')}"),
        ("CASE-42", f"/records/service_request/{source_id('crm', 'service_request', 'R1')}"),
    ],
)
def test_each_kind_of_text_goes_straight_to_its_page(client: TestClient, text: str, address: str) -> None:
    answer = client.get(f"/find?text={quote(text)}")
    assert (answer.status_code, answer.headers.get("location")) == (303, address)
    assert client.get(address).status_code == 200


def test_a_partner_with_two_roles_shows_both_on_each_page(client: TestClient) -> None:
    supplier = source_id("erp", "supplier", "V1")
    text = client.get(f"/records/customer/{CUSTOMER}").text
    assert "This partner also sells to us:" in text and f"/records/supplier/{supplier}" in text
    text = client.get(f"/records/supplier/{supplier}").text
    assert "This partner also buys from us:" in text and f"/records/customer/{CUSTOMER}" in text
    assert "This partner also" not in client.get(f"/records/customer/{CHINESE}").text


def test_lists_of_supply_and_service_lead_to_their_flows(client: TestClient) -> None:
    text = client.get("/supply", params={"late": "true"}).text
    assert "SO-001042" in text and "PO-004711" in text and f"/flows/{ORDER}" in text and "7 days late" in text
    assert "SO-001042" not in client.get("/supply", params={"product": "nothing"}).text
    assert client.get("/supply", params={"document": "PO-0"}).status_code == 422
    text = client.get("/service", params={"open": "true", "kind": "return"}).text
    assert "CASE-42" in text and "approval of the return" in text and f"/flows/{ORDER}" in text
    assert "CASE-42" not in client.get("/service", params={"kind": "repair"}).text
    assert "退货审批" in client.get("/service", headers={"accept-language": "zh-CN"}).text


def test_the_last_digits_of_a_number_suffice(client: TestClient) -> None:
    assert client.get("/api/v1/find", params={"text": "1042"}).json()["records"][0]["number"] == "SO-001042"


def test_what_nobody_has_is_said_to_be_unknown(client: TestClient) -> None:
    answer = client.get("/find?text=nobody-at-all")
    assert answer.status_code == 200 and "Nothing is known of" in answer.text


@pytest.mark.parametrize(
    "text", ["%", "_", "'; --", "\\", "a\x00b", "x" * 300, "🙂🙂", "999999999999999999999", ":", "a:"]
)
def test_odd_texts_find_nothing_and_break_nothing(client: TestClient, text: str) -> None:
    assert client.get("/find", params={"text": text}).status_code == 200
    assert client.get("/flows", params={"text": text, "customer": text}).status_code in (200, 422)


def test_a_flow_shows_what_supplies_its_lines_and_its_service_cases(client: TestClient) -> None:
    page = client.get(f"/flows/{ORDER}").text
    purchase = source_id("erp", "purchase_order", "P1")
    assert "on order" in page and f'href="/records/purchase_order/{purchase}">purchase order PO-004711</a>' in page
    assert "7 days late" in page
    assert "CASE-42" in page and "RMA-8" in page and "return requested" in page
    picture = client.get(f"/api/v1/flows/{ORDER}/explanation").json()
    assert [(line["waits_for"], line["late_days"]) for line in picture["supplies"]] == [("PO-004711", 7)]
    assert [case["record"]["order_number"] for case in picture["cases"]] == ["SO-001042"]
    assert client.get(f"/flows/{ORDER}", headers={"Accept-Language": "zh"}).text.count("个案") >= 1


def test_cases_and_waiting_lines_are_listed_by_the_api(client: TestClient) -> None:
    (case,) = client.get("/api/v1/service-cases", params={"open": "true"}).json()["cases"]
    assert case["record"]["return_number"] == "RMA-8"
    assert client.get("/api/v1/service-cases/rma-8").json()["cases"] == [case]
    assert client.get("/api/v1/service-cases", params={"problem": "item_unknown"}).json()["cases"] == []
    assert client.get("/api/v1/service-cases", params={"problem": "bad"}).status_code == 422
    assert client.get("/api/v1/service-cases/nobody").status_code == 404
    (line,) = client.get("/api/v1/waiting-lines", params={"document": "PO-004711"}).json()["lines"]
    assert (line["order_number"], line["late_days"]) == ("SO-001042", 7)
    assert client.get("/api/v1/promises/nobody").status_code == 404


def test_a_flow_says_why_it_waits_and_whom_to_ask(client: TestClient) -> None:
    page = client.get(f"/flows/{source_id('erp', 'sales_order', 'A2')}").text
    assert "Goods are still to be shipped." in page and "days late" in page and "<strong>Ben Koch</strong>" in page
    wait = client.get(f"/api/v1/flows/{ORDER}/explanation").json()["wait"]
    assert (wait["what"], wait["due"], wait["late_days"] > 0, wait["ask"]) == ("payment", 19_530, True, "Ben Koch")


def test_names_are_shown_as_text(client: TestClient) -> None:
    for address in (f"/flows/{ORDER}", "/flows", f"/records/customer/{CUSTOMER}", f"/records/{CUSTOMER}/journey"):
        page = client.get(address).text
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page, address


def test_a_list_is_paged_without_gaps(client: TestClient) -> None:
    numbers, after = [], None
    while True:
        given = {"limit": 1} | ({"after": after} if after else {})
        answer = client.get("/api/v1/flows", params=given).json()
        numbers += [flow["order_number"] for flow in answer["flows"]]
        after = answer["after"]
        if after is None:
            break
    assert sorted(numbers) == ["SO-000007", "SO-001042"]


def test_filters_of_lists_hold_together(client: TestClient) -> None:
    def numbers(**given: object) -> list[str]:
        answer = client.get("/api/v1/flows", params=given)  # type: ignore[arg-type]
        return sorted(flow["order_number"] for flow in answer.json()["flows"])

    both = ["SO-000007", "SO-001042"]
    assert numbers(customer="söhne") == numbers(customer=CUSTOMER) == numbers(customer="crm:K1") == both
    assert numbers(customer="华东") == []
    assert numbers(stage="ordered") == numbers(number="7") == numbers(text="so-0000") == ["SO-000007"]
    assert numbers(stage=["ordered", "invoiced"]) == numbers(text="alert(1)") == both
    assert numbers(text="so-", number="1042") == ["SO-001042"] and numbers(text="nobody", number="1042") == []
    assert numbers(stuck="true") == both and numbers(stuck="true", stage="won") == []
    assert client.get("/api/v1/flows", params={"stage": "unknown"}).status_code == 422


def test_stages_are_counted(client: TestClient, dsn: str) -> None:
    with psycopg.connect(dsn) as hub:
        counts = {count.stage: (count.count, count.exact) for count in stage_counts(hub)}
        lines = list_flows(hub, FlowFilter(limit=10))
    assert counts["ordered"] == counts["invoiced"] == (1, True) and counts["paid"] == (0, True)
    assert len(lines) == 2


def test_a_record_says_who_says_what(client: TestClient) -> None:
    picture = client.get(f"/api/v1/records/{CUSTOMER}").json()
    fields = {origin["field"]: origin for origin in picture["fields"]}
    assert (fields["phone"]["winner"], fields["phone"]["decided_by"]) == ("crm", "one source")
    assert [flow["order_number"] for flow in picture["flows"]] != []


def test_a_journey_has_the_commit_and_its_position(client: TestClient) -> None:
    steps = client.get(f"/api/v1/records/{ORDER}/journey").json()["steps"]
    (committed,) = [step for step in steps if step["kind"] == "committed"]
    assert (committed["system"], committed["about"], committed["at"] is not None) == ("erp", "A1", True)
    assert steps[-1]["kind"] == "in_hub"


def test_entities_are_browsed_by_name_and_by_number(client: TestClient) -> None:
    names = client.get("/api/v1/records", params={"entity": "customer"}).json()["records"]
    assert [record["id"] for record in names] == [CUSTOMER, CHINESE]
    first = client.get("/api/v1/records", params={"entity": "sales_order", "limit": 1}).json()
    second = client.get("/api/v1/records", params={"entity": "sales_order", "limit": 1, "after": first["after"]}).json()
    assert [first["records"][0]["number"], second["records"][0]["number"]] == ["SO-001042", "SO-000007"]
    assert client.get("/records?entity=nothing").status_code == 422


def test_a_deleted_flow_leaves_the_lists(dsn: str, client: TestClient) -> None:
    with psycopg.connect(dsn) as hub:
        hub.execute("UPDATE entity SET deleted = true WHERE entity IN ('order_flow', 'sales_order') AND aggregate_id = %s",
                    [source_id("erp", "sales_order", "A2")])  # fmt: skip
        assert [line.order_number for line in list_flows(hub, FlowFilter())] == ["SO-001042"]
        hub.rollback()
