"""One HTML page for a result, with charts as inline SVG: it opens from a file and loads nothing from anywhere."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hdrh.histogram import HdrHistogram

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{padding:.25rem .6rem;border-bottom:1px solid #dde2e8;text-align:right}td:first-child,th:first-child{text-align:left}td{white-space:nowrap}td:first-child{white-space:normal}
.yes{color:#0a6b3d}.no{color:#a32015}svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#4a5563}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe4ea}td,th{border-color:#2c343d}svg text{fill:#9aa6b2}.yes{color:#4cc38a}.no{color:#f0776c}}
"""
_COLOURS = ("#2f6fde", "#c2571a", "#138a6b", "#8a4bc4", "#b0305c", "#6b7280", "#9a7b0a", "#0f7f96")
_WIDE, _HIGH, _LEFT, _BOTTOM = 760, 240, 62, 28

Line = tuple[str, Sequence[tuple[float, float]]]


def chart(
    title: str,
    lines: Sequence[Line],
    x_unit: str,
    y_unit: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    x_labels: dict[float, str] | None = None,
) -> str:
    """A line chart. Points are (x, y) in the units named."""
    points = [(x, y) for _, line in lines for x, y in line]
    if not points:
        return ""
    sx, sy = (math.log10 if log_x else float), (lambda v: math.log10(max(v, 1e-3))) if log_y else float
    x0, x1 = min(sx(x) for x, _ in points), max(sx(x) for x, _ in points)
    y0, y1 = min([sy(y) for _, y in points] + ([] if log_y else [0.0])), max(sy(y) for _, y in points)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)

    def px(x: float) -> float:
        return _LEFT + (sx(x) - x0) / (x1 - x0) * (_WIDE - _LEFT - 10)

    def py(y: float) -> float:
        return _HIGH - _BOTTOM - (sy(y) - y0) / (y1 - y0) * (_HIGH - _BOTTOM - 12)

    parts = [
        f'<h2>{html.escape(title)}, {html.escape(y_unit)}</h2><svg viewBox="0 0 {_WIDE} {_HIGH + 6}" role="img" aria-label="{html.escape(title)}">'
    ]
    for step in range(5):
        value = y0 + (y1 - y0) * step / 4
        shown = 10**value if log_y else value
        y = _HIGH - _BOTTOM - (_HIGH - _BOTTOM - 12) * step / 4
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDE - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884" /><text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{figure(shown)}</text>'
        )
    labels = x_labels or {(10 ** (x0 + (x1 - x0) * n / 4) if log_x else x0 + (x1 - x0) * n / 4): "" for n in range(5)}
    for x, label in labels.items():
        if x0 - 1e-9 <= sx(x) <= x1 + 1e-9:
            anchor = "middle" if px(x) < _WIDE - 30 else "end"
            parts.append(f'<text x="{px(x):.1f}" y="{_HIGH - 10}" text-anchor="{anchor}">{label or figure(x)}</text>')
    parts.append(f'<text x="{_WIDE - 10}" y="{_HIGH + 3}" text-anchor="end">{html.escape(x_unit)}</text>')
    for number, (_, line) in enumerate(lines):
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline fill="none" stroke="{_COLOURS[number % len(_COLOURS)]}" stroke-width="1.8" points="{path}" />'
        )
    keys = " ".join(
        f'<span style="color:{_COLOURS[n % len(_COLOURS)]}">■</span> {html.escape(name)} '
        for n, (name, _) in enumerate(lines)
    )
    return "".join(parts) + f"</svg><div>{keys}</div>"


def figure(value: float) -> str:
    """Four digits, as people write them."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def _told(facts: dict[str, Any]) -> str:
    return html.escape(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))


def bars(title: str, values: dict[str, float], unit: str) -> str:
    """Horizontal bars, greatest first."""
    most = max(values.values(), default=0.0) or 1.0
    rows = "".join(
        f'<text x="246" y="{22 * n + 16}" text-anchor="end">{html.escape(name)}</text><rect x="254" y="{22 * n + 4}" height="15" width="{value / most * 424:.1f}" fill="{_COLOURS[0]}" />'
        f'<text x="{260 + value / most * 424:.1f}" y="{22 * n + 16}">{figure(value)}</text>'
        for n, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1]))
    )
    return (
        f'<h2>{html.escape(title)}, {html.escape(unit)}</h2><svg viewBox="0 0 760 {22 * len(values) + 6}">{rows}</svg>'
    )


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
                log_x=True,
                log_y=True,
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
