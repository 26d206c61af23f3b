"""Conversions of phone numbers, e-mail and web addresses, and of the codes of countries, languages and currencies.

Each result has the form of the standard that its docstring names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from urllib.parse import urlsplit

from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]
_CACHED = 20_000
"""Values that a slow parser remembers: more than the customers of most companies, and a few megabytes."""


def phone(country: str | None = None, country_column: str | None = None) -> Convert:
    """Reads a phone number and writes it in E.164, with an extension as `;ext=12`. A number without a country code
    belongs to the country in the row's `country_column` (code or name), or else to `country` (ISO 3166 code). A number
    that cannot exist there is rejected. Rules: the Python package `phonenumbers` (Google's libphonenumber).

    Example: `{phone: {country: DE}}`: `030 901820` → `+4930901820`
    """
    import phonenumbers as numbers

    if country is not None and country not in numbers.SUPPORTED_REGIONS:
        raise ValueError(f"there is no country {country!r}; use an ISO 3166 code such as DE")
    region_of = country_code()

    @lru_cache(maxsize=_CACHED)
    def read(text: str, region: str | None) -> str:
        try:
            number = numbers.parse(text, region)
        except numbers.NumberParseException:
            needs = "" if region else " (a national number needs a `country`)"
            raise BadValue(f"not a phone number{needs}", text) from None
        # A national number of another country often has a possible length here; only its pattern shows that it is
        # wrong.
        proved = numbers.is_possible_number if text.startswith(("+", "00")) else numbers.is_valid_number
        if not proved(number):
            raise BadValue(f"not a phone number of {region or 'any country'}", text)
        made = numbers.format_number(number, numbers.PhoneNumberFormat.E164)
        # Some numbers do not survive being written and read again: two texts would stand for one number.
        if numbers.format_number(numbers.parse(made, None), numbers.PhoneNumberFormat.E164) != made:
            raise BadValue("a phone number that E.164 does not write in exactly one way", text)
        return f"{made};ext={number.extension}" if number.extension else str(made)

    def convert(value: object, where: object = None) -> str | None:
        # NFKC: people in East Asia type full-width digits and plus signs.
        text = unicodedata.normalize("NFKC", text_of(value)).strip()
        if not text:
            return None
        region = country
        if where is not None and where != "":
            try:
                region = region_of(where) or country
            except BadValue:
                region = country
        return read(text, region)

    return convert


def email() -> Convert:
    """Checks the form of an e-mail address and writes its domain in small letters. `Name <a@b.example>` becomes the
    address alone; an empty text becomes null. No message is sent and no name server is asked. Rules: RFC 5321 and 5322,
    by the Python package `email-validator`.

    Example: `email`: `Anna <anna@Example.COM>` → `anna@example.com`
    """
    from email_validator import EmailNotValidError, validate_email

    @lru_cache(maxsize=_CACHED)
    def read(text: str) -> str:
        match = re.fullmatch(r"[^<>]*<([^<>]+)>", text)
        try:
            # test_environment: a company's own test data may have addresses of the reserved domain .test
            checked = validate_email(
                match[1].strip() if match else text, check_deliverability=False, test_environment=True
            )
        except EmailNotValidError as error:
            raise BadValue(f"not an e-mail address ({str(error).rstrip('.')})", text) from None
        return str(checked.normalized)

    def convert(value: object) -> str | None:
        text = text_of(value).strip().removeprefix("mailto:")
        return read(text) if text else None

    return convert


def url() -> Convert:
    """Checks a web address and writes its host in small letters. An address without a scheme gets https://. An empty
    text becomes null; an address with a user name in it is rejected.

    Example: `url`: `Example.COM/shop` → `https://example.com/shop`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip()
        return read(text) if text else None

    @lru_cache(maxsize=_CACHED)
    def read(text: str) -> str:
        whole = text if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text) else f"https://{text}"
        try:
            parts = urlsplit(whole)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise BadValue("not a web address", text) from None
        if (
            parts.scheme.lower() not in ("http", "https")
            or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", host)
            or re.search(r"\s", whole)
        ):
            raise BadValue("not a web address", text)
        if parts.username is not None:
            raise BadValue("a web address with a user in it", text)
        path = parts.path if parts.path != "/" or parts.query else ""
        rest = path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
        return f"{parts.scheme.lower()}://{host}{f':{port}' if port else ''}{rest}"

    return convert


def _plain(text: str) -> str:
    """A name in the form in which names are compared: small letters, no accents, no points."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c for c in folded if not unicodedata.combining(c) and c not in ".,'\u2019()").split())


_NAME_LOCALES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "da", "cs", "zh", "ja", "ko", "tr", "ru")


def _named(what: str) -> Iterator[tuple[str, str]]:
    """(code, name in the form of `_plain`) of all `territories` or `languages`, in the languages of `_NAME_LOCALES`."""
    from babel import Locale, localedata

    for locale in _NAME_LOCALES:
        for code, name in getattr(Locale(locale), what).items():
            yield code, _plain(name)
    localedata._cache.clear()  # babel would keep the data of 16 languages: 15 MB in each worker


@cache
def _countries() -> dict[str, str]:
    """Every code and name of a country, in the form of `_plain` → its alpha-2 code."""
    import pycountry

    # Later entries win: official names of ISO 3166 over translations, codes over names.
    known: dict[str, str] = {}
    codes = {c.alpha_2 for c in pycountry.countries}
    for code, named in _named("territories"):
        if code in codes:
            known.setdefault(named, code)
    for c in pycountry.countries:
        for name in (c.name, getattr(c, "official_name", None), getattr(c, "common_name", None)):
            if name:
                known[_plain(name)] = c.alpha_2
    for c in pycountry.countries:
        known[c.alpha_2.casefold()] = known[c.alpha_3.casefold()] = known[c.numeric] = c.alpha_2
    known |= {
        "uk": "GB",
        "usa": "US",
        "great britain": "GB",
        "england": "GB",
        "brd": "DE",
        "prc": "CN",
        "中华人民共和国": "CN",
    }
    return known


def country_code() -> Convert:
    """Finds the ISO 3166-1 code of a country (two letters) from a code of two or three letters, a numeric code, or a
    name in 16 languages. An empty text becomes null.

    Example: `country`: `Deutschland` → `DE`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip()
        if not text:
            return None
        code = _countries().get(_plain(text))
        if code is None:
            raise BadValue("not a country that ISO 3166 knows", value)
        return code

    return convert


@cache
def _languages() -> dict[str, str]:
    import pycountry

    two = {lang.alpha_2: lang for lang in pycountry.languages if hasattr(lang, "alpha_2")}
    known: dict[str, str] = {}
    for code, named in _named("languages"):
        if code in two:
            known.setdefault(named, code)
    for code, lang in two.items():
        known[_plain(lang.name)] = known[lang.alpha_3] = known[code] = code
        if hasattr(lang, "bibliographic"):  # the second three-letter code that some languages have: ger beside deu
            known[lang.bibliographic] = code
    return known


def language_code() -> Convert:
    """Finds the ISO 639-1 code of a language (two letters) from a code (de, deu, ger), a locale (de_DE, zh-Hans-CN) or
    a name in one of 16 languages. An empty text becomes null.

    Example: `language`: `zh-Hans-CN` → `zh`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip()
        if not text:
            return None
        known = _languages()
        code = known.get(_plain(text)) or known.get(re.split(r"[_\-.@]", text, maxsplit=1)[0].casefold())
        if code is None:
            raise BadValue("not a language that ISO 639 knows", value)
        return code

    return convert


@cache
def _currencies() -> dict[str, str]:
    """Every code of a currency, three letters or three digits → its letters."""
    import pycountry

    return {code: c.alpha_3 for c in pycountry.currencies for code in (c.alpha_3, c.numeric)}


_CURRENCY_NAMES = {
    "€": "EUR",
    "EURO": "EUR",
    "£": "GBP",
    "US$": "USD",
    "RMB": "CNY",
    "CN¥": "CNY",
    "人民币": "CNY",
    "元": "CNY",
    "円": "JPY",
    "FR.": "CHF",
    "SFR": "CHF",
}


def currency_code() -> Convert:
    """Finds the ISO 4217 code of a currency (three letters) from its code, its number (978) or a sign that means only
    one currency (€, £, US$, RMB). $ and ¥ alone mean several currencies and are rejected.

    Example: `currency`: `€` → `EUR`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip().upper()
        if not text:
            return None
        code = _CURRENCY_NAMES.get(text, text.zfill(3) if text.isdigit() else text)
        if code not in _currencies():
            raise BadValue("not a currency that ISO 4217 knows", value)
        return _currencies()[code]

    return convert
