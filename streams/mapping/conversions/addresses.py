"""Conversions of addresses: postal codes, and the parts of a Chinese address."""

# ruff: noqa: RUF001 - full-width signs are among what people type

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from streams.mapping.conversions.countries import row_country
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]

_FIVE = "DE ES FR IT FI MX US TR SA TH MY ID UA HR EE LT RS BA ME DZ MA EG KR MC SM VA PK LK"
_FOUR = "AT BE CH LI DK NO HU BG LU SI AU NZ ZA LV GE TN PH BD"
_SIX = "CN IN RU RO SG VN KZ BY CO"
_FORMS = {
    **dict.fromkeys(_FIVE.split(), (r"(\d{5})", r"\1")),
    **dict.fromkeys(_FOUR.split(), (r"(\d{4})", r"\1")),
    **dict.fromkeys(_SIX.split(), (r"(\d{6})", r"\1")),
    "US": (r"(\d{5})(?:-?(\d{4}))?", r"\1-\2"),
    "CA": (r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])(\d[ABCEGHJ-NPRSTV-Z]\d)", r"\1 \2"),
    "GB": (r"([A-Z]{1,2}\d[A-Z\d]?|GIR)(\d[ABD-HJLNP-UW-Z]{2}|0AA)", r"\1 \2"),
    "IE": (r"([AC-FHKNPRTV-Y]\d[0-9W])([0-9AC-FHKNPRTV-Y]{4})", r"\1 \2"),
    "NL": (r"([1-9]\d{3})([A-Z]{2})", r"\1 \2"),
    "SE": (r"(\d{3})(\d{2})", r"\1 \2"),
    "GR": (r"(\d{3})(\d{2})", r"\1 \2"),
    "CZ": (r"(\d{3})(\d{2})", r"\1 \2"),
    "SK": (r"(\d{3})(\d{2})", r"\1 \2"),
    "PL": (r"(\d{2})-?(\d{3})", r"\1-\2"),
    "PT": (r"(\d{4})-?(\d{3})", r"\1-\2"),
    "BR": (r"(\d{5})-?(\d{3})", r"\1-\2"),
    "JP": (r"(\d{3})-?(\d{4})", r"\1-\2"),
    "LV": (r"(?:LV-?)?(\d{4})", r"LV-\1"),
    "LT": (r"(?:LT-?)?(\d{5})", r"LT-\1"),
    "TW": (r"(\d{3}(?:\d{2,3})?)", r"\1"),
    "IL": (r"(\d{5}(?:\d{2})?)", r"\1"),
    "MT": (r"([A-Z]{3})(\d{4})", r"\1 \2"),
    "CY": (r"(\d{4})", r"\1"),
    "AR": (r"([A-HJ-NP-Z]?)(\d{4})([A-Z]{3})?", r"\1\2\3"),
    "CL": (r"(\d{3})-?(\d{4})", r"\1\2"),
}
"""Country → (the form of a code without spaces, how it is written), by the addressing systems of the UPU."""
_WITH_CAR_CODES = frozenset("AT BE CH DE DK ES FI FR HR IT LI LU NL NO PT RO SE SI HU CZ SK PL GR".split())
_CARS = {"AT": "A", "BE": "B", "DE": "D", "ES": "E", "FR": "F", "IT": "I", "LI": "FL", "LU": "L", "NO": "N", "PT": "P"}
_CARS |= {"SE": "S", "HU": "H", "FI": "FIN", "SI": "SLO"}


def postal_code(country: str | None = None, country_column: str | None = None) -> Convert:
    """Checks the form of a postal code and writes it as its country does: spaces, dashes, capital letters. The letters
    of the country in front are removed (D-10115). The country is that of the row's `country_column`, or else `country`.
    A code that lost its zeros (1067 in Germany) is rejected, for it may be one of another country; `zero_pad` before
    this step restores them. A code of a country whose form is not known stays as it is. An empty text becomes null.

    Example: `{postal_code: {country: GB}}`: `sw1a1aa` → `SW1A 1AA`
    """
    home_of = row_country(country)

    def convert(value: object, where: object = None) -> str | None:
        text = unicodedata.normalize("NFKC", text_of(value)).strip().upper()
        if not text:
            return None
        home = home_of(where)
        form = _FORMS.get(home or "")
        if form is None or home is None:
            return text
        number = re.sub(r"\s", "", text)
        if home in _WITH_CAR_CODES:
            number = re.sub(rf"^(?:{home}|{_CARS.get(home, home)})-?(?=\d)", "", number)
        match = re.fullmatch(form[0], number, re.ASCII)
        if match is None:
            raise BadValue(f"not a postal code of {home}", value)
        # The second part of a code of the United States or Argentina is often left out.
        return match.expand(form[1]).rstrip("-")

    return convert


_MUNICIPALITIES = ("北京", "上海", "天津", "重庆")
_REGIONS = {
    "内蒙古": "内蒙古自治区",
    "广西": "广西壮族自治区",
    "西藏": "西藏自治区",
    "宁夏": "宁夏回族自治区",
    "新疆": "新疆维吾尔自治区",
    "香港": "香港特别行政区",
    "澳门": "澳门特别行政区",
}
_PROVINCES = (
    "河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东"
    " 河南 湖北 湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海 台湾"
).split()
_FULL_NAMES = (
    {short: f"{short}市" for short in _MUNICIPALITIES} | _REGIONS | {short: f"{short}省" for short in _PROVINCES}
)
_CITY = re.compile(r"[^市区县旗路街号]{1,10}?(?:自治州|地区|盟|市)")
_DISTRICT = re.compile(r"[^市区县旗路街号]{1,10}?(?:自治县|自治旗|林区|特区|新区|区|县|旗|市)")


def chinese_address(take: Literal["province", "city", "district", "street"]) -> Convert:
    """Takes one piece (`take`) of a Chinese address that is one text: the province, municipality or region (with its
    full name: 广东 becomes 广东省), the city or prefecture, the district or county, or the street, which is the rest.
    In a municipality the city is the municipality. Null if the address has no such piece. An address that does not
    begin with a province is rejected, for the same district names are in many cities.

    Example: `{chinese_address: city}`: `广东省深圳市南山区科技园路1号` → `深圳市`
    """

    def convert(value: object) -> str | None:
        text = "".join(unicodedata.normalize("NFKC", text_of(value)).split())
        text = re.sub(
            r"^(?:中国|中华人民共和国)[,、]?(?!香港|澳门|台湾)|^中国(?=香港|澳门|台湾)", "", re.sub(r"^\d{6}", "", text)
        )
        if not text:
            return None
        return _parts(text, value).get(take) or None

    return convert


def _parts(text: str, value: object) -> dict[str, str]:
    short = next((name for name in _FULL_NAMES if text.startswith(name)), None)
    if short is None:
        raise BadValue("an address that does not begin with a province of China", value)
    province = _FULL_NAMES[short]
    rest = text.removeprefix(province) if text.startswith(province) else _without_kind(text[len(short) :])
    parts = {"province": province}
    if short in _MUNICIPALITIES:
        parts["city"] = province
        rest = rest.removeprefix(province).removeprefix("市辖区")
    elif short not in ("香港", "澳门"):
        city = _CITY.match(rest)
        if city is not None:
            parts["city"], rest = city[0], rest[city.end() :]
    district = _DISTRICT.match(rest)
    if district is not None:
        parts["district"], rest = district[0], rest[district.end() :]
    parts["street"] = rest.strip(",，、")
    return parts


def _without_kind(rest: str) -> str:
    """What follows the short name of a province, without the word for its kind."""
    return re.sub(r"^(?:省|自治区|特别行政区|特區|市(?=.))", "", rest)
