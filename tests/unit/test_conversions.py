"""What each named conversion makes of the values that real systems hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams.dictionary.conversions_page import example_of, page
from streams.dictionary.yaml_lines import parse_yaml
from streams.mapping.conversions.registry import conversions, make_step
from streams.mapping.row_errors import BadValue, FieldError
from tests.factories import value

D = Decimal


def run(step: Any, value: Any, *more: Any, country: str | None = None, timezone: str = "UTC") -> Any:
    return make_step(step, country=country, timezone=timezone, note=lambda reason, shown: None).convert(value, *more)


@pytest.mark.parametrize(
    ("step", "value", "made"),
    [
        ("trim", "  a  b ", "a  b"), ("trim", " ", None), ("collapse", " a \t b\n", "a b"), ("collapse", "", None),
        ("upper", "straße", "STRASSE"), ("lower", "ÄB", "äb"), ("title", "MÜLLER & SOHN", "Müller & Sohn"), ("title", "McDonald", "McDonald"),
        ("nfkc", "\uff21\uff22\uff23\uff11\uff12\uff13 ①", "ABC123 1"), ("nfc", "e\u0301", "é"), ("mojibake", "MÃ¼ller", "Müller"), ("mojibake", "Müller", "Müller"),
        ("strip_control", "a\u200b\x07b\ufeff\n", "ab\n"), ("html_text", "<p>Hello&nbsp;<b>you</b></p><script>x</script><p>two", "Hello you\ntwo"),
        ("html_text", "<p></p>", None), ("html_text", "a < b", "a < b"), ("strip_zeros", "0000004711", "4711"), ("strip_zeros", "000", "0"),
        ("strip_zeros", "A001", "A001"), ({"zero_pad": 10}, "4711", "0000004711"), ({"zero_pad": 3}, 47110, "47110"),
        ({"pattern": "[A-Z]{2}[0-9]+"}, "AB12", "AB12"), ({"extract": "SO-([0-9]+)"}, "order SO-123, late", "123"), ({"extract": "x"}, "abc", None),
        ({"max_length": 3}, "abc", "abc"), ("list", "a, b,,a ,c", ["a", "b", "c"]), ({"list": ";"}, "a;b", ["a", "b"]), ("list", ["a", " b"], ["a", "b"]),
        ({"null_if": {"values": ["", "N/A", 0]}}, "N/A", None), ({"null_if": {"values": [0]}}, False, False),
        ("yyyymmdd", 20240229, date(2024, 2, 29)), ("yyyymmdd", "20240229", date(2024, 2, 29)), ("yyyymmdd", 0, None), ("yyyymmdd", "00000000", None),
        ({"date": "%d.%m.%Y"}, "29.02.2024", date(2024, 2, 29)), ({"date": {"formats": ["%d/%m/%Y", "%m/%d/%Y"]}}, "03/03/2024", date(2024, 3, 3)),
        ({"date": {"formats": ["%d/%m/%Y", "%m/%d/%Y"]}}, "31/12/2024", date(2024, 12, 31)),
        ({"datetime": {"formats": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"}}, "01.07.2024 12:00", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ({"datetime": {"formats": "%Y-%m-%dT%H:%M:%S%z"}}, "2024-07-01T12:00:00+0200", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ({"date_of": {"timezone": "Asia/Shanghai"}}, "2024-01-01T20:00:00Z", date(2024, 1, 2)), ("date_of", 1_704_139_200_000_000, date(2024, 1, 1)),
        ({"null_date": {"days": ["1900-01-01"]}}, -25_567, None), ({"null_date": {"days": ["1900-01-01"]}}, "1900-01-01T00:00:00Z", None),
        ({"null_date": {"days": ["1900-01-01"]}}, 5, 5), ("epoch", "1714557600", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("decimal", "12.50", D("12.50")), ({"decimal": {"locale": "de_DE"}}, "1.234,56", D("1234.56")), ({"decimal": {"locale": "en_US"}}, "1,234.56", D("1234.56")),
        ({"decimal": {"point": ",", "group": "."}}, "-1.234.567,8", D("-1234567.8")), ("decimal", " ", None),
        ({"minor_units": {"currency": "EUR"}}, 1250, D("12.50")), ({"minor_units": {"currency": "JPY"}}, 1250, D(1250)), ({"minor_units": {"currency": "BHD"}}, 1250, D("1.250")),
        ({"multiply": "0.01"}, "1950", D("19.50")), ("negate", "12.5", D("-12.5")), ("negate", 0, D(0)), ("absolute", "-3", D(3)),
        ({"unit": {"source": "g", "to": "kg"}}, "1500", D("1.5")), ({"unit": {"source": "pound", "to": "kg"}}, 2, D("0.90718474")),
        ("unit_code", "Stk.", "C62"), ("unit_code", "个", "C62"), ("unit_code", "kg", "KGM"), ("unit_code", "KGM", "KGM"), ({"unit_code": "pass"}, "XYZ", "XYZ"),
        ("email", " Info@Example.COM ", "info@example.com"), ("email", "Jo <jo.b@x.example>", "jo.b@x.example"), ("email", "", None), ("email", "müller@bücher.example", "müller@bücher.example"),
        ("url", "WWW.Example.com", "https://www.example.com"), ("url", "http://x.example/A?b=1#c", "http://x.example/A?b=1#c"), ("url", "", None),
        ("country", "Germany", "DE"), ("country", "Deutschland", "DE"), ("country", "德国", "DE"), ("country", "DEU", "DE"), ("country", "276", "DE"),
        ("country", "UK", "GB"), ("country", "Côte d\u2019Ivoire", "CI"), ("country", "中国", "CN"), ("country", "United States", "US"), ("country", "Taiwan", "TW"),
        ("language", "de_DE", "de"), ("language", "zh-Hans-CN", "zh"), ("language", "German", "de"), ("language", "ger", "de"), ("language", "中文", "zh"),
        ("currency", "eur", "EUR"), ("currency", "€", "EUR"), ("currency", "RMB", "CNY"),
        ("tax_id", "DE 136.695.976", "DE136695976"), ("tax_id", "ATU 1358 5627", "ATU13585627"), ("tax_id", "EL 094259216", "EL094259216"), ("tax_id", "", None),
        ({"tax_id": {"country": "CN"}}, "91110000600037341L", "91110000600037341L"), ({"tax_id": {"country": "DE"}}, "136695976", "DE136695976"),
        ({"tax_id": {"country": "US"}}, "91-1144442", "911144442"), ({"tax_id": {"country": "GB"}}, "GB 980 7806 84", "GB980780684"),
        ({"tax_id": {"country": "CH"}}, "CHE-107.787.577 MWST", "CHE107787577"), ({"tax_id": {"country": "CH"}}, "CHE-107.787.577", "CHE107787577"), ({"tax_id": {"country": "CH"}}, "CHE 107 787 577 TVA", "CHE107787577"),
        ("iban", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"), ("gtin", "4006381333931", "4006381333931"), ("gtin", "400638 1333931", "4006381333931"),
        ("gtin", "04006381333931", "4006381333931"), ("gtin", "0036000291452", "036000291452"), ("gtin", "0000040170725", "40170725"), ("gtin", "14006381333938", "14006381333938"),
        ("currency", 978, "EUR"), ("currency", "008", "ALL"), ("currency", 8, "ALL"), ("boolean", "wahr", True), ("boolean", "Falsch", False), ("boolean", -1, True),
        ({"decimal": {"locale": "fr_FR"}}, "1 234 567,5", D("1234567.5")), ({"decimal": {"locale": "fr_FR"}}, "1\u00a0234,5", D("1234.5")), ({"decimal": {"locale": "de_CH"}}, "1'234.50", D("1234.50")),
        ({"date": {"formats": "%d.%m.%y", "pivot": 70}}, "01.02.68", date(2068, 2, 1)), ({"date": {"formats": "%d.%m.%y", "pivot": 30}}, "01.02.68", date(1968, 2, 1)),
        ({"datetime": {"formats": "%d.%m.%y %H:%M", "pivot": 30}}, "01.02.29 12:00", datetime(2029, 2, 1, 12, tzinfo=UTC)),
        ("company_name", "müller  maschinenbau gmbh & co.kg", "müller maschinenbau GmbH & Co. KG"), ({"company_name": "drop"}, "ACME Co., Ltd", "ACME"),
        ({"company_name": "only"}, "北京科技有限公司", "有限公司"), ({"company_name": "drop"}, "北京科技有限公司", "北京科技"), ({"company_name": "drop"}, "GmbH", "GmbH"),
        ({"company_name": "drop"}, "Kunz s.r.o.", "Kunz"), ({"company_name": "keep"}, "Jansen bv", "Jansen B.V."), ({"company_name": "drop"}, "Kagon", "Kagon"),
        ("boolean", "X", True), ("boolean", "", False), ({"boolean": {"true": ["J"], "false": ["N"]}}, "n", False),
    ],
)  # fmt: skip
def test_conversion_returns_the_clean_value(step: Any, value: Any, made: Any) -> None:
    result = run(step, value)
    assert result == made and type(result) is type(made)


@pytest.mark.parametrize(
    ("step", "value", "says"),
    [
        ({"pattern": "[A-Z]+"}, "AB1", "does not match"), ({"max_length": 3}, "abcd", "longer than 3"), ("yyyymmdd", 20230229, "calendar"),
        ("yyyymmdd", 2024, "form yyyymmdd"), ({"date": "%d.%m.%Y"}, "31.02.2024", "not in the form"), ({"date": "%d.%m.%Y"}, "01.02.24", "not in the form"),
        ({"date": {"formats": ["%d/%m/%Y", "%m/%d/%Y"]}}, "02/03/2024", "ambiguous between"),
        ({"datetime": {"formats": "%Y-%m-%d %H:%M", "timezone": "Europe/Berlin", "ambiguous": "reject"}}, "2024-10-27 02:30", "ambiguous local time"),
        ({"datetime": {"formats": "%Y-%m-%d %H:%M", "timezone": "Europe/Berlin", "ambiguous": "reject"}}, "2024-03-31 02:30", "skipped local time"),
        ({"decimal": {"locale": "de_DE"}}, "1,234.56", "as de_DE writes"), ({"decimal": {"point": ",", "group": "."}}, "1.23,4", "not of three"),
        ({"decimal": {"point": ","}}, "1.5", "a point where"), ("decimal", "1,5", "not a number"), ("unit_code", "fathomless", "unit of measure"),
        ("email", "a@@b", "not an e-mail"), ("email", "a b@c.example", "not an e-mail"), ("url", "not a site", "not a web address"), ("url", "ftp://x.example", "not a web"),
        ("url", "http://u:p@x.example", "a user in it"), ("country", "Atlantis", "ISO 3166"), ("language", "Klingonish", "ISO 639"), ("currency", "$", "ISO 4217"),
        ("tax_id", "DE136695977", "wrong check digit"), ("tax_id", "DE12345", "too many or too few"), ("tax_id", "136695976", "the step has no `country`"),
        ({"tax_id": {"country": "CN"}}, "91110000600037342L", "wrong check digit"), ("iban", "DE88370400440532013000", "wrong check digit"),
        ("gtin", "4006381333932", "wrong check digit"), ("boolean", "maybe", "neither"), ("phone", "030 1234", "needs a `country`"), ({"phone": {"country": "DE"}}, "1", "not a p"),
        ({"tax_id": {"country": "CH"}}, "CHE-107.787.578", "wrong check digit"), ({"tax_id": {"country": "CH"}}, "CHE-107.787.577 UST", "tax number of CH"),
        ({"decimal": {"locale": "fr_FR"}}, "12 34,5", "as fr_FR writes"), ({"decimal": {"locale": "de_DE"}}, "1 234,5", "as de_DE writes"), ("currency", "97", "ISO 4217"), ("boolean", "-2", "neither"),
        ({"date": {"formats": "%d.%m.%y", "pivot": 0}}, "29.02.00", "not in the form"),
        ({"multiply": "3"}, "9" * 60, "60 digits"), ({"unit": {"source": "g", "to": "kg"}}, "x", "not a number"),
    ],
)  # fmt: skip
def test_conversion_rejects_a_wrong_value_with_a_reason(step: Any, value: Any, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        run(step, value)


@pytest.mark.parametrize(
    "step", [{"date": "%d.%m.%y"}, {"datetime": "%y%m%d %H:%M"}, {"date": {"formats": "%y", "pivot": 100}}]
)
def test_two_digit_year_needs_a_pivot(step: Any) -> None:
    with pytest.raises(ValueError, match="has no century: add `pivot`"):
        run(step, "010268")


def test_phone_number_takes_the_country_of_its_row() -> None:
    step = {"phone": {"country_column": "land"}}
    made = make_step(step, country="DE", timezone="UTC", note=lambda reason, value: None)
    convert = made.convert
    assert (made.name, made.columns) == ("phone", ("land",))
    assert convert("010 1234 5678", "China") == "+861012345678"
    assert convert("030 1234567", None) == "+49301234567"
    assert convert("030 1234567", "Nowhere") == "+49301234567"
    assert convert("+44 20 7946 0018 ext. 7", "DE") == "+442079460018;ext=7"
    assert convert("＋４９ ３０ １２３４５６７".replace("\uff0b", "+"), None) == "+49301234567"


def test_tax_id_and_minor_units_take_columns_of_their_row() -> None:
    tax = make_step({"tax_id": {"country_column": "c"}}, country=None, timezone="UTC", note=lambda r, v: None).convert
    assert tax("136695976", "Germany") == "DE136695976"
    assert tax("91110000600037341L", "CN") == "91110000600037341L"
    money = make_step(
        {"minor_units": {"currency_column": "c"}}, country=None, timezone="UTC", note=lambda r, v: None
    ).convert
    assert money(1250, "jpy") == D(1250) and money(1250, "EUR") == D("12.50")
    with pytest.raises(BadValue, match="ISO 4217"):
        money(1250, "ZZZ")


def test_an_article_number_that_stands_for_anything_gets_a_note_each_time() -> None:
    notes: list[object] = []
    convert = make_step("gtin", country=None, timezone="UTC", note=lambda reason, shown: notes.append(shown)).convert
    assert [convert("1234567890128"), convert("4006381333931"), convert("1234567890128")] == [
        "1234567890128", "4006381333931", "1234567890128",
    ]  # fmt: skip
    assert notes == ["1234567890128", "1234567890128"]


def test_mapping_notes_are_added_for_changed_values() -> None:
    notes: list[tuple[str, object]] = []
    for step, given in [("mojibake", "MÃ¼ller"), ("strip_control", "a\x07"), ("title", "ABC"), ("mojibake", "fine")]:
        make_step(step, country=None, timezone="UTC", note=lambda reason, shown: notes.append((reason, shown))).convert(
            given
        )
    assert notes == [
        ("wrong encoding repaired", "MÃ¼ller"),
        ("control characters removed", "a\x07"),
        ("case corrected", "ABC"),
    ]


def test_page_of_conversions_is_current() -> None:
    file = Path(__file__).parents[2] / "docs/guides/conversions.md"
    assert file.read_text("utf-8") == page(), (
        "run: python -m streams.dictionary.conversions_page docs/guides/conversions.md"
    )


@pytest.mark.parametrize("name", sorted(name for name, known in conversions().items() if known.built_in))
def test_example_of_each_built_in_conversion_is_true(name: str) -> None:
    example = example_of(conversions()[name])
    assert example is not None, f"the docstring of {name} has no example"
    step, given, result = (parse_yaml(text, Path("example"))[0] for text in example)
    converted = run(step, given)
    readable = (
        {True: "true", False: "false", None: "null"}.get(converted, converted)
        if not isinstance(converted, list)
        else converted
    )
    assert readable == result or str(readable) == example.result


SHELVES = """
def shelf(prefix: str = "R"):
    'A shelf.'
    def convert(value):
        if not value.isdigit():
            raise ValueError(f"not a shelf number: {value!r}")
        return f"{prefix}-{value:0>3}"
    return convert
"""


def test_other_package_adds_a_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_shelves.py").write_text(SHELVES)
    info = tmp_path / "our_shelves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-shelves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opshub.conversions]\nshelf = our_shelves:shelf\n")
    monkeypatch.syspath_prepend(tmp_path)
    conversions.cache_clear()
    try:
        rule = "{column: v, steps: [{shelf: {prefix: S}}]}"
        assert value("customer", "notes", rule, "7") == "S-007"
        with pytest.raises(FieldError, match="not a shelf number: 'x'"):
            value("customer", "notes", rule, "x")
        assert value("customer", "notes", rule.replace("}]}", "}], bad: pass}"), "x") == "x"
    finally:
        conversions.cache_clear()


@pytest.mark.parametrize("name", sorted(conversions()))
def test_every_conversion_is_documented(name: str) -> None:
    assert len(conversions()[name].doc) > 8
