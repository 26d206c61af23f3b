"""The writers of aggregates agree on who is who, in whatever order links, merges and splits reach them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import PEOPLE
from streams.testing import MemoryPipeline
from tests.property.stories import customer, folded, serve_all


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_two_systems_make_one_customer(data: st.DataObject) -> None:
    crm, erp = source_id("crm", "customer", "A"), source_id("erp", "customer", "7")
    changes = [
        customer("crm", "A", 1, name="Ada Ltd", phone="1"),
        customer("erp", "7", 2, name="ADA"),
        customer("erp", "7", 3, same_as=crm, name="ADA", credit_limit=5_0000),
        Change(
            "change",
            "contact",
            source_id("erp", "contact", "c"),
            "erp",
            "c",
            "u",
            0,
            4,
            0,
            4,
            parent=erp,
            fields={"customer_id": erp},
        ),
    ]

    pipeline = MemoryPipeline()
    waiting = list(data.draw(st.permutations(changes)))
    while waiting or pipeline.queues:
        if waiting and (not pipeline.queues or data.draw(st.booleans())):
            pipeline.send_change(waiting.pop(0))
            continue
        key = data.draw(st.sampled_from(sorted(pipeline.queues)))
        pipeline.serve(key, data.draw(st.integers(1, 3)))
    assert pipeline.reversions == []
    records = folded(pipeline)
    assert set(records) == {("customer", crm), ("contact", source_id("erp", "contact", "c"))}
    golden = records["customer", crm]
    assert golden["name"] == "Ada Ltd"
    assert golden["credit_limit"] == 5_0000
    assert [source["system"] for source in golden["sources"]] == ["crm", "erp"]
    assert records["contact", source_id("erp", "contact", "c")]["customer_id"] == crm


MERGED = [("crm", "A"), ("crm", "B"), ("erp", "1"), ("erp", "2"), ("erp", "3")]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_people_merge_and_split_and_what_hangs_on_them_follows(data: st.DataObject) -> None:
    """Merges of merged records and splits out of the midst of them: each record is where the last word put it, with its contact."""
    ids = [source_id(system, "customer", key) for system, key in MERGED]
    pipeline = MemoryPipeline()

    for number, (system, key) in enumerate(MERGED):
        tell = customer(system, key, 1, name=f"Name {number}", phone=str(number))
        pipeline.send("changes.customer", tell.id, tell)
        person = Change(
            "change", "contact", source_id(system, "contact", key), system, key, "u", 0, 1, 0, 1, parent=tell.id,
            fields={"customer_id": tell.id},
        )  # fmt: skip
        pipeline.send("changes.customer", tell.id, person)
    serve_all(pipeline, data)
    into: dict[int, int] = {}

    def root(one: int) -> int:
        while one in into:
            one = into[one]
        return one

    for at in range(data.draw(st.integers(1, 8))):
        one, other = data.draw(st.permutations(range(len(MERGED))))[:2]
        if data.draw(st.booleans()):
            loser, winner = root(one), root(other)
            if loser == winner:
                continue
            into[loser] = winner
            link = Change("link", "customer", ids[loser], PEOPLE, same_as=ids[winner], target=ids[winner])
            pipeline.send("changes.customer", ids[loser], link)
        elif one in into:
            live = root(one)
            del into[one]
            pipeline.send("changes.customer", ids[live], Change("link", "customer", ids[one], PEOPLE, target=ids[one]))
        else:
            continue
        if data.draw(st.booleans()):
            system, key = MERGED[one]
            again = customer(system, key, 2 + at, name=f"Name {one}.{at}", phone=str(one))
            pipeline.send("changes.customer", pipeline.hub.entities[ids[one]].aggregate_id, again)
        serve_all(pipeline, data)
        made: dict[str, set[tuple[str, str]]] = {}
        for number, source in enumerate(MERGED):
            made.setdefault(ids[root(number)], set()).add(source)
        records = folded(pipeline)
        found = {
            entity_id: {(source["system"], source["key"]) for source in record["sources"]}
            for (entity, entity_id), record in records.items()
            if entity == "customer"
        }
        assert found == made
        for number, (system, key) in enumerate(MERGED):
            assert records["contact", source_id(system, "contact", key)]["customer_id"] == ids[root(number)]
        for entity, _, _ in pipeline.hub.entities.values():
            if entity.version and entity.merged_into is None and entity.entity == "customer":
                assert entity.updated_us <= max(one.source_us for one in entity.contributions.values())
    assert pipeline.reversions == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_merges_that_cross_each_other_leave_one_record(data: st.DataObject) -> None:
    """Whoever decides, and in whatever order they come through: no circle, nothing lost, each source speaks for one record."""
    ids = [source_id(system, "customer", key) for system, key in MERGED]
    pipeline = MemoryPipeline()
    for number, (system, key) in enumerate(MERGED):
        tell = customer(system, key, 1, name=f"Name {number}", phone=str(number))
        pipeline.send("changes.customer", tell.id, tell)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=5))
    if data.draw(st.booleans()):
        pairs = [*pairs, *((winner, loser) for loser, winner in pairs)]
    for loser, winner in pairs:
        if loser != winner:
            link = Change("link", "customer", ids[loser], PEOPLE, same_as=ids[winner], target=ids[winner])
            pipeline.send("changes.customer", ids[loser], link)
    serve_all(pipeline, data, limit=500)
    assert pipeline.reversions == []
    spoken = [
        (source["system"], source["key"])
        for (entity, _), record in folded(pipeline).items()
        if entity == "customer"
        for source in record["sources"]
    ]
    assert sorted(spoken) == sorted(MERGED)
