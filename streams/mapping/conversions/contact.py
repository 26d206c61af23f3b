"""Ways to reach people, and where they are: phone, e-mail, web site, country, language, currency. Results go by the
standard that is named.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., Any]


def phone(country: str | None = None, country_column: str | None = None) -> Convert:
    """A phone number in E.164 (+4930123456), an extension as `;ext=12`. A national number is one of `country` (ISO 3166
    code), or of the row's `country_column` (code or name). Rejects what cannot be a number there. Source:
    libphonenumber's metadata, `phonenumbers`.
    """
    import phonenumbers as numbers

    if country is not None and country not in numbers.SUPPORTED_REGIONS:
        raise ValueError(f"there is no country {country!r}; use an ISO 3166 code such as DE")
    region_of = country_code()

    @lru_cache(maxsize=20_000)
    def read(text: str, region: str | None) -> str:
        try:
            number = numbers.parse(text, region)
        except numbers.NumberParseException:
            needs = "" if region else " (a national number needs a `country`)"
            raise BadValue(f"not a phone number{needs}", text) from None
        # A national number of another country than was thought often has a possible length; its pattern gives it away.
        proved = numbers.is_possible_number if text.startswith(("+", "00")) else numbers.is_valid_number
        if not proved(number):
            raise BadValue(f"not a phone number of {region or 'any country'}", text)
        made = numbers.format_number(number, numbers.PhoneNumberFormat.E164)
        if numbers.format_number(numbers.parse(made, None), numbers.PhoneNumberFormat.E164) != made:
            raise BadValue("not a phone number that can be written in one way", text)
        return f"{made};ext={number.extension}" if number.extension else str(made)

    def convert(value: Any, where: Any = None) -> str | None:
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
    """An e-mail address that is well formed, its domain in small letters; `Name <a@b.example>` gives the address. '' is
    null.

    Nothing is sent and no name server asked. Source: RFC 5321 and 5322 by `email-validator`.
    """
    from email_validator import EmailNotValidError, validate_email

    @lru_cache(maxsize=20_000)
    def read(text: str) -> str:
        match = re.fullmatch(r"[^<>]*<([^<>]+)>", text)
        try:
            found = validate_email(
                match[1].strip() if match else text, check_deliverability=False, test_environment=True
            )
        except EmailNotValidError as error:
            raise BadValue(f"not an e-mail address ({str(error).rstrip('.')})", text) from None
        return str(found.normalized)

    def convert(value: Any) -> str | None:
        text = text_of(value).strip().removeprefix("mailto:")
        return read(text) if text else None

    return convert


def url() -> Convert:
    """A web address with its scheme, host in small letters; https:// is put before one without. '' is null."""

    def convert(value: Any) -> str | None:
        text = text_of(value).strip()
        return read(text) if text else None

    @lru_cache(maxsize=20_000)
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
    """A name as it is compared: no case, no marks, no points."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c for c in folded if not unicodedata.combining(c) and c not in ".,'\u2019()").split())


_NAME_LOCALES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "da", "cs", "zh", "ja", "ko", "tr", "ru")


def _named(what: str) -> Iterator[tuple[str, str]]:
    """(code, name as it is compared) of all `territories` or `languages`, in the languages that we know."""
    from babel import Locale, localedata

    for locale in _NAME_LOCALES:
        for code, name in getattr(Locale(locale), what).items():
            yield code, _plain(name)
    localedata._cache.clear()  # it would keep all that it knows of 16 languages, 15 MB


@cache
def _countries() -> dict[str, str]:
    """Every code and name of a country, as it is compared → its alpha-2 code."""
    import pycountry

    found: dict[str, str] = {}
    codes = {c.alpha_2 for c in pycountry.countries}
    for code, named in _named("territories"):
        if code in codes:
            found.setdefault(named, code)
    for c in pycountry.countries:
        for name in (c.name, getattr(c, "official_name", None), getattr(c, "common_name", None)):
            if name:
                found[_plain(name)] = c.alpha_2
    for c in pycountry.countries:
        found[c.alpha_2.casefold()] = found[c.alpha_3.casefold()] = found[c.numeric] = c.alpha_2
    found |= {
        "uk": "GB",
        "usa": "US",
        "great britain": "GB",
        "england": "GB",
        "brd": "DE",
        "prc": "CN",
        "中华人民共和国": "CN",
    }
    return found


def country_code() -> Convert:
    """An ISO 3166-1 alpha-2 code from a code (2 or 3 letters, or numeric) or a name in 16 languages. '' is null."""

    def convert(value: Any) -> str | None:
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
    found: dict[str, str] = {}
    for code, named in _named("languages"):
        if code in two:
            found.setdefault(named, code)
    for code, lang in two.items():
        found[_plain(lang.name)] = found[lang.alpha_3] = found[code] = code
        if hasattr(lang, "bibliographic"):
            found[lang.bibliographic] = code
    return found


def language_code() -> Convert:
    """An ISO 639-1 code from a code (de, deu, ger), a locale (de_DE, zh-Hans-CN) or a name in one of 16 languages. ''
    is null.
    """

    def convert(value: Any) -> str | None:
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
    """Every code of a currency, of three letters or three digits → its letters."""
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
    """An ISO 4217 code from a code (letters in any case, or its number: 978) or a sign that means one currency (€, £, US$, RMB);
    $ and ¥ alone are rejected, as they mean several.
    """

    def convert(value: Any) -> str | None:
        text = text_of(value).strip().upper()
        if not text:
            return None
        code = _CURRENCY_NAMES.get(text, text.zfill(3) if text.isdigit() else text)
        if code not in _currencies():
            raise BadValue("not a currency that ISO 4217 knows", value)
        return _currencies()[code]

    return convert
