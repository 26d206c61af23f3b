"""Read the body of an answer within bounds, and its JSON or XML without tricks. Pure, but for the reading.

A body is as large as the server wants: what is read, and what it is unpacked to, has a limit. JSON has one meaning
here: a key that comes twice, NaN and numbers without end are no JSON, and a text that the hub cannot keep (with NUL, or
half of a surrogate pair) loses these characters.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Any
from xml.parsers import expat

from streams.writeback.http_answers import MISSING

EXCERPT = 400
"""Characters of a body that a message shows."""
_DEEPEST = 200
"""Levels of nesting. No record has more, and a parser of deep ones fails in ways of its own."""
_NOT_KEPT = re.compile("[\x00\ud800-\udfff]")
_UNPRINTED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]+")


class TooLarge(Exception):
    """The body is larger than allowed."""


async def read_bounded(chunks: AsyncIterator[bytes], encoding: str, most_bytes: int) -> bytes:
    """The body, unpacked. `encoding`: the header Content-Encoding. Raises TooLarge, and ValueError for what cannot be
    unpacked.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise ValueError(f"Content-Encoding {encoding} was not asked for")
    # 47: gzip or zlib, by its header. Unpacked with a limit: a few kilobytes can become gigabytes.
    unpack = zlib.decompressobj(47) if encoding not in ("", "identity") else None
    body = bytearray()
    async for chunk in chunks:
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, most_bytes + 1 - len(body))
        except zlib.error as error:
            raise ValueError(f"the body is not {encoding}: {error}") from error
        if len(body) > most_bytes:
            raise TooLarge
    if unpack is not None and body and (not unpack.eof or unpack.unused_data):
        raise ValueError(f"the body is not one whole {encoding}")
    return bytes(body)


def parse_body(body: bytes, content_type: str) -> Any:
    """What a body says: its JSON, or its XML as JSON; MISSING where it is neither."""
    content = parse_json(body)
    looks_like_xml = "xml" in content_type or body.lstrip()[:5] == b"<?xml"
    return parse_xml(body) if content is MISSING and looks_like_xml and "html" not in content_type else content


def parse_xml(body: bytes) -> Any:
    """An XML document as JSON; MISSING where it is none.

    `<a n="1"><b>x</b><b>y</b></a>` becomes {"a": {"@n": "1", "b": ["x", "y"]}}: an element is its text, or an object of
    its attributes and elements; what comes several times is a list, what is empty is null. Names lose their prefixes. A
    document type is refused, so that no entity can grow or read a file.
    """
    root: dict[str, Any] = {}
    open_elements: list[tuple[str, dict[str, Any], list[str]]] = [("", root, [])]
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > _DEEPEST:
            raise ValueError("too deep")
        content: dict[str, Any] = {
            f"@{_local(key)}": _kept(value) for key, value in attributes.items() if not key.startswith("xmlns")
        }
        open_elements.append((_local(name), content, []))

    def end(_: str) -> None:
        name, content, texts = open_elements.pop()
        text = _kept("".join(texts).strip())
        value: Any = content | ({"#text": text} if text else {}) if content else text or None
        parent = open_elements[-1][1]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda text: open_elements[-1][2].append(text)
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):
        return MISSING
    return root


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def parse_json(body: bytes) -> Any:
    """The JSON of a body; MISSING where it is none. Decimals keep all their digits."""
    try:
        text = body.decode(json.detect_encoding(body))
        # Counted before it is parsed: the parser recurses.
        if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
            return MISSING
        return json.loads(
            text.removeprefix("\ufeff"),
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_no_number,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        return MISSING


def _depth(text: str) -> int:
    """Levels of nesting; brackets in texts do not count."""
    deepest = depth = 0
    for match in re.finditer(r'[\[{]|[\]}]|"(?:[^"\\]|\\.)*"', text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > 400 or abs(number.adjusted()) > 400:
        raise ValueError("a number without end")
    return number


def _integer(text: str) -> int:
    if len(text) > 400:
        raise ValueError("a number without end")
    return int(text)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = {_kept(name): _kept(value) for name, value in pairs}
    if len(content) != len(pairs):
        raise ValueError("a key comes twice")
    return content


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return _NOT_KEPT.sub("\ufffd", value)
    return [_kept(item) for item in value] if isinstance(value, list) else value


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of a body for a message: printable, in one line, without secrets."""
    text = body[: 4 * EXCERPT + 4096].decode("utf-8", "replace")
    return _UNPRINTED.sub(" ", without_secrets(text, secrets))[:EXCERPT].strip()


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` for each secret: some targets answer with what they were sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return text
