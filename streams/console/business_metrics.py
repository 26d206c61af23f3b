"""The business figures for Prometheus: those of the overview, of the running week and of this moment.

docs/guides/figures.md says what each means. Labels are steps, stages and currencies: lists that are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from streams.hub.figures import Hub
from streams.monitor.business_figures import BusinessFigures, business_figures

DAY_S = 86_400
MOST_CURRENCIES = 20
"""Those with most invoiced; a currency that is a mistake must not make a series for ever."""


def business_metrics(hub: Hub) -> Iterator[Metric]:
    """A family for each figure that has a value. Raises psycopg.Error."""
    yield from families(business_figures(hub, weeks=1))


def families(figures: BusinessFigures) -> Iterator[Metric]:
    """The figures of one week as families of gauges."""
    if figures.measured_at is None:
        return
    weeks = {step: durations[-1] for step, durations in figures.durations.items()}
    yield _labelled(
        "opshub_order_step_median_seconds", "Order processing time of the running week: median of a step", "step",
        ((step, week.median_s) for step, week in weeks.items()),
    )  # fmt: skip
    yield _labelled(
        "opshub_order_step_p90_seconds", "Order processing time of the running week: 90 % took no longer", "step",
        ((step, week.p90_s) for step, week in weeks.items()),
    )  # fmt: skip
    yield _labelled(
        "opshub_order_step_flows", "Order flows that completed a step in the running week", "step",
        ((step, week.count) for step, week in weeks.items()),
    )  # fmt: skip
    yield from _plain("opshub_on_promised_day_ratio", "Share delivered on the promised day", figures.on_time[-1].share)
    yield from _plain(
        "opshub_orders_returned_ratio", "Share of shipped orders that come back", figures.returned[-1].share
    )
    yield from _plain(
        "opshub_first_contact_ratio", "Share of service cases solved at first contact", figures.first_contact[-1].share
    )
    yield from _plain(
        "opshub_synchronisation_error_ratio", "Share of records and write-backs with an error",
        figures.errors[-1].error_share,
    )  # fmt: skip
    receivables = list(figures.receivables.items())[:MOST_CURRENCIES]
    yield _labelled(
        "opshub_sales_outstanding_seconds", "Days sales outstanding, in seconds", "currency",
        ((currency, None if weeks[-1].days is None else weeks[-1].days * DAY_S) for currency, weeks in receivables),
    )  # fmt: skip
    yield _labelled(
        "opshub_receivables_open", "What customers owe, in units of the currency", "currency",
        ((currency, weeks[-1].open / 10_000) for currency, weeks in receivables),
    )  # fmt: skip
    yield _labelled("opshub_order_flows", "Order flows by stage", "stage", figures.stages.items())
    yield from _plain("opshub_order_flows_stuck", "Order flows that are too long in their stage", figures.stuck)
    yield from _plain("opshub_orders_short_of_goods", "Orders that wait for goods", figures.blocked)
    yield from _plain("opshub_purchases_late", "Open purchase orders that should have come", figures.late_purchases)
    yield from _plain("opshub_order_lines_short", "Order lines that nobody supplies", figures.short_lines)
    yield from _plain("opshub_order_lines_late", "Order lines that come after the promised day", figures.late_lines)
    yield from _plain(
        "opshub_approvals_waiting", "Intents that wait for a person, counted up to a limit", figures.waiting.approvals
    )


def _labelled(name: str, about: str, label: str, values: Iterable[tuple[str, float | None]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values:
        if value is not None:
            family.add_metric([key], value)
    return family


def _plain(name: str, about: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, about, value=value)
