"""The languages of the pages: English in the templates and the code, others in `locale/<language>.po` (gettext).

No build step: a .po file is read when the console starts. `python -m streams.console.catalog` writes what is missing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.pofile import read_po

LOCALE = Path(__file__).with_name("locale")
LANGUAGES: dict[str, str] = {"en": "English", "zh": "中文"}
"""Language → its own name."""

DEFAULT = "en"


@cache
def texts_of(language: str) -> dict[str, str]:
    """English text → text in this language, of those that are translated."""
    path = LOCALE / f"{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalog = read_po(file)
    return {str(message.id): str(message.string) for message in catalog if message.id and message.string}


def translate(language: str, text: str, /, **values: object) -> str:
    """The text in this language, with `{name}` replaced; in English where it is not translated."""
    translated = texts_of(language).get(text, text)
    return translated.format(**values) if values else translated


def choose(cookie: str | None, accept: str) -> str:
    """The language of a request: what the person chose, else what the browser asks for first that we have."""
    if cookie in LANGUAGES:
        return cookie
    for choice in accept.split(","):
        language = choice.split(";")[0].strip().lower().split("-")[0]
        if language in LANGUAGES:
            return language
    return DEFAULT


def locale_of(language: str) -> Locale:
    """Babel's locale, for dates and numbers."""
    return Locale.parse({"zh": "zh_Hans_CN"}.get(language, language))
