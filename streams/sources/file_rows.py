"""The rows of a file: CSV, fixed width, XLSX, XML.

In: a file that does not change any more, and how it is written. Out: (line, row) for each row. Raises FileRefused with
line, column and reason at the first thing that is not as it should be: a file is taken whole, or not at all.
"""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse
from python_calamine import CalamineError, CalamineWorkbook

from streams.provision.source_file import Files

WIDEST_FIELD = 10_000_000
csv.field_size_limit(WIDEST_FIELD)
_MOST_UNPACKED = 2_000_000_000
"""Bytes that an XLSX file may unpack to: a small one can become far more than there is memory."""
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

Rows = Iterator[tuple[int, dict[str, Any]]]


class FileRefused(Exception):
    """The file is not as it should be; nothing of it is taken."""

    def __init__(self, reason: str, *, line: int | None = None, column: str | None = None) -> None:
        place = [f"line {line}"] if line is not None else []
        place += [f"column {column}"] if column is not None else []
        super().__init__(f"{', '.join(place)}: {reason}" if place else reason)


def file_rows(path: Path, files: Files) -> Rows:
    """The rows of a file, with the number of their line (of a sheet: of their row; of XML: of the element)."""
    if files.format == "xlsx":
        return _sheet(path, files)
    if files.format == "xml":
        return _xml(path, files)
    return _text(path, files)


def _text(path: Path, files: Files) -> Rows:
    with path.open("rb") as raw:
        start = raw.read(4)
    bom = next((name for mark, name in _BOMS.items() if start.startswith(mark)), None)
    encoding = codecs.lookup(files.encoding).name
    if encoding == "utf-8":
        if bom == "utf-16":
            raise FileRefused("it is UTF-16, and not UTF-8: set `encoding: utf-16`", line=1)
        encoding = "utf-8-sig"
    elif encoding == "utf-16" and bom != "utf-16":
        raise FileRefused("it has no byte order mark: set `encoding: utf-16-le` or `utf-16-be`", line=1)
    try:
        with path.open(encoding=encoding, newline="") as text:
            for _ in range(files.skip):
                text.readline()
            yield from _csv(text, files) if files.format == "csv" else _fixed(text, files)
    except UnicodeDecodeError as error:
        line, column = _broken_at(path, encoding)
        raise FileRefused(f"it is not {files.encoding}: {error.reason}", line=line, column=column) from None


def _broken_at(path: Path, encoding: str) -> tuple[int | None, str | None]:
    """Line, and character in it, of the first byte that cannot be decoded."""
    content = path.read_bytes()
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        # Decoded once more up to there: in UTF-16 a byte 0x0A is not always the end of a line.
        before = content[: error.start].decode(encoding, "ignore")
        return before.count("\n") + 1, f"at character {len(before) - before.rfind(chr(10))}"
    return None, None


def _csv(text: TextIO, files: Files) -> Rows:
    reader = csv.reader(text, delimiter=files.delimiter, quotechar=files.quote, strict=True)
    names = files.header
    line = files.skip
    try:
        for fields in reader:
            begins, line = line + 1, files.skip + reader.line_num
            if not fields:
                continue
            if names is None:
                names = _names([name.strip() for name in fields], begins)
                continue
            if len(fields) != len(names):
                missing = names[len(fields)] if len(fields) < len(names) else None
                raise FileRefused(
                    f"it has {len(fields)} fields, and there are {len(names)} columns", line=begins, column=missing
                )
            yield begins, _row(names, fields, files, begins)
    except csv.Error as error:
        raise FileRefused(f"it is no CSV: {error}", line=line + 1) from None
    if names is None:
        raise FileRefused("it is empty: it has no line with the names of the columns")


def _fixed(text: TextIO, files: Files) -> Rows:
    names = list(files.widths)
    least = min(begin for begin, _ in files.widths.values())
    for line, content in enumerate(text, files.skip + 1):
        content = content.rstrip("\r\n")
        if not content.strip():
            continue
        if len(content) < least:
            raise FileRefused(f"it has {len(content)} characters: the line is cut off", line=line, column=names[0])
        longest = max(end for _, end in files.widths.values())
        if len(content.rstrip()) > longest:
            raise FileRefused(f"it has {len(content)} characters, and `widths` end at {longest}", line=line)
        yield line, _row(names, [content[begin - 1 : end].strip() for begin, end in files.widths.values()], files, line)


def _row(names: list[str], fields: list[str], files: Files, line: int) -> dict[str, Any]:
    for name, value in zip(names, fields, strict=True):
        if "\0" in value:
            raise FileRefused("it holds a NUL character", line=line, column=name)
    if files.empty == "null":
        return {name: value if value != "" else None for name, value in zip(names, fields, strict=True)}
    return dict(zip(names, fields, strict=True))


def _names(names: list[str], line: int) -> list[str]:
    for name in names:
        if not name:
            raise FileRefused("a column has no name", line=line)
        if names.count(name) > 1:
            raise FileRefused("two columns have this name", line=line, column=name)
    return names


def _sheet(path: Path, files: Files) -> Rows:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MOST_UNPACKED:
            raise FileRefused(f"it unpacks to {unpacked:,} bytes")
        book = CalamineWorkbook.from_path(str(path))
        sheet = book.get_sheet_by_name(files.sheet or book.sheet_names[0])
        content = sheet.to_python(skip_empty_area=False)
    except (zipfile.BadZipFile, CalamineError, OSError, IndexError, ValueError) as error:
        raise FileRefused(f"it is no XLSX that can be read: {error}") from None
    names = files.header
    for line, cells in enumerate(content, 1):
        if line <= files.skip or all(cell == "" for cell in cells):
            continue
        if names is None:
            while cells and cells[-1] == "":
                cells = cells[:-1]
            names = _names([str(cell).strip() for cell in cells], line)
            continue
        if any(cell != "" for cell in cells[len(names) :]):
            raise FileRefused("it has a value beside the columns", line=line)
        row = dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=False))
        yield line, {name: None if value == "" and files.empty == "null" else value for name, value in row.items()}
    if names is None:
        raise FileRefused("it is empty: it has no row with the names of the columns")


def _xml(path: Path, files: Files) -> Rows:
    count = 0
    try:
        for _, element in iterparse(str(path), events=("end",), forbid_dtd=True):
            if _local(element.tag) == files.rows:
                count += 1
                yield count, _of_element(element)
                element.clear()
    except ParseError as error:
        line, column = error.position
        raise FileRefused(f"it is no XML: {error}", line=line, column=f"at character {column + 1}") from None
    except DefusedXmlException as error:
        raise FileRefused(f"it has a part that is not read, for safety: {type(error).__name__}") from None
    except (LookupError, ValueError) as error:
        raise FileRefused(f"it cannot be read: {error}") from None


def _of_element(element: Element) -> dict[str, Any]:
    """Attributes and children by their names; a child with children of its own is a structure, one that comes twice a
    list.
    """
    row: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        name = _local(child.tag)
        value = _of_element(child) if len(child) else (child.text or "").strip() or None
        if name in row:
            before = row[name]
            row[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            row[name] = value
    return row


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
