"""Pages from templates: what every template can use, and the answer of a page.

In a template: `_("text {name}", name=…)` translates; `value|amount(currency)` for unscaled amounts; `value|number`;
`moment|ago` is a <time> element, relative with the absolute time as its title; `us|from_us` makes a moment of
microseconds; `query(page=None, …)` is this page's address with other parameters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from streams.console.alert_texts import ALERTS
from streams.console.languages import LANGUAGES, choose, locale_of, translate
from streams.console.operation import OPERATIONS, Operation
from streams.console.people import Person
from streams.console.place import Place
from streams.console.tours import step_of
from streams.flow.case_waiting import case_waits_for

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"

THEMES = ("auto", "light", "dark")

Call = tuple[Callable[..., Any], msgspec.Struct]
"""An operation and what it was asked for: a page shows the command and the API call that do the same."""


@cache
def asset(name: str) -> str:
    """Address of a file of `static/`, with a hash of its content: browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """The templates, strict: an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(asset=asset, languages=LANGUAGES, alerts=ALERTS)
    made.filters.update(
        ago=_ago, moment=_moment, day=_day, number=_number, amount=_amount, quantity=_quantity, from_us=from_us,
        words=_words, case_wait=case_waits_for, pretty=_pretty, duration=_duration, commands=_commands,
    )  # fmt: skip
    return made


NOTHING = "—"
"""Shown where there is no value."""


def language_of(request: Request) -> str:
    return choose(request.cookies.get("language"), request.headers.get("accept-language", ""))


def text_of(request: Request) -> Callable[..., str]:
    """Translates for the person at the page: `_ = text_of(request)`."""
    return partial(translate, language_of(request))


def page(
    request: Request, template: str, *, calls: Sequence[Call] = (), status: int = 200, **values: object
) -> HTMLResponse:
    """The page from its template."""
    return HTMLResponse(fragment(request, template, calls=calls, **values), status_code=status)


def fragment(request: Request, template: str, *, calls: Sequence[Call] = (), **values: object) -> str:
    """The text of a template, for a page or a part of one."""
    language = language_of(request)
    place: Place = request.app.state.place
    person: Person | None = getattr(request.state, "person", None)

    def text(english: str, /, **names: object) -> str:
        return translate(language, english, **names)

    def query(**changes: object) -> str:
        given: dict[str, Any] = {name: request.query_params.getlist(name) for name in request.query_params}
        given.update(changes)
        kept = {name: value for name, value in given.items() if value not in (None, "", [])}
        return request.url.path + ("?" + urlencode(kept, doseq=True) if kept else "")

    same = [_same(request, function, wanted) for function, wanted in calls]
    return environment().get_template(template).render(
        _=text, language=language, theme=_theme(request), person=person, request=request, path=request.url.path,
        here=query(), tour_step=step_of(request), query=query, same=same, csrf=getattr(request.state, "csrf", ""),
        settings=place.settings, now=datetime.now(UTC), **values,
    )  # fmt: skip


def _theme(request: Request) -> str:
    """What the person chose; a cookie that holds anything else counts as no choice."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else "auto"


def _same(request: Request, function: Callable[..., Any], wanted: msgspec.Struct) -> dict[str, str]:
    operation: Operation = OPERATIONS[function.__name__]
    base = str(request.base_url).rstrip("/")
    return {
        "summary": operation.summary,
        "command": operation.command(wanted),
        "call": operation.curl(wanted, base),
    }


def from_us(value: int | None) -> datetime | None:
    """Microseconds since 1970 → a moment in UTC; None, and what no calendar has, → None."""
    if value is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
    except OverflowError:
        return None


@pass_context
def _ago(context: TemplateContext, value: datetime | None) -> Markup:
    """How long ago, or in how long, as a <time> element with the absolute moment as title."""
    if value is None:
        return Markup(NOTHING)
    language = str(context["language"])
    now: datetime = context["now"]
    text = format_timedelta(value - now, add_direction=True, locale=locale_of(language), threshold=1.2)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.isoformat(), _absolute(value, language), text
    )


@pass_context
def _moment(context: TemplateContext, value: datetime | None) -> Markup:
    """The absolute moment in UTC."""
    if value is None:
        return Markup(NOTHING)
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), _absolute(value, str(context["language"])))


def _absolute(value: datetime, language: str) -> str:
    return f"{format_datetime(value.astimezone(UTC), 'yyyy-MM-dd HH:mm:ss', locale=locale_of(language))} UTC"


@pass_context
def _day(context: TemplateContext, value: int | date | str | None) -> str:
    """A date, also as days since 1970; a text, which is a masked value, as it is."""
    if value is None or isinstance(value, str):
        return value or NOTHING
    day = value if isinstance(value, date) else date(1970, 1, 1) + timedelta(days=value)
    return format_date(day, "yyyy-MM-dd", locale=locale_of(str(context["language"])))


@pass_context
def _number(context: TemplateContext, value: float | str | None, digits: int = 0) -> str:
    """A number; a text, which is a masked value, as it is."""
    if value is None or isinstance(value, str):
        return value or NOTHING
    return format_decimal(round(value, digits), locale=locale_of(str(context["language"])), decimal_quantization=False)


@pass_context
def _amount(context: TemplateContext, unscaled: int | str | None, currency: str | None = None) -> str:
    """An unscaled amount of four decimals: 11900000 EUR → 1,190.00 EUR; a text, which is a masked value, as it is."""
    if unscaled is None or isinstance(unscaled, str):
        return unscaled or NOTHING
    text = format_decimal(Decimal(unscaled).scaleb(-4), "#,##0.00", locale=locale_of(str(context["language"])))
    return f"{text} {currency or ''}".rstrip()


def _quantity(unscaled: int | None) -> str:
    """An unscaled quantity of six decimals."""
    return NOTHING if unscaled is None else f"{Decimal(unscaled).scaleb(-6).normalize():f}"


@pass_context
def _duration(context: TemplateContext, seconds: float | None) -> str:
    """Seconds in the largest units that say enough: 340 ms, 1.4 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    text: Callable[..., str] = context["_"]
    for size, unit, smaller, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {text(unit)}" + (f" {rest} {text(small)}" if rest else "")
    return f"{int(seconds // 60)} {text('min')}"


def _words(name: str) -> str:
    """A name of the model as words: sales_order → sales order."""
    return name.replace("_", " ")


def _commands(text: object) -> Markup:
    """A text in which commands stand between backticks, as all our messages write them: these become <code>."""
    if isinstance(text, Markup):
        return text
    pieces = [escape(piece) for piece in str(text).split("`")]
    if len(pieces) % 2 == 0:
        return escape(str(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if i % 2 else piece for i, piece in enumerate(pieces)
    )


def _pretty(value: object) -> Markup:
    """JSON, indented, as a <pre> element; keys can scroll it."""
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str)
    return Markup('<pre tabindex="0">{}</pre>').format(escape(text))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
