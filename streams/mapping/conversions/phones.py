"""The conversion of phone numbers to E.164."""

# ruff: noqa: RUF001 - letters of other scripts, and signs that only look like plain ones, are what is compared here

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams.mapping.conversions.countries import country_code
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]
_CACHED = 20_000
"""Values that a slow parser remembers: more than the customers of most companies, and a few megabytes."""

_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that nobody sees: spreadsheets and web pages put marks of direction around a number."""
_EXTENSION = re.compile(
    r"[\s,;(（]*(?:durchwahl|dw|nebenstelle|nst|apparat|app|extensi[oó]n|ext(?:ension)?|extn|poste|toestel|tst|interno|int"
    r"|anexo|ramal|klapka|linka|wewn|wew|доб(?:авочный)?|вн|内线|內線|分机|分機|转|轉|内線|내선|#|x)\.?[\s:：=]*"
    r"([0-9]{1,7})[)）]?$",
    re.IGNORECASE,
)
_CHINESE_EXTENSION = re.compile(
    r"((?:\+?(?:00)?86[\s-]*)?\(?0?[0-9]{2,3}\)?[\s-]*[0-9]{7,8}|400[\s-]?[0-9]{3}[\s-]?[0-9]{4})-([0-9]{1,6})"
)
"""In China a switchboard number of seven or eight digits is followed by a dash and the extension."""
_BETWEEN_NUMBERS = re.compile(r"[/|;,、；，\n]|\s(?:or|oder|ou|o|und|and|y|et|或|及)\s", re.IGNORECASE)
_VANITY_COUNTRIES = frozenset((1, 44, 61, 64, 27))
"""Country codes of North America, United Kingdom, Australia, New Zealand and South Africa: 1-800-FLOWERS."""
_FEWEST_DIGITS = 5
"""Digits of the shortest number that people write out; fewer are an area code without its 0, or another ending."""
_MOST_CODE_DIGITS = 6
"""Digits of all that may stand before the last slash: the prefix and an area code, not a number of its own."""


def phone(country: str | None = None, country_column: str | None = None) -> Convert:
    """Reads a phone number and writes it in E.164, with an extension as `;ext=12`. A number without a country code
    belongs to the country in the row's `country_column` (code or name), or else to `country` (ISO 3166 code). A number
    that cannot exist there is rejected, and so is a text with several numbers, or with words other than those for an
    extension. 00 counts as + in every country, unless its own prefix for abroad gives another number (010 in Japan,
    0011 in Australia). Rules: the Python package `phonenumbers` (Google's libphonenumber).

    Example: `{phone: {country: DE}}`: `030 901820` → `+4930901820`
    """
    import phonenumbers as numbers

    if country is not None and country not in numbers.SUPPORTED_REGIONS:
        raise ValueError(f"there is no country {country!r}; use an ISO 3166 code such as DE")
    region_of = country_code()

    @lru_cache(maxsize=_CACHED)
    def read_once(text: str, region: str | None) -> str | BadValue:
        """The number, or why there is none: a bad number costs most, and comes with each change of its row."""
        try:
            return read(text, region)
        except BadValue as error:
            return BadValue(error.reason, error.value)  # without what the raised one holds

    def read(text: str, region: str | None) -> str:
        whole, extension = _split_extension(text, region)
        number = _number(numbers, whole, region, text)
        made = numbers.format_number(number, numbers.PhoneNumberFormat.E164)
        # Some numbers do not survive being written and read again: two texts would stand for one number.
        if numbers.format_number(numbers.parse(made, None), numbers.PhoneNumberFormat.E164) != made:
            raise BadValue("a phone number that E.164 does not write in exactly one way", text)
        return f"{made};ext={extension}" if extension else str(made)

    def convert(value: object, where: object = None) -> str | None:
        # NFKC: people in East Asia type full-width digits and plus signs.
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text_of(value))).strip()
        if not text:
            return None
        region = country
        if where is not None and where != "":
            try:
                region = region_of(where) or country
            except BadValue:
                region = country
        outcome = read_once(text, region)
        if not isinstance(outcome, BadValue):
            return outcome
        raise BadValue(outcome.reason, outcome.value)  # another one: one that is raised again and again grows

    return convert


def _split_extension(text: str, region: str | None) -> tuple[str, str]:
    """(the number, its extension or '')."""
    match = _EXTENSION.search(text)
    if match is not None and sum(c.isdigit() for c in text[: match.start()]) >= _FEWEST_DIGITS:
        return text[: match.start()], match[1]
    if region == "CN" or text.startswith(("+86", "0086")):
        parts = _CHINESE_EXTENSION.fullmatch(text)
        if parts is not None:
            return parts[1], parts[2]
    return text, ""


def _number(numbers: Any, text: str, region: str | None, value: str) -> Any:
    """The number of a text without extension. Raises BadValue if it is none, or may be two."""
    start = next((at for at, character in enumerate(text) if character.isdigit() or character == "+"), len(text))
    if text[max(start - 1, 0) : start].isalpha():
        raise BadValue("a letter beside the digits of a phone number", value)  # O30 for 030
    body = text[start:]  # without a label such as "Tel."
    pieces = ["".join(c for c in piece if c.isdigit()) for piece in _BETWEEN_NUMBERS.split(body)]
    if body.startswith(("+", "00")):
        pieces[0] = _without_country(numbers, pieces[0])
    codes = [len(digits.removeprefix("0")) for digits in pieces[:-1]]
    # 030/901820 has its area code before the slash; in 030 901820/21 the digits after it are another ending.
    if codes and (
        sum(codes) > _MOST_CODE_DIGITS or max(codes) > _FEWEST_DIGITS or len(pieces[-1]) < _FEWEST_DIGITS - 1
    ):
        raise BadValue("more than one phone number, or an ending that stands for another one", value)
    body = re.sub(r"^\+[\s+]*(?:00)?", "+", body)  # +0049 and ++49 are slips for +49
    if body.startswith("+"):
        # New ranges come before the package knows them: a number of a known country need only be possible.
        number = _parsed(numbers, body, None)
        if number is None or not numbers.is_possible_number(number):
            raise BadValue("not a phone number of any country", value)
    else:
        number = _national(numbers, body, region, value)
    if any(c.isalpha() for c in body) and number.country_code not in _VANITY_COUNTRIES:
        raise BadValue("a phone number with letters in it", value)
    return number


def _without_country(numbers: Any, digits: str) -> str:
    """Digits after + or 00, without the country code. No country code is the beginning of another."""
    digits = digits.removeprefix("00")
    known = numbers.COUNTRY_CODE_TO_REGION_CODE
    return next((digits[n:] for n in (1, 2, 3) if digits[:n] and int(digits[:n]) in known), digits)


def _national(numbers: Any, body: str, region: str | None, value: str) -> Any:
    """A number without a plus sign, read by the rules of its country; 00 also as the plus sign."""
    here = None if region is None else _parsed(numbers, body, region)
    readings = [here] if here is not None and numbers.is_valid_number(here) else []
    digits = "".join(c for c in body if c.isdigit())
    if digits.startswith("00"):
        abroad = _parsed(numbers, "+" + digits[2:], None)
        if abroad is not None and numbers.is_valid_number(abroad) and abroad not in readings:
            readings.append(abroad)
        if not readings and here is not None and _is_prefix_00(numbers, region) and numbers.is_possible_number(here):
            readings.append(here)
    if len(readings) > 1:
        raise BadValue(f"00 may be a prefix of {region} or stand for +", value)
    if not readings:
        needs = "" if region else " (a national number needs a `country`)"
        raise BadValue(f"not a phone number of {region or 'any country'}{needs}", value)
    return readings[0]


def _is_prefix_00(numbers: Any, region: str | None) -> bool:
    """Whether 00 is how numbers abroad begin in this country."""
    metadata = numbers.PhoneMetadata.metadata_for_region(region, None)
    return metadata is not None and metadata.international_prefix == "00"


def _parsed(numbers: Any, text: str, region: str | None) -> Any:
    try:
        return numbers.parse(text, region)
    except numbers.NumberParseException:
        return None
