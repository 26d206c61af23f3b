"""One HTML page for a result, with charts as inline SVG (pygal): it opens from a file and loads nothing from
anywhere.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pygal
from hdrh.histogram import HdrHistogram
from pygal.style import Style

# pygal installs an import hook in the form that Python 3.12 dropped: 3.11 warns of it at each import, and pytest fails
# on it.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{padding:.25rem .6rem;border-bottom:1px solid #dde2e8;text-align:right}td:first-child,th:first-child{text-align:left}td{white-space:nowrap}td:first-child{white-space:normal}
.yes{color:#0a6b3d}.no{color:#a32015}svg{width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe4ea}td,th{border-color:#2c343d}.yes{color:#4cc38a}.no{color:#f0776c}}
"""
_LOOK: dict[str, Any] = {
    "width": 760,
    "style": Style(
        background="transparent", plot_background="transparent", font_family="system-ui,sans-serif", opacity="1",
        foreground="#4a5563", foreground_strong="#4a5563", foreground_subtle="#4a5563", guide_stroke_dasharray="1,3", major_guide_stroke_dasharray="1,3",
        label_font_size=11, major_label_font_size=11, legend_font_size=11,
        colors=("#2f6fde", "#c2571a", "#138a6b", "#8a4bc4", "#b0305c", "#6b7280", "#9a7b0a", "#0f7f96"),
    ),
    "js": [], "margin": 4, "margin_right": 24, "truncate_legend": -1, "truncate_label": -1, "legend_at_bottom": True, "legend_box_size": 8,
}  # fmt: skip
"""Of all charts; without `js` nothing is loaded."""
_ROUND = [digit * 10**power for power in range(-1, 8) for digit in (1, 2, 5)]

Line = tuple[str, Sequence[tuple[float, float]]]


def chart(
    title: str, lines: Sequence[Line], x_unit: str, y_unit: str, *, log: bool = False, x_labels: dict[float, str] | None = None
) -> str:  # fmt: skip
    """A line chart. Points are (x, y) in the units named; `log`: both axes are logarithmic."""
    lines = [(name, points) for name, points in lines if points]
    if not lines:
        return ""
    drawn = pygal.XY(
        **_LOOK, height=290, show_dots=False, stroke_style={"width": 2}, logarithmic=log, legend_at_bottom_columns=len(lines),
        include_x_axis=not log, value_formatter=figure, x_value_formatter=lambda x: f"{figure(x)} {x_unit}",
    )  # fmt: skip
    if log:
        ys = [y for _, points in lines for _, y in points]
        low = max((one for one in _ROUND if one <= min(ys)), default=_ROUND[0])
        high = min((one for one in _ROUND if one >= max(ys)), default=_ROUND[-1])
        drawn.y_labels = [one for one in _ROUND if low <= one <= high]
    if x_labels:
        most = max(x for _, points in lines for x, _ in points)
        drawn.x_labels = [{"value": x, "label": label} for x, label in x_labels.items() if x <= most]
    for name, points in lines:
        drawn.add(name, list(points))
    return _headed(title, y_unit, drawn)


def _headed(title: str, unit: str, drawn: Any) -> str:
    """With neither scripts nor comments, which would name other places."""
    svg = drawn.render_tree()
    for parent in list(svg.iter()):
        for child in list(parent):
            if child.tag in (ElementTree.Comment, "script"):
                parent.remove(child)
    return f"<h2>{html.escape(title)}, {html.escape(unit)}</h2>{ElementTree.tostring(svg, encoding='unicode')}"


def figure(value: float) -> str:
    """Four digits, as people write them."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def _told(facts: dict[str, Any]) -> str:
    return html.escape(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))


def bars(title: str, values: dict[str, float], unit: str) -> str:
    """Horizontal bars, greatest first."""
    upwards = sorted(values.items(), key=lambda item: item[1])
    drawn = pygal.HorizontalBar(
        **_LOOK,
        height=24 * len(values) + 12,
        show_legend=False,
        show_x_labels=False,
        show_x_guides=False,
        show_y_guides=False,
    )
    drawn.x_labels = [f"{name}  {figure(value)}" for name, value in upwards]
    drawn.add(unit, [value for _, value in upwards])
    return _headed(title, unit, drawn)


def percentile_line(hdr: str) -> list[tuple[float, float]]:
    """(1 / (1 - percentile), ms): the tail gets its room."""
    histogram = HdrHistogram.decode(hdr)
    if not histogram.get_total_count():
        return []
    marks = [0.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99]
    most = 100 * (1 - 1 / max(2, histogram.get_total_count()))
    return [(1 / (1 - p / 100), histogram.get_value_at_percentile(p) / 1000) for p in marks if p <= most]


_MARKS = {1.0: "0", 2.0: "50%", 10.0: "90%", 100.0: "99%", 1000.0: "99.9%", 10000.0: "99.99%"}


def run_charts(result: dict[str, Any]) -> str:
    """The charts of one run of a workload."""
    samples = result["samples"]
    at = [s["at"] for s in samples]
    rates, cpu = [], {}
    for before, now in pairwise(samples):
        span = max(0.1, now["at"] - before["at"])
        rates.append((now["at"], (now["rows_in"] - before["rows_in"]) / span))
        for name, seconds in now["cpu"].items():
            cpu.setdefault(name, []).append((now["at"], 100 * (seconds - before["cpu"].get(name, 0.0)) / span))
    return "".join(
        (
            chart(
                "latency by percentile",
                [(place, percentile_line(hdr)) for place, hdr in result["hdr"].items()],
                "percentile",
                "ms",
                log=True,
                x_labels=_MARKS,
            ),
            chart(
                "throughput",
                [("rate asked for", [(s["at"], s["rate"]) for s in samples]), ("rows worked off", rates)],
                "s",
                "row changes/s",
            ),
            chart(
                "lag",
                [("records still to read", list(zip(at, [s["lag"] for s in samples], strict=True)))],
                "s",
                "records",
            ),
            chart("CPU by process", list(cpu.items()), "s", "% of a core"),
            chart(
                "memory by process",
                [
                    (name, [(s["at"], s["memory"].get(name, 0.0)) for s in samples])
                    for name in (samples[-1]["memory"] if samples else {})
                ],
                "s",
                "MB",
            ),
            bars("CPU of a row change, by process", result["cpu_us_per_row"], "us"),
            *(
                [bars("bytes of a row change, by place", told, "bytes")]
                if (told := result.get("bytes_per_row"))
                else []
            ),
        )
    )


def _page(title: str, body: str) -> str:
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>{body}</html>\n'


def _latency_table(latency: dict[str, dict[str, float]]) -> str:
    names = ("count", "p50", "p90", "p99", "p99.9", "max")
    rows = "".join(
        f"<tr><td>{html.escape(place)}</td>" + "".join(f"<td>{told.get(n, '-')}</td>" for n in names) + "</tr>"
        for place, told in latency.items()
    )
    return (
        "<h2>latency, ms</h2><table><tr><th>to</th>" + "".join(f"<th>{n}</th>" for n in names) + f"</tr>{rows}</table>"
    )


def run_page(result: dict[str, Any]) -> str:
    """The page of `opshub bench run`."""
    head = f"<p>{html.escape(result['date'])} · {result['rows']:,} row changes in {result['seconds']} s · {result['rows_per_second']:,}/s · {_told(result['machine'])}</p>"
    head += "".join(f"<p><b>Note:</b> {html.escape(note)}</p>" for note in result.get("notes", ()))
    return _page(
        f"opshub bench: {result['workload']}", head + _latency_table(result["latency_ms"]) + run_charts(result)
    )


def bench_page(figures: dict[str, Any]) -> str:
    """The page of `make bench`."""
    head = f"<p>{html.escape(figures['date'])} · {_told(figures['machine'])} · {_told(figures['versions'])}</p>"
    rows = "".join(
        f"<tr><td>{html.escape(t['name'])}</td><td>{html.escape(t['unit'])}</td><td>{'≤' if t['at_most'] else '≥'} {t['target']:,g}</td><td>{'-' if t['reached'] is None else figure(t['reached'])}</td>"
        f'<td class="{"yes" if t["holds"] else "no"}">{"yes" if t["holds"] else "no"}</td><td>{html.escape(t["run"])}</td></tr>'
        for t in figures["targets"]
    )
    table = f"<h2>targets</h2><table><tr><th>target</th><th>unit</th><th>wanted</th><th>reached</th><th>holds</th><th>of</th></tr>{rows}</table>"
    stages = bars("stages alone", {s["name"]: s["us"] for s in figures["stages"]}, "us")
    lanes = bars(
        "ingest with Kafka in and out",
        {way: told["per_second"] for way, told in figures["lanes"].items()},
        "row changes/s",
    )
    rest = "".join(
        f"<h1>{html.escape(figures[n]['workload'])}: {figures[n]['rate']:g} row changes/s</h1>"
        + _latency_table(figures[n]["latency_ms"])
        + run_charts(figures[n])
        for n in ("half_load", "at_500")
        if n in figures
    )
    return _page("opshub: make bench", head + table + stages + lanes + rest)
