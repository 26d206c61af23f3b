"""Every conversion, over random input: it gives a clean value or says why not. Never an exception, never a changed value."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.mapping.conversions.amounts import decimal
from streams.mapping.conversions.builtin import BUILTIN
from streams.mapping.conversions.registry import make_step
from streams.mapping.field_functions import json_path, piece, typed_key
from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import truth, unscaled, whole_number
from streams.mapping.values.text import key_part, key_text, tags_of, text_of
from streams.mapping.values.times import EPOCH, day, instant, local_to_utc

STEPS: dict[str, list[Any]] = {
    "chinese_address": [{"chinese_address": {"take": "city"}}, {"chinese_address": {"take": "province"}}],
    "date": [{"date": {"formats": ["%d.%m.%Y", "%m/%d/%Y"]}}, {"date": {"formats": "%y%m%d", "pivot": 70}}],
    "datetime": [{"datetime": {"formats": "%Y-%m-%d %H:%M:%S", "timezone": "America/New_York"}}, {"datetime": {"formats": "%d/%b/%Y %H:%M%z"}}],
    "decimal": ["decimal", {"decimal": {"locale": "de_DE"}}, {"decimal": {"point": ",", "group": "."}}],
    "epoch": ["epoch", {"epoch": {"unit": "nanos"}}],
    "extract": [{"extract": "([0-9]+)-x"}],
    "max_length": [{"max_length": 5}],
    "minor_units": [{"minor_units": {"currency": "EUR"}}, {"minor_units": {"currency": "JPY"}}],
    "multiply": [{"multiply": "0.01"}, {"multiply": "1e-30"}],
    "null_date": [{"null_date": {"days": ["1900-01-01"]}}],
    "null_if": [{"null_if": {"values": ["", "N/A", 0, False]}}],
    "pattern": [{"pattern": "[A-Z]+"}],
    "phone": ["phone", {"phone": {"country": "CN"}}],
    "tax_id": ["tax_id", {"tax_id": {"country": "CN"}}, {"tax_id": {"country": "CH"}}, {"tax_id": {"country": "US"}}],
    "unit": [{"unit": {"source": "lb", "to": "kg"}}, {"unit": {"source": "g", "to": "kg"}}],
    "zero_pad": [{"zero_pad": 8}],
}  # fmt: skip
"""Options for those that need some; all others run as they are."""

ALL = [(name, step) for name in sorted(BUILTIN) for step in STEPS.get(name, [name])]
SETTLED = {"chinese_address", "chinese_amount", "multiply", "unit", "minor_units", "negate", "extract", "html_text", "epoch", "title"}  # fmt: skip
"""Those whose result is of another kind than their input, or another value of it: applying them again means something else."""

WORDS = st.sampled_from(
    [
        "", " ", "0", "00000000", "20240230", "31.12.2024", "02/03/2024", "2024-03-31 02:30:00", "1.234,56", "1,234.56", "-0", "1e5", "٣", "１２",
        "+49 30 123456", "030/123-45 ext 9", "0086 10 1234 5678", "a@b.example", "Name <a@b.example>", "a@@b", "http://x.example/", "x.example", "//",
        "DE 811.569.869", "DE811569868", "91110000600037341L", "911100006000373410", "CHE-123.456.788", "Germany", "德国", "DEU", "zh_CN", "EUR", "€", "$",
        "MÃ¼ller", "Müller gmbh", "北京科技有限公司", "<p>a&amp;b</p>", "<scr", "&#0;", "a\0b", "\ufeffx", "ＡＢＣ", "Y", "kg", "Stk.", "4006381333931", "INF",
        "infinity", "9999-12-31", "0000-00-00", "1900-01-01", "é", "e\u0301", "ß", "ǰ", "ŉ", "İ", "ﬃ", "4711-x", "-", "(", "\\", "NaN", "1_000",
    ]
)  # fmt: skip
ANYTHING = st.one_of(
    WORDS,
    st.text(max_size=40),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.integers(min_value=-(10**17), max_value=10**17),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.from_regex(r"[+0-9() /.-]{3,20}", fullmatch=True),
    st.from_regex(r"[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}", fullmatch=True),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
CLEAN = (str, int, float, Decimal, date, list, dict, type(None))


def function(step: Any) -> Any:
    return make_step(step, country=None, timezone="Europe/Berlin", note=lambda reason, value: None).convert


FUNCTIONS = {str(step): function(step) for _, step in ALL}


@pytest.mark.parametrize(("name", "step"), ALL, ids=[str(step) for _, step in ALL])
@settings(max_examples=150, deadline=None)
@given(value=ANYTHING)
def test_conversion_returns_a_clean_value_or_rejects_with_a_reason(name: str, step: Any, value: Any) -> None:
    convert = FUNCTIONS[str(step)]
    shown = repr(value)
    try:
        made = convert(value)
    except BadValue as fault:
        assert fault.reason
        made = None
    assert repr(value) == shown, "the value that came in was changed"
    assert isinstance(made, CLEAN)
    if made is not None and name not in SETTLED and not (isinstance(made, float) and math.isnan(made)):
        assert convert(made) == made, "a clean value is clean"


FIELD_TYPES = {
    "text": text_of, "money": unscaled(4, 18), "rounded": unscaled(4, 18, "half_even"), "int": whole_number, "bool": truth, "date": day,
    "timestamp": instant("millis", "Europe/Berlin"), "nanos": instant("nanos"), "tags": tags_of, "key": key_text, "part": key_part,
    "path": json_path("a[*].b"), "piece": piece(",", 1), "typed": typed_key(frozenset({"a"})),
}  # fmt: skip


@pytest.mark.parametrize("kind", FIELD_TYPES)
@settings(max_examples=300, deadline=None)
@given(value=ANYTHING)
@example(value="1e400")
@example(value="-" + "9" * 500)
@example(value=10**400)
@example(value="\u0661")
def test_field_type_returns_a_value_or_rejects_with_a_reason(kind: str, value: Any) -> None:
    try:
        made = FIELD_TYPES[kind](value)
    except BadValue as fault:
        assert fault.reason
        return
    assert isinstance(made, (str, int, list, type(None), float, dict))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_keep_their_value(number: Decimal) -> None:
    for text in (str(number), format(number, "f") if abs(number.adjusted()) < 300 else str(number)):
        try:
            made = unscaled(4, 18)(text)
        except BadValue:
            assert abs(number) >= 10**14 or number != round(number, 4) or abs(number.adjusted()) > 400
            continue
        assert Decimal(made).scaleb(-4) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_the_value_that_people_see(number: float) -> None:
    try:
        made = unscaled(6, 18)(number)
    except BadValue:
        return
    assert Decimal(made).scaleb(-6) == Decimal(repr(number))


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=7), st.sampled_from(["half_even", "half_up", "down"]))
def test_rounding_changes_less_than_the_last_digit(number: Decimal, mode: str) -> None:
    assert abs(Decimal(unscaled(4, 18, mode)(str(number))).scaleb(-4) - number) < Decimal("0.0001")


@given(st.dates())
def test_days_round_trip(given_day: date) -> None:
    days = day(given_day.isoformat())
    assert date(1970, 1, 1) + timedelta(days=days) == given_day
    assert day(days) == days
    number = int(given_day.strftime("%Y%m%d").zfill(8))
    if given_day.year >= 1000:
        assert function("yyyymmdd")(number) == given_day


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")])))
def test_moments_round_trip(moment: datetime) -> None:
    try:
        micros = instant()(moment.isoformat())
    except BadValue:
        assert moment.year in (1, 9999)
        return
    assert micros == (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Shanghai", "UTC", "Africa/Casablanca"]
)
@settings(max_examples=300)
@given(moment=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)))
def test_local_times_follow_their_zone(zone: str, moment: datetime) -> None:
    moment = moment.replace(fold=0)  # a number of microseconds can not say that it is the second of two
    local = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert local_to_utc(zone)(local) == (moment.replace(tzinfo=ZoneInfo(zone)) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize("locale", ["de_DE", "en_US", "fr_FR", "de_CH"])
@given(number=st.decimals(min_value=-(10**12), max_value=10**12, places=3))
def test_localised_numbers_round_trip(locale: str, number: Decimal) -> None:
    from babel.numbers import format_decimal

    assert decimal(locale=locale)(format_decimal(number, format="#,##0.000", locale=locale)) == number
