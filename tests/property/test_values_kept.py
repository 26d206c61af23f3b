"""Every conversion keeps its value: what it gives says the same as what came in, by an account that is not the conversion's own."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pycountry
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mapping.conversions.builtin import BUILTIN
from streams.mapping.conversions.registry import make_step
from streams.mapping.expression_runtime import RUNTIME
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of
from tests.property.test_conversions import ALL, ANYTHING

Options = dict[str, Any]
Keeps = Callable[[Any, Any, Options, bool], bool]
"""keeps(value, made, options, noted) → whether they say the same."""

MONEY = {"EUR": 2, "JPY": 0, "RSD": 2, "BHD": 3}
FACTORS = {("lb", "kg"): Fraction("0.45359237"), ("g", "kg"): Fraction(1, 1000)}
TRUE = {"true", "t", "yes", "y", "1", "1.0", "-1", "on", "x", "ja", "j", "oui", "si", "sí", "s", "是", "真", "有", "wahr", "vrai", "verdadero", "1e0"}  # fmt: skip


def exact(value: Any) -> Fraction:
    return Fraction(repr(value) if isinstance(value, float) else value)


def blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def number(by: Callable[[Fraction, Options], Fraction]) -> Keeps:
    return lambda value, made, options, noted: exact(made) == by(exact(value), options)


def text(by: Callable[[str, Options], Any]) -> Keeps:
    return lambda value, made, options, noted: made == by(text_of(value), options)


def folded(given: str) -> str:
    """A text without its case."""
    return unicodedata.normalize("NFKD", given.casefold().upper())


def signs(given: Any) -> str:
    """The letters and digits of a text, without case and form."""
    plain = unicodedata.normalize("NFKC", text_of(given)).casefold()
    return "".join(c for c in plain if c.isalnum())


def seen(given: str) -> str:
    return "".join(c for c in given if unicodedata.category(c)[0] != "C")


def within(short: str, long: str) -> bool:
    """Whether all of `short` stands in `long`, in its order."""
    rest = iter(long)
    return all(c in rest for c in short)


def title(value: Any, made: Any, options: Options, noted: bool) -> bool:
    given = text_of(value)
    return made == given if not (given.isupper() or given.islower()) else folded(made) == folded(given)


def mojibake(value: Any, made: Any, options: Options, noted: bool) -> bool:
    return (made != text_of(value)) == noted and (not text_of(value).isascii() or made == text_of(value))


def written(value: Any, options: Options) -> Fraction | None:
    if not isinstance(value, str):
        return exact(value)
    point, group = (
        (",", ".") if options.get("locale") == "de_DE" else (options.get("point", "."), options.get("group", ""))
    )
    plain = unicodedata.normalize("NFKC", value).strip()
    # Below zero: a sign before or behind, or parentheses.
    behind = re.fullmatch(r"([0-9].*?)\s*-|\(([0-9].*)\)", plain)
    plain = f"-{(behind[1] or behind[2]).strip()}" if behind else plain
    plain = plain.replace(group, "") if group else plain
    return Fraction(plain.replace(point, ".").replace("\u2212", "-")) if plain else None


def decimal(value: Any, made: Any, options: Options, noted: bool) -> bool:
    meant = written(value, options)
    return made is None if meant is None else exact(made) == meant


def numbers(given: str) -> list[int]:
    return [int(piece) for piece in re.findall(r"[0-9]+", given)]


def day_in(value: Any, made: Any, options: Options, noted: bool) -> bool:
    if made is None:
        return blank(value)
    listed = options["formats"] if isinstance(options["formats"], list) else [options["formats"]]
    if listed == ["%y%m%d"]:
        return (
            any(f"{made:%y%m%d}" == one for one in (text_of(value).strip(), text_of(value).strip().zfill(6)))
            or len(text_of(value).strip()) < 6
        )
    return any(numbers(made.strftime(one)) == numbers(text_of(value)) for one in listed)


def moment_in(value: Any, made: Any, options: Options, noted: bool) -> bool:
    if made is None:
        return blank(value)
    if "%z" in options["formats"]:
        return made.tzinfo is not None
    local = made.astimezone(ZoneInfo(options["timezone"]))
    return noted or numbers(f"{local:%Y-%m-%d %H:%M:%S}") == numbers(value)


BERLIN = ZoneInfo("Europe/Berlin")
SINCE = datetime(1970, 1, 1)


def day_of(value: Any, made: Any, options: Options, noted: bool) -> bool:
    if isinstance(value, int):
        return bool(made == date(1970, 1, 1) + timedelta(days=value // 86_400_000_000))
    moment = datetime.fromisoformat(value)
    return bool(made == (moment if moment.tzinfo is None else moment.astimezone(BERLIN)).date())


def local(value: Any, made: Any, options: Options, noted: bool) -> bool:
    given = SINCE + timedelta(microseconds=value) if isinstance(value, int) else datetime.fromisoformat(value)
    return bool(made == given.replace(tzinfo=given.tzinfo or BERLIN).astimezone(UTC))


def epoch(value: Any, made: Any, options: Options, noted: bool) -> bool:
    per = {"seconds": 1_000_000, "nanos": Fraction(1, 1000)}[options.get("unit", "seconds")]
    return bool((made - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == int(value) * per)


def null_date(value: Any, made: Any, options: Options, noted: bool) -> bool:
    if isinstance(value, int):
        return made is value or -25_567 in (value, value // 86_400_000_000)
    # A moment with a zone is on that day in some zone of the world.
    return made is value or str(value)[:10] in ("1899-12-31", "1900-01-01", "1900-01-02")


def phone(value: Any, made: Any, options: Options, noted: bool) -> bool:
    if made is None:
        return blank(unicodedata.normalize("NFKC", text_of(value)))
    digits = "".join(str(int(c)) for c in text_of(value) if c.isdecimal())
    return bool(re.search("[A-Za-z]", text_of(value))) or made.partition(";")[0][-4:] in digits


def code(known: Callable[[str], Any]) -> Keeps:
    def keeps(value: Any, made: Any, options: Options, noted: bool) -> bool:
        if made is None:
            return blank(value)
        given = text_of(value).strip().upper()
        return known(made) is not None and (made.upper() == given or known(given) in (None, known(made)))

    return keeps


def letters(by: Callable[[str], str] = signs) -> Keeps:
    """The letters and digits of what is made stand in what came in, up to what a standard puts before or behind."""
    return lambda value, made, options, noted: (
        blank(value)
        or (made is None if not by(text_of(value)) else within(bare(by(made)) if made else "", by(text_of(value))))
    )


def bare(made: str) -> str:
    """Without the code of the country, which a standard puts before a number; the Swiss has three letters there."""
    return made[3:] if made.startswith("che") else made[2:]


def company(value: Any, made: Any, options: Options, noted: bool) -> bool:
    return (made is None and not unicodedata.normalize("NFKC", text_of(value)).strip()) or signs(made).replace(
        "und", ""
    ) == signs(value).replace("und", "")


KEEPS: dict[str, Keeps] = {
    "absolute": number(lambda n, o: abs(n)),
    "boolean": lambda v, m, o, noted: m is ((v is True) if isinstance(v, bool) else text_of(v).strip().casefold() in TRUE),
    "chinese_address": lambda v, m, o, noted: m is None or m[:2] in "".join(unicodedata.normalize("NFKC", text_of(v)).split()),
    "chinese_amount": lambda v, m, o, noted: blank(v) if m is None else m >= 0 or bool(set("负負") & set(text_of(v))),
    "collapse": text(lambda t, o: " ".join(t.split()) or None),
    "company_name": company,
    "country": code(lambda c: pycountry.countries.get(alpha_2=c)),
    "currency": lambda v, m, o, noted: blank(v) if m is None else bool(re.fullmatch("[A-Z]{3}", m)),  # retired ones too
    "date": day_in,
    "date_of": day_of,
    "datetime": moment_in,
    "decimal": decimal,
    "email": lambda v, m, o, noted: blank(v) or m is None or signs(m) in signs(v),
    "epoch": epoch,
    "extract": lambda v, m, o, noted: m is None or m in text_of(v),
    "gtin": lambda v, m, o, noted: m is None or int(m) == int(re.sub(r"[\s-]", "", text_of(v))),
    "html_text": lambda v, m, o, noted: within("".join((m or "").split()), html.unescape(text_of(v))),
    "iban": letters(),
    "language": code(lambda c: pycountry.languages.get(alpha_2=c.lower())),
    "list": lambda v, m, o, noted: m == list(dict.fromkeys(x.strip() for x in (v if isinstance(v, list) else text_of(v).split(",")) if x.strip())),
    "local_time": local,
    "lower": text(lambda t, o: t.lower()),
    "max_length": text(lambda t, o: t),
    "minor_units": number(lambda n, o: n / 10 ** MONEY[o["currency"]]),
    "mojibake": mojibake,
    "multiply": number(lambda n, o: n * Fraction(o["by"])),
    "negate": number(lambda n, o: -n),
    "nfc": text(lambda t, o: unicodedata.normalize("NFC", t)),
    "nfkc": text(lambda t, o: unicodedata.normalize("NFKC", t)),
    "null_date": null_date,
    "null_if": lambda v, m, o, noted: m is v or v in o["values"],
    "pattern": text(lambda t, o: t),
    "phone": phone,
    "postal_code": lambda v, m, o, noted: signs(m or "") == signs(unicodedata.normalize("NFKC", text_of(v))),
    "strip_control": lambda v, m, o, noted: seen(m) == seen(text_of(v)) and (m != text_of(v)) == noted,
    "strip_zeros": lambda v, m, o, noted: m == text_of(v) or int(m) == int(text_of(v)),
    "tax_id": letters(),
    "title": title,
    "trim": text(lambda t, o: t.strip() or None),
    "unit": number(lambda n, o: n * FACTORS[o["source"], o["to"]]),
    "unit_code": lambda v, m, o, noted: m is None or (m.isalnum() and m == m.upper()),
    "upper": text(lambda t, o: t.upper()),
    "url": lambda v, m, o, noted: m is None or signs(m).removeprefix("https") in signs(v),
    "yyyymmdd": lambda v, m, o, noted: f"{m.year:04}{m:%m%d}" == str(v) if m is not None else not str(v).strip("0 "),
    "zero_pad": lambda v, m, o, noted: m == text_of(v) or int(m) == int(text_of(v)),
}  # fmt: skip

LONG = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30).map(str)
PLAIN = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,40})?", fullmatch=True)
GROUPED = st.from_regex(r"-?[0-9]{1,3}([.,][0-9]{3}){0,4}([.,][0-9e]{1,6})?", fullmatch=True)
MORE = st.one_of(
    ANYTHING, LONG, PLAIN, GROUPED, st.datetimes().map(str), st.dates().map(str), st.dates().map("{:%d.%m.%Y}".format)
)


def options_of(step: Any) -> Options:
    if isinstance(step, str):
        return {}
    ((name, given),) = step.items()
    only = {"multiply": "by", "zero_pad": "width", "max_length": "characters", "pattern": "match", "extract": "match"}
    return given if isinstance(given, dict) else {only[name]: given}


def test_no_conversion_is_exempt() -> None:
    assert set(KEEPS) == set(BUILTIN)


MONEYS = [("minor_units", {"minor_units": {"currency": one}}) for one in ("RSD", "BHD")]
GROUPS = [("decimal", {"decimal": {"group": ","}})]


NOTES: list[str] = []


@cache
def function(number: int) -> Callable[[Any], Any]:
    given: dict[str, Any] = {"country": None, "timezone": "Europe/Berlin"}
    return make_step(STEPS[number][1], **given, note=lambda reason, shown: NOTES.append(reason)).convert


STEPS = [*ALL, *MONEYS, *GROUPS]


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[str(step) for _, step in STEPS])
@settings(max_examples=120, deadline=None)
@given(value=MORE)
def test_a_conversion_keeps_the_value(number: int, value: Any) -> None:
    name, step = STEPS[number]
    NOTES.clear()
    try:
        made = function(number)(value)
    except BadValue:
        return
    assert KEEPS[name](value, made, options_of(step), bool(NOTES)), (value, made)


NUMBERS = st.one_of(LONG.map(Decimal), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False))
OPERATORS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "cel_add": lambda a, b: a + b,
    "cel_subtract": lambda a, b: a - b,
    "cel_multiply": lambda a, b: a * b,
}


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=300, deadline=None)
@given(left=NUMBERS, right=NUMBERS)
def test_arithmetic_of_expressions_is_exact_or_rejected(name: str, left: Any, right: Any) -> None:
    try:
        made = RUNTIME[name](left, right)
    except BadValue as fault:
        assert "60 digits" in fault.reason
        return
    assert exact(made) == OPERATORS[name](exact(left), exact(right))


@settings(max_examples=300, deadline=None)
@given(NUMBERS, NUMBERS)
def test_comparisons_are_of_what_numbers_show(left: Any, right: Any) -> None:
    ordered = RUNTIME["cel_ordered"]
    assert (ordered(left) < ordered(right)) == (exact(left) < exact(right))
    if {left.__class__, right.__class__} != {int, float}:
        assert RUNTIME["cel_equal"](left, right) == (exact(left) == exact(right))


@settings(max_examples=300, deadline=None)
@given(st.one_of(NUMBERS, LONG, PLAIN))
def test_whole_numbers_and_signs_are_exact_or_rejected(value: Any) -> None:
    assert exact(RUNTIME["cel_decimal"](value)) == exact(value)
    if not isinstance(value, str):
        assert exact(RUNTIME["cel_negative"](value)) == -exact(value)
    for name in ("cel_int", "cel_double"):
        try:
            made = RUNTIME[name](value)
        except BadValue:
            continue
        assert exact(made) == exact(value)
