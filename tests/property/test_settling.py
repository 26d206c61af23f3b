"""The aggregates' writers agree on one story, whatever the order in which changes reach them.

`World` is a model of what surrounds the pure step: a row store guarded by revisions, and one queue for each aggregate. Hypothesis
chooses which queue is served next, so every interleaving that Kafka could give, and more, is reachable.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streams.hub.intents import NewIntent
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import PEOPLE, changes_topic
from streams.model.state import AggregateState, EntityState
from streams.pipeline.settle import Settling
from streams.resolve.golden import Ownership
from streams.writeback.planner import NO_RULES, IntentPlanner
from tests.factories import changed

UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Making a failure smaller takes minutes, and the stories are short anyway."""


class World:
    def __init__(self, planner: IntentPlanner = NO_RULES) -> None:
        self._planner = planner
        self.intents: list[NewIntent] = []
        self.rows: dict[str, tuple[EntityState, str]] = {}
        self.identity: dict[str, tuple[str, bool]] = {}
        self.queues: dict[str, list[tuple[str, Change]]] = {}
        self.topic: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = {}
        self.gone_back: list[str] = []
        self.dead: bool = False
        """Whether any writer died: what comes next may have come before."""

    def send(self, topic: str, key: str, change: Change) -> None:
        self.queues.setdefault(key, []).append((topic[8:], change))

    def load(self, kind: str, key: str) -> AggregateState:
        state = AggregateState(key, kind, members={}, sources={})
        if key in self.identity:
            target = self.identity[key][0]
            state.forward, state.unmerged = (None, True) if target == key else (target, False)
        for entity, aggregate in self.rows.values():
            if aggregate == key:
                state.members[entity.id] = copy.deepcopy(entity)
                if entity.merged_into is None:
                    for source in entity.contributions:
                        if source != entity.id:
                            state.sources[source] = entity.id
        return state

    def serve(self, key: str, count: int, dies: bool = False) -> None:
        """`dies`: after the hub's commit, before anything is emitted; what was taken stays, to be taken by whoever comes next."""
        queue = self.queues[key]
        taken = queue[:count]
        if not dies:
            self.queues[key] = queue[count:]
        if not self.queues[key]:
            del self.queues[key]
        foreign: dict[str, str] = {}
        refused: set[str] = set()
        while True:
            state = self.load(taken[0][0], key)
            settling = Settling(Ownership(), foreign, self._planner)
            settling.refused = refused
            settling.doubtful = {key} if self.dead else set()
            settling.unmerged = {
                change.id
                for _, change in taken
                if change.id not in state.sources and self.identity.get(change.id) == (change.id, True)
            }
            settling.apply(state, [(change, None) for _, change in taken])
            settling.references()
            settling.settle(self.same)
            circles = {
                one["source_id"]
                for one in settling.links
                if one["same"] and self.closes(one["source_id"], one["target"])
            }
            if circles:
                refused |= circles
                continue
            stale = {
                entity.id
                for entity, _, _ in settling.rows()
                if entity.id in self.rows and self.rows[entity.id][0].revision != entity.revision - 1
            }
            if not stale:
                break
            foreign.update({one: self.rows[one][1] for one in stale})
        for entity, aggregate, _ in settling.rows():
            self.rows[entity.id] = (copy.deepcopy(entity), aggregate)
        for link in settling.links:
            self.identity[link["source_id"]] = (link["target"], link["same"])
        assert not settling.dead
        self.intents += settling.intents
        if dies:
            self.dead = True
            return
        for topic, target, change in settling.sent_on:
            self.send(topic, target, change)
        for entity, entity_id, version, record, _ in settling.emitted():
            known = self.topic.get((entity, entity_id))
            if known is not None and (version < known[0] or (version == known[0] and record != known[1])):
                self.gone_back.append(f"{entity} {entity_id}: {known} then {(version, record)}")
            self.topic[entity, entity_id] = (version, record)

    def same(self, source: str) -> str:
        for _ in range(8):
            target, same = self.identity.get(source, (source, True))
            if not same or target == source:
                break
            source = target
        return source

    def closes(self, source: str, target: str) -> bool:
        """As the hub's statement `circles` says."""
        return source != target and self.same(target) == source

    def home(self, entity_id: str) -> str:
        """The aggregate in which an entity's row is."""
        return self.rows[entity_id][1]

    def folded(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What a compacted topic holds at last, without how many steps it took and when the last that mattered came."""
        return {
            key: {name: value for name, value in record.items() if name not in ("version", "updated_at")}
            for key, (_, record) in self.topic.items()
            if record is not None
        }


def row(
    entity: str, key: str, major: int, parent: tuple[str, str] | None = None, deleted: bool = False, **fields: Any
) -> Change:
    parent_id = source_id("erp", *parent) if parent else None
    return changed("erp", entity, key, major, parent=parent_id, deleted=deleted, **fields)


def say(world: World, change: Change) -> None:
    """As ingest does when it knows no homes at all."""
    home = change.parent or change.id
    topic = changes_topic(ENTITIES[change.entity].aggregate)
    world.send(topic, home, change)
    if change.parent is not None:
        world.send(topic, change.id, Change("link", change.entity, change.id, target=home))


STORY = [
    row("opportunity", "O", 1, number="OPP-1", stage="won", amount=100_0000),
    row(
        "sales_order",
        "S",
        2,
        ("opportunity", "O"),
        number="SO-1",
        status="confirmed",
        net_amount=100_0000,
        created_at=5,
    ),
    row("sales_order_line", "L1", 3, ("sales_order", "S"), line_no=1, quantity=4_000000, net_amount=60_0000),
    row("sales_order_line", "L2", 4, ("sales_order", "S"), line_no=2, quantity=1_000000, net_amount=40_0000),
    row("shipment", "H", 5, ("sales_order", "S"), number="D-1", status="shipped", shipped_at=9),
    row(
        "shipment_line",
        "HL",
        6,
        ("shipment", "H"),
        order_line_id=source_id("erp", "sales_order_line", "L1"),
        quantity=2_000000,
    ),
    row("invoice", "I", 7, ("sales_order", "S"), number="I-1", kind="invoice", status="open", gross_amount=119_0000),
    row("invoice_line", "I1", 7, ("invoice", "I"), line_no=1, quantity=4_000000, net_amount=60_0000),
    row("invoice_line", "I2", 7, ("invoice", "I"), line_no=2, quantity=1_000000, net_amount=40_0000),
    row("payment", "P", 8, ("invoice", "I"), number="P-1", status="cleared", amount=19_0000, paid_at=11),
    row("sales_order_line", "L2", 9, None, deleted=True),  # as a delete comes: with its key, and without its parent
    row(
        "invoice",
        "I",
        10,
        ("sales_order", "S"),
        number="I-1",
        kind="invoice",
        status="partially_paid",
        gross_amount=119_0000,
    ),
    row("invoice_line", "I1", 11, ("invoice", "I"), line_no=3, quantity=4_000000, net_amount=60_0000),
    row("invoice_line", "I2", 12, None, deleted=True),
]


def of_line(key: str) -> str:
    return source_id("erp", "sales_order_line", key)


SALE = [
    row("opportunity", "O", 1, number="OPP-1", stage="won", won_at=4),
    row("sales_order", "S", 2, ("opportunity", "O"), status="confirmed", net_amount=100_0000, currency="EUR", created_at=5),
    row("sales_order_line", "L", 3, ("sales_order", "S"), line_no=1, quantity=3_000000, net_amount=100_0000),
]  # fmt: skip

ENDINGS: dict[str, tuple[list[Change], dict[str, Any]]] = {
    "split shipments": (
        [
            change
            for number in range(3)
            for change in (
                row("shipment", f"H{number}", 10 + number, ("sales_order", "S"), status="shipped", shipped_at=7 + number),
                row("shipment_line", f"H{number}", 20 + number, ("shipment", f"H{number}"), order_line_id=of_line("L"), quantity=1_000000),
                row("shipment", f"H{number}", 30 + number, ("sales_order", "S"), status="delivered", shipped_at=7 + number, delivered_at=9),
            )
        ],
        {"stage": "delivered", "shipped_amount": 100_0000, "delivered_at": 9},
    ),
    "a return that is credited and refunded": (
        [
            row("shipment", "H", 10, ("sales_order", "S"), status="delivered", shipped_at=7, delivered_at=8),
            row("shipment_line", "H", 11, ("shipment", "H"), order_line_id=of_line("L"), quantity=3_000000),
            row("invoice", "I", 12, ("sales_order", "S"), kind="invoice", status="open", gross_amount=119_0000),
            row("payment", "P", 13, ("invoice", "I"), status="pending", amount=119_0000, paid_at=9),
            row("payment", "P", 14, ("invoice", "I"), status="cleared", amount=119_0000, paid_at=9),
            row("shipment", "H", 15, ("sales_order", "S"), status="returned", shipped_at=7, delivered_at=8),
            row("invoice", "C", 16, ("sales_order", "S"), kind="credit_note", status="open", gross_amount=119_0000),
            row("payment", "R", 17, ("invoice", "C"), status="cleared", amount=119_0000, paid_at=12),
        ],
        {"stage": "credited", "paid_amount": 0, "open_amount": 0, "shipment_status": "none"},
    ),
    "a second order in a second currency": (
        [
            row("sales_order", "T", 10, ("opportunity", "O"), status="confirmed", net_amount=9_0000, currency="JPY", created_at=6),
            row("sales_order_line", "M", 11, ("sales_order", "T"), line_no=1, quantity=1_000000, net_amount=9_0000),
            row("shipment", "H", 12, ("sales_order", "T"), status="shipped", shipped_at=7),
            row("shipment_line", "H", 13, ("shipment", "H"), order_line_id=of_line("M"), quantity=1_000000),
            row("invoice", "I", 14, ("sales_order", "T"), kind="invoice", status="open", gross_amount=9_0000, currency="JPY"),
            row("payment", "P", 15, ("invoice", "I"), status="cleared", amount=4_0000),
        ],
        {"stage": "partially_paid", "ordered_amount": 100_0000, "other_open_amounts": {"JPY": "5"}, "other_shipped_amounts": {"JPY": "9"}},
    ),
    "a cancellation, and a new order": (
        [
            row("shipment", "H", 10, ("sales_order", "S"), status="planned"),
            row("shipment", "H", 11, ("sales_order", "S"), status="cancelled"),
            row("sales_order", "S", 12, ("opportunity", "O"), status="cancelled", net_amount=100_0000, currency="EUR", created_at=5),
            row("opportunity", "O", 13, number="OPP-1", stage="negotiation", won_at=4),
            row("opportunity", "O", 14, number="OPP-1", stage="won", won_at=13),
            row("sales_order", "T", 15, ("opportunity", "O"), status="confirmed", net_amount=100_0000, currency="EUR", created_at=14),
            row("sales_order_line", "M", 16, ("sales_order", "T"), line_no=1, quantity=3_000000, net_amount=100_0000),
            row("shipment", "G", 17, ("sales_order", "T"), status="shipped", shipped_at=16),
            row("shipment_line", "G", 18, ("shipment", "G"), order_line_id=of_line("M"), quantity=3_000000),
        ],
        {"stage": "shipped", "ordered_amount": 100_0000, "line_count": 1, "shipment_count": 1},
    ),
}  # fmt: skip


def flow_of(world: World) -> dict[str, Any]:
    (flow,) = [record for (entity, _), record in world.folded().items() if entity == "order_flow"]
    return flow


def play(order: list[Change], choices: st.DataObject | None, deaths: int = 0) -> World:
    """`deaths`: how often at most a writer dies between the hub's commit and what it emits."""
    world = World()
    waiting, turns = list(order), 0
    while waiting or world.queues:
        turns += 1
        assert turns < 2000, f"it never comes to rest: {world.queues}"
        if waiting and (not world.queues or choices is None or choices.draw(st.booleans())):
            say(world, waiting.pop(0))
            continue
        keys = sorted(world.queues)
        key = keys[0] if choices is None else choices.draw(st.sampled_from(keys))
        dies = choices is not None and deaths > 0 and choices.draw(st.booleans())
        deaths -= dies
        world.serve(key, 1 if choices is None else choices.draw(st.integers(1, 3)), dies)
    return world


def test_the_story_in_order() -> None:
    world = play(STORY, None)
    flow = flow_of(world)
    assert flow["stage"] == "partially_paid"
    assert flow["ordered_amount"] == 100_0000
    assert flow["shipped_amount"] == 30_0000
    assert flow["open_amount"] == 100_0000
    assert flow["line_count"] == 1
    assert [event["what"] for event in flow["timeline"]] == ["order created", "shipped", "paid"]
    (invoice,) = [record for (entity, _), record in world.folded().items() if entity == "invoice"]
    assert [(line["line_no"], line["net_amount"]) for line in invoice["lines"]] == [(3, 60_0000)]
    assert world.gone_back == []


@settings(max_examples=150, deadline=None)
@given(st.permutations(STORY), st.data())
def test_any_order_tells_the_same_story(order: list[Change], data: st.DataObject) -> None:
    expected = play(STORY, None).folded()
    world = play(order, data)
    assert world.gone_back == []
    assert world.folded() == expected


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_any_order_tells_how_the_sale_ended(ending: str, data: st.DataObject) -> None:
    changes, told = ENDINGS[ending]
    expected = play([*SALE, *changes], None)
    flow = flow_of(expected)
    assert {field: flow[field] for field in told} == told
    world = play(data.draw(st.permutations([*SALE, *changes])), data)
    assert world.gone_back == []
    assert world.folded() == expected.folded()


@settings(max_examples=25, deadline=None)
@given(st.permutations(STORY), st.data())
def test_a_writer_that_dies_before_it_emits_changes_nothing(order: list[Change], data: st.DataObject) -> None:
    """In the end. On the way a document may be told twice at one version, without and with lines that had moved to it unseen."""
    expected = play(STORY, None).folded()
    world = play(order, data, deaths=4)
    assert world.folded() == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_order_linked_late_takes_all_that_hangs_on_it_along(data: st.DataObject) -> None:
    alone = row("sales_order", "S", 2, number="SO-1", status="confirmed", net_amount=100_0000, created_at=5)
    linked = row(
        "sales_order",
        "S",
        20,
        ("opportunity", "O"),
        number="SO-1",
        status="confirmed",
        net_amount=100_0000,
        created_at=5,
    )
    rest = [one for one in STORY if one.entity != "sales_order"]
    expected = play([STORY[0], linked, *rest[1:]], None).folded()
    order = data.draw(st.permutations([*rest, alone, linked]))
    world = play(order, data)
    assert world.gone_back == []
    assert world.folded() == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_line_that_changes_its_order_leaves_the_one_and_joins_the_other(data: st.DataObject) -> None:
    changes = [
        row("sales_order", "A", 1, number="SO-A", status="confirmed", net_amount=10_0000),
        row("sales_order", "B", 2, number="SO-B", status="confirmed", net_amount=10_0000),
        row("sales_order_line", "L", 3, ("sales_order", "A"), line_no=1, quantity=1_000000, net_amount=10_0000),
        row("sales_order_line", "M", 4, ("sales_order", "A"), line_no=2, quantity=1_000000, net_amount=10_0000),
        row("sales_order_line", "L", 5, ("sales_order", "B"), line_no=1, quantity=1_000000, net_amount=20_0000),
    ]
    world = play(changes, data)
    assert world.gone_back == []
    orders = {record["number"]: record for (entity, _), record in world.folded().items() if entity == "sales_order"}
    assert [line["net_amount"] for line in orders["SO-A"]["lines"]] == [10_0000]
    assert [line["net_amount"] for line in orders["SO-B"]["lines"]] == [20_0000]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_line_that_changes_its_invoice_leaves_the_one_and_joins_the_other(data: st.DataObject) -> None:
    """Both invoices are of one order, so that no aggregate hands anything over."""
    changes = [
        row("sales_order", "S", 1, number="SO-1", status="confirmed", net_amount=10_0000),
        row("invoice", "A", 2, ("sales_order", "S"), number="A", status="open"),
        row("invoice", "B", 3, ("sales_order", "S"), number="B", status="open"),
        row("invoice_line", "L", 4, ("invoice", "A"), line_no=1, net_amount=10_0000),
        row("invoice_line", "L", 5, ("invoice", "B"), line_no=1, net_amount=10_0000),
    ]
    world = play(changes, data)
    assert world.gone_back == []
    told = {record["number"]: record["lines"] for (entity, _), record in world.folded().items() if entity == "invoice"}
    assert (len(told["A"]), len(told["B"])) == (0, 1)


def customer(system: str, key: str, major: int, same_as: str | None = None, **fields: Any) -> Change:
    return changed(system, "customer", key, major, same_as=same_as, **fields)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_two_systems_one_customer(data: st.DataObject) -> None:
    crm, erp = source_id("crm", "customer", "A"), source_id("erp", "customer", "7")
    changes = [
        customer("crm", "A", 1, name="Ada Ltd", phone="1"),
        customer("erp", "7", 2, name="ADA"),
        customer("erp", "7", 3, same_as=crm, name="ADA", credit_limit=5_0000),
        changed("erp", "contact", "c", 4, parent=erp, customer_id=erp),
    ]

    def tell(world: World, change: Change) -> None:
        home = change.same_as or change.parent or change.id
        world.send("changes.customer", home, change)
        if change.same_as is not None:
            world.send("changes.customer", change.id, Change("link", "customer", change.id, same_as=crm, target=crm))

    world = World()
    waiting = list(data.draw(st.permutations(changes)))
    while waiting or world.queues:
        if waiting and (not world.queues or data.draw(st.booleans())):
            tell(world, waiting.pop(0))
            continue
        key = data.draw(st.sampled_from(sorted(world.queues)))
        world.serve(key, data.draw(st.integers(1, 3)))
    assert world.gone_back == []
    folded = world.folded()
    assert set(folded) == {("customer", crm), ("contact", source_id("erp", "contact", "c"))}
    golden = folded["customer", crm]
    assert golden["name"] == "Ada Ltd"
    assert golden["credit_limit"] == 5_0000
    assert [source["system"] for source in golden["sources"]] == ["crm", "erp"]
    assert folded["contact", source_id("erp", "contact", "c")]["customer_id"] == crm


MERGED = [("crm", "A"), ("crm", "B"), ("erp", "1"), ("erp", "2"), ("erp", "3")]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_people_merge_and_split_and_what_hangs_on_them_follows(data: st.DataObject) -> None:
    """Merges of merged records and splits out of the midst of them: each record is where the last word put it, with its contact."""
    ids = [source_id(system, "customer", key) for system, key in MERGED]
    world = World()

    def settle() -> None:
        while world.queues:
            key = data.draw(st.sampled_from(sorted(world.queues)))
            world.serve(key, data.draw(st.integers(1, 3)))

    for number, (system, key) in enumerate(MERGED):
        tell = customer(system, key, 1, name=f"Name {number}", phone=str(number))
        world.send("changes.customer", tell.id, tell)
        person = Change(
            "change", "contact", source_id(system, "contact", key), system, key, "u", 0, 1, 0, 1, parent=tell.id,
            fields={"customer_id": tell.id},
        )  # fmt: skip
        world.send("changes.customer", tell.id, person)
    settle()
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
            world.send("changes.customer", ids[loser], link)
        elif one in into:
            live = root(one)
            del into[one]
            world.send("changes.customer", ids[live], Change("link", "customer", ids[one], PEOPLE, target=ids[one]))
        else:
            continue
        if data.draw(st.booleans()):
            system, key = MERGED[one]
            again = customer(system, key, 2 + at, name=f"Name {one}.{at}", phone=str(one))
            world.send("changes.customer", world.home(ids[one]), again)
        settle()
        made: dict[str, set[tuple[str, str]]] = {}
        for number, source in enumerate(MERGED):
            made.setdefault(ids[root(number)], set()).add(source)
        folded = world.folded()
        found = {
            entity_id: {(source["system"], source["key"]) for source in record["sources"]}
            for (entity, entity_id), record in folded.items()
            if entity == "customer"
        }
        assert found == made
        for number, (system, key) in enumerate(MERGED):
            assert folded["contact", source_id(system, "contact", key)]["customer_id"] == ids[root(number)]
        for entity, _ in world.rows.values():
            if entity.version and entity.merged_into is None and entity.entity == "customer":
                assert entity.updated_us <= max(one.source_us for one in entity.contributions.values())
    assert world.gone_back == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_merges_that_cross_each_other_leave_one_record(data: st.DataObject) -> None:
    """Whoever decides, and in whatever order they come through: no circle, nothing lost, each source speaks for one record."""
    ids = [source_id(system, "customer", key) for system, key in MERGED]
    world = World()
    for number, (system, key) in enumerate(MERGED):
        tell = customer(system, key, 1, name=f"Name {number}", phone=str(number))
        world.send("changes.customer", tell.id, tell)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=5))
    if data.draw(st.booleans()):
        pairs = [*pairs, *((winner, loser) for loser, winner in pairs)]
    for loser, winner in pairs:
        if loser != winner:
            link = Change("link", "customer", ids[loser], PEOPLE, same_as=ids[winner], target=ids[winner])
            world.send("changes.customer", ids[loser], link)
    served = 0
    while world.queues:
        key = data.draw(st.sampled_from(sorted(world.queues)))
        world.serve(key, data.draw(st.integers(1, 3)))
        served += 1
        assert served < 500, "the aggregates hand records to each other for ever"
    assert world.gone_back == []
    spoken = [
        (source["system"], source["key"])
        for (entity, _), record in world.folded().items()
        if entity == "customer"
        for source in record["sources"]
    ]
    assert sorted(spoken) == sorted(MERGED)
