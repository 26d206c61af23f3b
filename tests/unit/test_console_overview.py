"""The overview's pure parts: the picture's layout, trends, live readings; and the page without a hub."""

from __future__ import annotations

import socket
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from streams.console.live_reading import (
    ANSWER_WITHIN_S,
    Away,
    Counters,
    Live,
    ServerLooks,
    Servers,
    WorkersNow,
    live_of,
)
from streams.console.pages.overview import Section
from streams.console.picture import lay_out
from streams.console.render import environment
from streams.console.server_answers import ServerAnswers
from streams.console.trend import newest, trend
from streams.errors import EnvironmentFault
from streams.hub.alerts import OpenAlert
from streams.hub.figures import WaitingCounts, WeekFigure
from streams.hub.live import TargetCount, TopicCount
from streams.hub.needs import ConflictNeed, DeadLetterNeed, IntentNeed
from streams.hub.workers import LaneReport, RecentLatency, WorkerReport
from streams.monitor.business_figures import monday, receivables
from streams.monitor.needs import conflict_needs, dead_letter_needs, intent_needs
from streams.provision.systems import load_systems
from streams.settings import Settings
from tests.waiting import wait_for

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("systems", [0, 1, 2, 7])
def test_boxes_of_any_number_of_systems_do_not_overlap(systems: int) -> None:
    names = [f"s{number}" for number in range(systems)]
    picture = lay_out(names, names[:1])
    columns = [picture.sources, picture.targets]
    for column in columns:
        for above, below in pairwise(column):
            assert above.y + above.height < below.y
    for box in (*picture.sources, *picture.targets, picture.workers, picture.hub):
        assert 0 <= box.x
        assert box.x + box.width <= picture.width
        assert 0 <= box.y
        assert box.y + box.height <= picture.height
    assert len(picture.arrows) == systems + 1 + len(picture.targets)


def test_trend_breaks_where_a_week_has_no_value() -> None:
    drawn = trend([1.0, 2.0, None, 4.0])
    assert len(drawn.paths) == 2
    assert drawn.last_y == 3.0, "the greatest value is at the top"
    assert trend([None, None]).paths == []


def test_tile_says_when_its_week_is_not_this_one() -> None:
    figure = newest([5.0, 4.0, None], [1, 2, 0])
    assert (figure.value, figure.is_this_week, figure.change, figure.count) == (4.0, False, -1.0, 2)
    assert newest([None], [0]).value is None


def worker(name: str, *, silent_s: float = 0.0, records_in: int = 0, lag: int = 0) -> WorkerReport:
    lanes = {"assemble": LaneReport(1, lag, records_in, 0, 0)}
    return WorkerReport(
        name, "127.0.0.1", 1, 1, "1", ["assemble"], started_at=NOW, seen_at=NOW, silent_s=silent_s, waiting=None,
        lanes=lanes, latency=RecentLatency(1, 12.0, 90.0),
    )  # fmt: skip


def counters(at: float, taken: int, workers: list[WorkerReport], **more: object) -> Counters:
    given: dict[str, object] = {
        "topics": [TopicCount("raw.crm.public.a", taken, 0, taken, 0.5), TopicCount("raw.erp.x.b", 7, 0, 7, 9.0)],
        "targets": [TargetCount("erp", 10, 0, 3, 1, None, None, None, None)],
        "dead_letters": {}, "alerts": [], "waiting": WaitingCounts(),
    }  # fmt: skip
    return Counters(at=at, workers=workers, **(given | more))  # type: ignore[arg-type]


RUNNING = Servers([], {"crm": ("RUNNING", ""), "erp": ("RUNNING", "")})


def test_rates_are_differences_of_two_readings() -> None:
    kept = [counters(0.0, 100, [worker("w", records_in=10)]), counters(4.0, 300, [worker("w", records_in=50, lag=5)])]
    live = live_of(["crm", "erp"], kept, RUNNING, hub_answers=True)
    assert [(system.name, system.rate, system.quiet_s, system.state) for system in live.systems] == [
        ("crm", 50.0, 0.5, "ok"),
        ("erp", 0.0, 9.0, "ok"),
    ]
    assert (live.workers.rate, live.workers.lag, live.workers.p99_ms, live.workers.state) == (10.0, 5, 90.0, "ok")
    assert (live.targets[0].per_minute, live.targets[0].on_the_way) == (2.0, 3)
    assert live_of(["crm"], kept[:1], RUNNING, hub_answers=True).systems[0].rate is None


def test_dead_letters_dead_workers_and_failed_connectors_colour_the_picture() -> None:
    kept = [counters(0.0, 1, [worker("w"), worker("v", silent_s=60)], dead_letters={"raw.crm.public.a": 4})]
    servers = Servers([], {"crm": ("RUNNING", ""), "erp": ("FAILED", "no route")})
    live = live_of(["crm", "erp"], kept, servers, hub_answers=True)
    assert [(system.state, system.dead, system.problem) for system in live.systems] == [
        ("warn", 4, None),
        ("bad", 0, "no route"),
    ]
    assert (live.workers.state, live.workers.running, live.workers.silent) == ("warn", 1, 1)


def test_hub_that_is_away_leaves_the_rest() -> None:
    away = Servers([Away("hub", "it does not answer", "", 1.0)], RUNNING.connectors)
    live = live_of(["crm"], [counters(0.0, 1, [])], away, hub_answers=False)
    assert not live.hub
    assert live.systems[0].rate is None
    assert live.digest == "hub"


def test_sections_are_read_again_when_an_alert_opens_or_something_waits() -> None:
    def digest(**more: object) -> str:
        return live_of(["crm"], [counters(0.0, 1, [], **more)], RUNNING, hub_answers=True).digest

    quiet = digest()
    assert quiet == digest()
    assert quiet != digest(alerts=[OpenAlert("log", "lag/ingest", "", "", 1.0)])
    assert quiet != digest(waiting=WaitingCounts(approvals=1))


def test_needs_are_grouped_and_named_by_the_greatest_amount() -> None:
    def intent(number: str, amount: int, problem: str) -> IntentNeed:
        return IntentNeed(problem, "erp", NOW, 1, number, "Acme", amount, "EUR")

    refused = intent_needs("refused", [intent("1", 5, "locked"), intent("2", 9, "locked"), intent("3", 1, "gone")])
    assert [(need.count, need.why, need.number) for need in refused] == [(2, "locked", "2"), (1, "gone", "3")]
    match = ConflictNeed("match_key", "customer", "tax_id=DE1", "r", NOW, None, "A")
    other = ConflictNeed("match_key", "customer", "tax_id=DE2", "r", NOW - timedelta(hours=1), None, "B")
    rule = ConflictNeed("invariant", "sales_order", "net_amount", "header", NOW, "SO-1", None)
    assert [(need.kind, need.count, need.why, need.name) for need in conflict_needs([match, other, rule])] == [
        ("conflict", 2, "tax_id", "B"),
        ("rule", 1, "header", None),
    ]
    (dead,) = dead_letter_needs(
        [DeadLetterNeed("raw.crm.public.a", "x", 1, NOW), DeadLetterNeed("raw.crm.public.a", "y", 3, NOW)]
    )
    assert (dead.count, dead.why, dead.system) == (4, "y", "crm.public.a")


def test_days_sales_outstanding_of_a_week_that_is_over_and_of_the_running_one() -> None:
    today = date(2026, 12, 2)  # a Wednesday
    week = monday(today)

    def of(figure: str, at: date, amount: float) -> WeekFigure:
        return WeekFigure(
            week=at, figure=figure, currency="EUR", count=1, median_s=None, p90_s=None, good=None, amount=amount,
            measured_at=NOW,
        )  # fmt: skip

    last = week - timedelta(weeks=1)
    rows = [of("invoiced", last, 900.0), of("receivable", last, 900.0), of("settled", week, 600.0)]
    found = receivables(rows, {}, week - timedelta(weeks=14), [last, week], today)["EUR"]
    assert [entry.open for entry in found] == [900.0, 300.0]
    assert found[0].days == pytest.approx(91)
    assert found[1].days == pytest.approx(300 / 900 * 87), "four days of this week are still to come"


def test_a_hub_that_is_not_ready_is_not_called_healthy() -> None:
    shown = (
        environment()
        .get_template("overview/health.html")
        .render(
            _=lambda text, **names: text.format(**names),
            health=Section(error=EnvironmentFault("the hub has no tables yet", remedy="`opshub apply` makes them")),
            live=Live(0.0, True, [], WorkersNow(0, 0, 0, None, None, None, "off", None), [], [], ""),
            away=[],
            links={},
        )
    )
    assert "The hub is not ready yet." in shown and "Nobody is needed" not in shown
    assert "<code>opshub apply</code> makes them" in shown


def test_a_reading_does_not_wait_for_servers_that_hang(tmp_path: Path) -> None:
    # It accepts connections and never answers, as a server under a stopped process does.
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        host, port = hanging.getsockname()
        settings = Settings(  # type: ignore[call-arg]
            _env_file=None, state_dir=tmp_path, connect_url=f"http://{host}:{port}", bootstrap_servers=f"{host}:{port}"
        )
        answers = ServerAnswers()
        looks = ServerLooks(settings, answers)
        systems = load_systems(settings)
        began = time.monotonic()
        assert looks.read(systems, None).away == [], "nothing is said of a server before it had its time"
        assert time.monotonic() - began < ANSWER_WITHIN_S
        away = wait_for(lambda: [server.name for server in looks.read(systems, None).away] == ["Kafka", "Connect"])
        assert away
        since = {server.name: server.since for server in looks.read(systems, None).away}
        assert {server.name: server.since for server in looks.read(systems, None).away} == since
        answers.close()
