"""Rows of one system that name one record: whatever the order of arrival, the first one is it, the others wait.

Copied customers with their reference: woocommerce#50614, MemberJunction#3968.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import PEOPLE
from streams.testing import MemoryPipeline
from tests.factories import changed
from tests.property.stories import UNSHRUNK, customer, folded, serve_all

CRM_A, CRM_B, CRM_C = (source_id("crm", "customer", key) for key in "ABC")


def erp(key: str) -> str:
    return source_id("erp", "customer", key)


def arrive(data: st.DataObject, rows: list[list[Change]], crashes: int = 0) -> MemoryPipeline:
    """Changes of each row in its order, rows in any; writers at work meanwhile, of which some die before they emit."""
    pipeline, waiting = MemoryPipeline(), [list(row) for row in rows]
    while any(waiting) or pipeline.queues:
        ready = [row for row in waiting if row]
        if ready and (not pipeline.queues or data.draw(st.booleans())):
            pipeline.send_change(data.draw(st.sampled_from(ready)).pop(0))
            continue
        crash = crashes > 0 and data.draw(st.booleans())
        crashes -= crash
        pipeline.serve(data.draw(st.sampled_from(sorted(pipeline.queues))), data.draw(st.integers(1, 3)), crash=crash)
    assert pipeline.reversions == []
    return pipeline


def made_of(pipeline: MemoryPipeline) -> dict[str, set[str]]:
    """Canonical customer → the rows that it is made of."""
    return {
        entity_id: {f"{source['system']}:{source['key']}" for source in record["sources"]}
        for (entity, entity_id), record in folded(pipeline).items()
        if entity == "customer"
    }


def waiting_for(pipeline: MemoryPipeline) -> set[tuple[str, str]]:
    """(record that waits, record that it names) of the open conflicts."""
    return {
        (conflict.entity_id, conflict.values["holder"])
        for conflict in pipeline.hub.conflicts.values()
        if conflict.kind == "reference"
    }


ACCOUNTS = [[customer("crm", "A", 1, name="Ada Ltd")], [customer("crm", "B", 2, name="Bee")]]


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_the_row_that_named_it_first_is_the_record(data: st.DataObject) -> None:
    """Of three copies two wait, with all that refers to them; what was no claim at first becomes one later."""
    rows = [
        *ACCOUNTS[:1],
        [customer("erp", "7", 9, name="ADA"), customer("erp", "7", 10, CRM_A, name="ADA", credit_limit=1)],
        [customer("erp", "8", 11, CRM_A, name="ADA copy", credit_limit=2), customer("erp", "8", 30, CRM_A, credit_limit=3)],
        [customer("erp", "9", 12, CRM_A, name="ADA copy 2")],
        [changed("erp", "contact", "c", 13, parent=erp("8"), customer_id=erp("8"), last_name="Kay")],
    ]  # fmt: skip
    pipeline = arrive(data, rows, crashes=3)
    assert made_of(pipeline) == {CRM_A: {"crm:A", "erp:7"}, erp("8"): {"erp:8"}, erp("9"): {"erp:9"}}
    records = folded(pipeline)
    assert records["customer", CRM_A]["credit_limit"] == 1
    assert records["customer", erp("8")]["name"] == "ADA copy"
    assert records["customer", erp("8")]["credit_limit"] == 3
    assert records["contact", source_id("erp", "contact", "c")]["customer_id"] == erp("8")
    assert waiting_for(pipeline) == {(erp("8"), CRM_A), (erp("9"), CRM_A)}


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data(), st.booleans())
def test_the_next_one_enters_when_the_first_goes(data: st.DataObject, is_deleted: bool) -> None:
    """The first row is deleted, or names another account; a third one names nobody any more."""
    last = (
        changed("erp", "customer", "7", 20, op="d", deleted=True)
        if is_deleted
        else customer("erp", "7", 20, CRM_B, name="ADA")
    )
    rows = [
        *ACCOUNTS,
        [customer("erp", "7", 10, CRM_A, name="ADA"), last],
        [customer("erp", "8", 11, CRM_A, name="ADA copy", credit_limit=2)],
        [customer("erp", "9", 12, CRM_A, name="ADA copy 2"), customer("erp", "9", 21, name="Nine")],
    ]
    pipeline = arrive(data, rows)
    b = {"crm:B"} if is_deleted else {"crm:B", "erp:7"}
    assert made_of(pipeline) == {CRM_A: {"crm:A", "erp:8"}, CRM_B: b, erp("9"): {"erp:9"}}
    assert folded(pipeline)["customer", CRM_A]["credit_limit"] == 2
    assert waiting_for(pipeline) == set()


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_snapshot_has_one_position_and_the_smaller_number_comes_first(data: st.DataObject) -> None:
    rows = [
        [changed("crm", "customer", "A", 1, op="r", name="Ada Ltd")],
        [changed("erp", "customer", "10", 1, op="r", same_as=CRM_A, name="ADA copy")],
        [changed("erp", "customer", "9", 1, op="r", same_as=CRM_A, name="ADA")],
    ]
    assert made_of(arrive(data, rows)) == {CRM_A: {"crm:A", "erp:9"}, erp("10"): {"erp:10"}}


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_claims_through_a_third_system_are_one_claim_too(data: st.DataObject) -> None:
    """The shop's customer is the CRM's, and an ERP row is the shop's: it meets the ERP row that names the CRM."""
    shop = source_id("shop", "customer", "S")
    rows = [
        *ACCOUNTS[:1],
        [customer("shop", "S", 3, CRM_A, name="shop", phone="1")],
        [customer("erp", "7", 10, CRM_A, name="ADA")],
        [customer("erp", "8", 11, shop, name="ADA copy")],
    ]
    pipeline = arrive(data, rows)
    assert made_of(pipeline) == {CRM_A: {"crm:A", "erp:7", "shop:S"}, erp("8"): {"erp:8"}}
    assert len(waiting_for(pipeline)) == 1


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data(), st.sampled_from(["merge", "separate", "unmerge the first"]))
def test_a_person_decides_whatever_comes_later(data: st.DataObject, decision: str) -> None:
    rows = [
        *ACCOUNTS[:1],
        [customer("erp", "7", 10, CRM_A, name="ADA")],
        [customer("erp", "8", 11, CRM_A, name="ADA copy")],
    ]
    pipeline = arrive(data, rows)
    topic = "changes.customer"
    if decision == "merge":
        link = Change("link", "customer", erp("8"), PEOPLE, same_as=CRM_A, target=CRM_A)
        pipeline.send(topic, erp("8"), link)
    elif decision == "separate":
        pipeline.send(topic, erp("8"), Change("link", "customer", erp("8"), PEOPLE, target=erp("8")))
    else:
        pipeline.send(topic, CRM_A, Change("link", "customer", erp("7"), PEOPLE, target=erp("7")))
    if data.draw(st.booleans()):
        serve_all(pipeline, data)
    pipeline.send_change(customer("erp", "8", 30, CRM_A, name="ADA copy", phone="8"))
    pipeline.send_change(customer("erp", "7", 31, CRM_A, name="ADA", phone="7"))
    serve_all(pipeline, data)
    assert pipeline.reversions == []
    expected = {
        "merge": {CRM_A: {"crm:A", "erp:7", "erp:8"}},
        "separate": {CRM_A: {"crm:A", "erp:7"}, erp("8"): {"erp:8"}},
        "unmerge the first": {CRM_A: {"crm:A", "erp:8"}, erp("7"): {"erp:7"}},
    }
    assert made_of(pipeline) == expected[decision]
    assert waiting_for(pipeline) == set()


def test_a_row_stays_in_a_record_that_was_merged_into_another() -> None:
    """Ingest then links the row to the record that stays, which is where it is already."""
    pipeline = MemoryPipeline()
    for change in (*ACCOUNTS[0], *ACCOUNTS[1], customer("erp", "7", 10, CRM_A, name="ADA")):
        pipeline.send_change(change)
        pipeline.run()
    pipeline.send("changes.customer", CRM_A, Change("link", "customer", CRM_A, PEOPLE, same_as=CRM_B, target=CRM_B))
    pipeline.run()
    link = Change("link", "customer", erp("7"), "erp", "7", "u", 0, 20, 0, same_as=CRM_A, target=CRM_B)
    pipeline.send("changes.customer", erp("7"), link)
    pipeline.run()
    assert made_of(pipeline) == {CRM_B: {"crm:A", "crm:B", "erp:7"}}


@settings(max_examples=150, deadline=None, phases=UNSHRUNK)
@given(
    st.data(),
    st.lists(st.tuples(st.sampled_from([None, CRM_A, CRM_B, CRM_C]), st.booleans()), min_size=2, max_size=5),
)
def test_a_row_is_what_it_named_last_whenever_workers_die(
    data: st.DataObject, said: list[tuple[str | None, bool]]
) -> None:
    """A row names one record after another, comes back to one, or names nobody: only the last counts. That record has
    its newest values, also of a field that only some changes send.

    `said`: (record, whether the phone is sent).
    """
    row = []
    for at, (named, is_sent) in enumerate(said):
        phone = {"phone": str(at)} if is_sent else {}
        row.append(customer("erp", "7", 10 + at, named, name="ADA", credit_limit=at, **phone))
    rows = [*ACCOUNTS, [customer("crm", "C", 3, name="Cee")], row]
    crashes = data.draw(st.sampled_from([0, 1, 4]))
    pipeline = arrive(data, rows, crashes)
    last = said[-1][0] or erp("7")
    expected = {CRM_A: {"crm:A"}, CRM_B: {"crm:B"}, CRM_C: {"crm:C"}}
    expected.setdefault(last, set()).add("erp:7")
    assert made_of(pipeline) == expected
    record = folded(pipeline)["customer", last]
    assert record["credit_limit"] == len(said) - 1
    # Not promised where a worker dies: what a row left in a record that is not its own goes on by a message only.
    assert crashes or record.get("phone") == max(
        (str(at) for at, (_, is_sent) in enumerate(said) if is_sent), default=None
    )
    assert waiting_for(pipeline) == set()


@settings(max_examples=100, deadline=None, phases=UNSHRUNK)
@given(
    st.data(),
    st.lists(st.sampled_from([None, CRM_A, CRM_B]), min_size=2, max_size=4),
    st.integers(5, 14),
    st.sampled_from([CRM_A, CRM_B]),
)
def test_rows_that_meet_while_one_moves_end_as_if_nothing_had_overlapped(
    data: st.DataObject, named: list[str | None], since: int, also: str
) -> None:
    """Another row of the system names one of the records too: who is it and who waits does not depend on what was on
    its way at the same time.
    """
    moving = [customer("erp", "7", 10 + at, name, name="ADA", credit_limit=at) for at, name in enumerate(named)]
    rows = [*ACCOUNTS, moving, [customer("erp", "8", since, also, name="ADA copy")]]
    expected = MemoryPipeline()
    for change in sorted((change for row in rows for change in row), key=lambda change: (change.major, change.key)):
        expected.send_change(change)
        expected.run()
    pipeline = arrive(data, rows)
    assert made_of(pipeline) == made_of(expected)
    assert waiting_for(pipeline) == waiting_for(expected)
