"""Names of countries, languages and currencies, in the form in which they are compared."""

# ruff: noqa: RUF001 - letters of other scripts, and signs that only look like plain ones, are what is compared here

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_NOT_COMPARED = re.compile("[.,'’`´()（）]")
_SPACES = re.compile(r"[\s\-‐–/]+")


def plain(text: str) -> str:
    """A name in the form in which names are compared: small letters, no accents, no points; a hyphen is a space."""
    folded = unicodedata.normalize("NFKD", text).casefold().replace("&", " and ")
    base = "".join(c for c in folded if not unicodedata.combining(c))
    return _SPACES.sub(" ", _NOT_COMPARED.sub("", base)).strip()


_NAME_LOCALES = tuple(
    "en de fr es it nl pl pt sv da cs zh zh_Hant ja ko tr ru nb fi hu".split()
)  # with the languages of each, 0.2 s once in a process


def named(what: str) -> Iterator[tuple[str, str]]:
    """(code, name) of all `territories`, `languages` or `currencies`, in the languages of `_NAME_LOCALES`."""
    from babel import Locale, localedata

    for locale in _NAME_LOCALES:
        yield from getattr(Locale.parse(locale), what).items()
    localedata._cache.clear()  # babel would keep the data of 20 languages: 15 MB in each worker
