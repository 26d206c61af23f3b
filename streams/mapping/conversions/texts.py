"""Conversions of texts: spaces, case, Unicode forms, repair, patterns, lists, and values that mean null or
a boolean.
"""

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

Convert = Callable[[object], object]

_TRUE = frozenset("true t yes y 1 on x ja j oui si sí s 是 真 有 wahr vrai verdadero -1".split())
_FALSE = frozenset("false f no n 0 off - nein non 否 假 无 falsch faux falso".split()) | {""}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060\ufeff]")


def trim() -> Convert:
    """Removes spaces, tabs and line ends at both ends. A text of nothing else becomes null.

    Example: `trim`: `"  a  b "` → `a  b`
    """
    return lambda value: (value if value.__class__ is str else text_of(value)).strip() or None


def collapse() -> Convert:
    """Like `trim`, and each run of spaces, tabs and line ends inside the text becomes one space.

    Example: `collapse`: `"  a  b "` → `a b`
    """
    return lambda value: " ".join((value if value.__class__ is str else text_of(value)).split()) or None


def upper() -> Convert:
    """Changes all letters to capitals.

    Example: `upper`: `abc` → `ABC`
    """
    return lambda value: text_of(value).upper()


def lower() -> Convert:
    """Changes all letters to small letters.

    Example: `lower`: `ABC` → `abc`
    """
    return lambda value: text_of(value).lower()


def title(note: AddNote = no_note) -> Convert:
    """Starts each word of a text with a capital, if the text is all capitals or all small letters; adds a mapping note.
    A text of mixed case is not changed.

    Example: `title`: `MÜLLER & SOHN` → `Müller & Sohn`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        if not (text.isupper() or text.islower()):
            return text
        made = re.sub(r"\w+", lambda word: word[0][:1].upper() + word[0][1:].lower(), text)
        if made != text:
            note("case corrected", text)
        return made

    return convert


def nfkc() -> Convert:
    """Changes a text to Unicode form NFKC: full-width letters and digits, ligatures and composed signs become plain
    ones.

    Example: `nfkc`: `"\\uff21\\uff22\\uff11"` → `AB1`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        return text if text.isascii() else unicodedata.normalize("NFKC", text)

    return convert


def nfc() -> Convert:
    """Changes a text to Unicode form NFC: a letter and its accent become one character; nothing else changes.

    Example: `nfc`: `"e\\u0301"` → `é`
    """
    return lambda value: unicodedata.normalize("NFC", text_of(value))


def mojibake(note: AddNote = no_note) -> Convert:
    """Repairs a text that was once read in a wrong encoding; adds a mapping note. A correct text is not changed.

    Example: `mojibake`: `MÃ¼ller` → `Müller`
    """
    from ftfy import fix_encoding

    def convert(value: object) -> str:
        text = text_of(value)
        if text.isascii():
            return text
        made = fix_encoding(text)
        if made != text:
            note("wrong encoding repaired", text)
        return str(made)

    return convert


def strip_control(note: AddNote = no_note) -> Convert:
    """Removes control characters, zero-width spaces and byte order marks; adds a mapping note. Line ends and tabs stay.

    Example: `strip_control`: `"a\\u200bb"` → `ab`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        made = _CONTROL.sub("", text)
        if made != text:
            note("control characters removed", text)
        return made

    return convert


class _VisibleText(HTMLParser):
    """Collects the text that a reader of an HTML page sees."""

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
    """Takes the visible text out of HTML, without tags, scripts and styles. Each paragraph, list item or table row gets
    its own line. HTML without any text becomes null.

    Example: `html_text`: `"<p>Call <b>Anna</b></p>"` → `Call Anna`
    """

    def convert(value: object) -> str | None:
        text = text_of(value)
        if "<" not in text and "&" not in text:
            return text.strip() or None
        visible = _VisibleText()
        visible.feed(text)
        visible.close()
        lines = (" ".join(line.split()) for line in "".join(visible.pieces).split("\n"))
        return "\n".join(line for line in lines if line) or None

    return convert


def strip_zeros() -> Convert:
    """Removes the leading zeros of a number that is stored as text. A text with other characters than digits is not
    changed.

    Example: `strip_zeros`: `"0000004711"` → `4711`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text

    return convert


def zero_pad(width: int) -> Convert:
    """Adds leading zeros to a number that is stored as text, up to `width` digits. A longer text, or one with other
    characters than digits, is not changed.

    Example: `{zero_pad: 10}`: `"4711"` → `0000004711`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        return text.zfill(width) if text.isascii() and text.isdigit() else text

    return convert


def pattern(match: str) -> Convert:
    """Rejects a text unless all of it matches the regular expression `match` (RE2 syntax).

    Example: `{pattern: "[A-Z]{2}[0-9]+"}`: `AB12` → `AB12`
    """
    compiled = _compiled(match)

    def convert(value: object) -> str:
        text = text_of(value)
        if compiled.fullmatch(text) is None:
            raise BadValue(f"does not match {match}", value)
        return text

    return convert


def extract(match: str) -> Convert:
    """Finds the regular expression `match` (RE2 syntax) in a text and takes its first group, or the whole match if it
    has no group. Null if nothing matches.

    Example: `{extract: "SO-([0-9]+)"}`: `order SO-123, late` → `123`
    """
    compiled = _compiled(match)

    def convert(value: object) -> str | None:
        match_object = compiled.search(text_of(value))
        if match_object is None:
            return None
        extracted: str | None = match_object.group(1) if compiled.groups else match_object.group(0)
        return extracted

    return convert


def _compiled(match: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(match, options)
    except re2.error:
        raise ValueError(f"{match!r} is not a regular expression (RE2)") from None


def max_length(characters: int) -> Convert:
    """Rejects a text of more than `characters` characters. Nothing is cut.

    Example: `{max_length: 3}`: `abc` → `abc`
    """

    def convert(value: object) -> str:
        text = text_of(value)
        if len(text) > characters:
            raise BadValue(f"longer than {characters} characters", value)
        return text

    return convert


def list_of(separator: str = ",") -> Convert:
    """Splits a text at `separator` into a list. Spaces around the items, empty items and repeated items are removed.

    Example: `list`: `a, b,,a` → `[a, b]`
    """

    def convert(value: object) -> list[str]:
        items = [text_of(v) for v in value] if isinstance(value, list) else text_of(value).split(separator)
        return list(dict.fromkeys(item.strip() for item in items if item.strip()))

    return convert


def boolean(true: list[str] | None = None, false: list[str] | None = None) -> Convert:
    """Reads a boolean from Y/N, yes/no, T/F, 1/0, -1/0, X/empty, on/off and the like, also in German, French, Spanish
    and Chinese. The lists `true` and `false` replace these words by your own.

    Example: `boolean`: `Y` → `true`
    """
    yes = {x.casefold() for x in true} if true is not None else _TRUE
    no = {x.casefold() for x in false} if false is not None else _FALSE
    if yes & no:
        raise ValueError(f"{', '.join(sorted(yes & no))} cannot be both true and false")

    def convert(value: object) -> bool:
        if value is True or value is False:
            return bool(value)
        text = text_of(value).strip().casefold()
        if text in yes:
            return True
        if text in no:
            return False
        raise BadValue("neither true nor false", value)

    return convert


def null_if(values: list[object]) -> Convert:
    """Changes the listed `values` to null: those that mean "no value" in this system.

    Example: `{null_if: {values: ["", N/A, 0]}}`: `N/A` → `null`
    """
    listed = {(type(v) is bool, v) for v in values if isinstance(v, (str, int, float, bool))}

    def convert(value: object) -> object:
        if value.__class__ in (str, int, float, bool, Decimal) and (type(value) is bool, value) in listed:
            return None
        return value

    return convert
