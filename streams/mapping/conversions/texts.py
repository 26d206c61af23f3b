"""Text conversions: blanks, case, Unicode forms, repair, patterns, lists, and values that mean null or a boolean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import re2  # type: ignore[import-untyped]

from streams.mapping.notes import AddNote, no_note
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[[Any], Any]

_TRUE = {
    "true",
    "t",
    "yes",
    "y",
    "1",
    "on",
    "x",
    "ja",
    "j",
    "oui",
    "si",
    "sí",
    "s",
    "是",
    "真",
    "有",
    "wahr",
    "vrai",
    "verdadero",
    "-1",
}
_FALSE = {"false", "f", "no", "n", "0", "off", "", "-", "nein", "non", "否", "假", "无", "falsch", "faux", "falso"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060\ufeff]")


def trim() -> Convert:
    """Takes blanks off both ends; a text of nothing but blanks becomes null."""
    return lambda value: (value if value.__class__ is str else text_of(value)).strip() or None


def collapse() -> Convert:
    """Takes blanks off both ends and makes each run of blanks, tabs and line ends one blank; nothing but blanks becomes
    null.
    """
    return lambda value: " ".join((value if value.__class__ is str else text_of(value)).split()) or None


def upper() -> Convert:
    """Capitals."""
    return lambda value: text_of(value).upper()


def lower() -> Convert:
    """Small letters."""
    return lambda value: text_of(value).lower()


def title(note: AddNote = no_note) -> Convert:
    """Gives a text that is all capitals or all small letters a capital at the head of each word; mixed case is left
    alone.
    """

    def convert(value: Any) -> str:
        text = text_of(value)
        if not (text.isupper() or text.islower()):
            return text
        made = re.sub(r"\w+", lambda word: word[0][:1].upper() + word[0][1:].lower(), text)
        if made != text:
            note("case mended", text)
        return made

    return convert


def nfkc() -> Convert:
    """Unicode NFKC: full-width letters and digits, ligatures and composed forms become their plain ones."""

    def convert(value: Any) -> str:
        text = text_of(value)
        return text if text.isascii() else unicodedata.normalize("NFKC", text)

    return convert


def nfc() -> Convert:
    """Unicode NFC: letters with marks become one character; nothing else changes."""
    return lambda value: unicodedata.normalize("NFC", text_of(value))


def mojibake(note: AddNote = no_note) -> Convert:
    """Repairs text that was read in the wrong encoding (MÃ¼ller → Müller), with a note; text that is sound is not
    touched.
    """
    from ftfy import fix_encoding

    def convert(value: Any) -> str:
        text = text_of(value)
        if text.isascii():
            return text
        made = fix_encoding(text)
        if made != text:
            note("wrong encoding mended", text)
        return str(made)

    return convert


def strip_control(note: AddNote = no_note) -> Convert:
    """Takes out control characters, zero-width blanks and byte order marks, with a note; line ends and tabs stay."""

    def convert(value: Any) -> str:
        text = text_of(value)
        made = _CONTROL.sub("", text)
        if made != text:
            note("control characters taken out", text)
        return made

    return convert


class _Words(HTMLParser):
    """Collects what a reader of an HTML text sees."""

    _BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "ul", "ol", "table"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("script", "style")
        if tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in ("script", "style")))
        if tag in self._BREAKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def html_text() -> Convert:
    """The words of an HTML text, without tags, scripts and styles; blocks stand on lines of their own. Nothing but tags
    becomes null.
    """

    def convert(value: Any) -> str | None:
        text = text_of(value)
        if "<" not in text and "&" not in text:
            return text.strip() or None
        words = _Words()
        words.feed(text)
        words.close()
        lines = (" ".join(line.split()) for line in "".join(words.pieces).split("\n"))
        return "\n".join(line for line in lines if line) or None

    return convert


def strip_zeros() -> Convert:
    """Takes leading zeros off a number that is kept as text (0000004711 → 4711); a text with other characters is left
    alone.
    """

    def convert(value: Any) -> str:
        text = text_of(value)
        return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text

    return convert


def zero_pad(width: int) -> Convert:
    """Puts zeros before a number that is kept as text, up to `width` digits; a longer or other text is left alone."""

    def convert(value: Any) -> str:
        text = text_of(value)
        return text.zfill(width) if text.isascii() and text.isdigit() else text

    return convert


def pattern(match: str) -> Convert:
    """Lets a text pass if all of it matches a regular expression (RE2), else rejects it."""
    compiled = _compiled(match)

    def convert(value: Any) -> str:
        text = text_of(value)
        if compiled.fullmatch(text) is None:
            raise BadValue(f"does not match {match}", value)
        return text

    return convert


def extract(match: str) -> Convert:
    """The first group (or all) of a regular expression (RE2) that is found in a text; null if it is not found."""
    compiled = _compiled(match)

    def convert(value: Any) -> str | None:
        found = compiled.search(text_of(value))
        if found is None:
            return None
        piece: str | None = found.group(1) if compiled.groups else found.group(0)
        return piece

    return convert


def _compiled(match: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(match, options)
    except re2.error:
        raise ValueError(f"{match!r} is not a regular expression (RE2)") from None


def max_length(characters: int) -> Convert:
    """Rejects a text that is longer; nothing is cut."""

    def convert(value: Any) -> str:
        text = text_of(value)
        if len(text) > characters:
            raise BadValue(f"longer than {characters} characters", value)
        return text

    return convert


def list_of(separator: str = ",") -> Convert:
    """Splits a text into a list; blanks around the items go, empty and repeated items too."""

    def convert(value: Any) -> list[str]:
        items = [text_of(v) for v in value] if isinstance(value, list) else text_of(value).split(separator)
        return list(dict.fromkeys(item.strip() for item in items if item.strip()))

    return convert


def boolean(true: list[str] | None = None, false: list[str] | None = None) -> Convert:
    """Reads Y/N, yes/no, T/F, 1/0, -1/0, X/blank, on/off and the like (German, French, Spanish, Chinese too); `true` and
    `false` name others.
    """
    yes = {x.casefold() for x in true} if true is not None else _TRUE
    no = {x.casefold() for x in false} if false is not None else _FALSE
    if yes & no:
        raise ValueError(f"{', '.join(sorted(yes & no))} cannot be both true and false")

    def convert(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        text = text_of(value).strip().casefold()
        if text in yes:
            return True
        if text in no:
            return False
        raise BadValue("neither true nor false", value)

    return convert


def null_if(values: list[Any]) -> Convert:
    """Values that mean null in this system: ['', 'N/A', 0]."""
    listed = {(type(v) is bool, v) for v in values if isinstance(v, (str, int, float, bool))}

    def convert(value: Any) -> Any:
        if value.__class__ in (str, int, float, bool, Decimal) and (type(value) is bool, value) in listed:
            return None
        return value

    return convert
