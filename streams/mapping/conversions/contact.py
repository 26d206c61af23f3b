"""Conversions of e-mail and web addresses, and of the codes of languages.

Each result has the form of the standard that its docstring names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from urllib.parse import urlsplit

from streams.mapping.conversions.names import named, plain
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]
_CACHED = 20_000
"""Values that a slow parser remembers: more than the customers of most companies, and a few megabytes."""


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


@cache
def _languages() -> dict[str, str]:
    import pycountry

    two = {lang.alpha_2: lang for lang in pycountry.languages if hasattr(lang, "alpha_2")}
    known: dict[str, str] = {}
    for code, name in named("languages"):
        if code in two:
            known.setdefault(plain(name), code)
    for code, lang in two.items():
        known[plain(lang.name)] = known[lang.alpha_3] = known[code] = code
        if hasattr(lang, "bibliographic"):  # the second three-letter code that some languages have: ger beside deu
            known[lang.bibliographic] = code
    return known


def language_code() -> Convert:
    """Finds the ISO 639-1 code of a language (two letters) from a code (de, deu, ger), a locale (de_DE, zh-Hans-CN) or
    a name in one of 20 languages. An empty text becomes null.

    Example: `language`: `zh-Hans-CN` → `zh`
    """

    def convert(value: object) -> str | None:
        text = text_of(value).strip()
        if not text:
            return None
        known = _languages()
        code = known.get(plain(text)) or known.get(re.split(r"[_\-.@]", text, maxsplit=1)[0].casefold())
        if code is None:
            raise BadValue("not a language that ISO 639 knows", value)
        return code

    return convert
