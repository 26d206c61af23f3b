"""Reads files of a folder: each once, whole or not at all, in the order of their names.

In: files as others write them, perhaps just now. Out: raw records of the changed rows, and in the hub which files were
taken or refused, by the SHA-256 of their content: the same file under another name is taken once. A file is copied
while its digest is computed, and taken only if it did not change meanwhile.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from streams.hub.sources import Hub, add_file, source_file
from streams.provision.source_file import Files
from streams.runtime.fault_points import fault_point
from streams.sources.file_rows import FileRefused, file_rows
from streams.sources.rows import Feed, FeedRow, feed_row, row_of, text_of
from streams.sources.table_store import TableWriter, deletes, too_many

CHUNK_BYTES = 1 << 20


class FileOutcome(msgspec.Struct, frozen=True):
    """What became of one file: `rows` were in it and `changes` came of them, or `problem` says why it was refused."""

    name: str
    rows: int | None
    problem: str | None
    changes: int = 0


def take_files(
    files: Files, feed: Feed, connect: Callable[[], Hub], holder: str | None, now: Callable[[], float] = time.time
) -> list[FileOutcome]:
    """Take every file that is there, has settled, and was not seen before. A file that was refused is not read again;
    the corrected one has another content. After a refused one nothing is taken: a later file may rest on it.
    """
    outcomes = []
    for name in sorted(glob.glob(files.path)):
        path = Path(name)
        if not path.is_file() or now() - path.stat().st_mtime < files.settled.total_seconds():
            continue
        with tempfile.TemporaryDirectory(prefix="opshub-file-") as folder:
            copy = Path(folder) / "copy"
            digest = _copy(path, copy, files.most_bytes)
            if digest is None:
                continue
            outcome = _take(path.name, copy, digest, files, feed, connect, holder)
        if outcome is not None:
            outcomes.append(outcome)
            if outcome.problem is not None:
                break
    return outcomes


def _copy(path: Path, copy: Path, most_bytes: int) -> str | None:
    """Copy a file; the digest of its content. None where it changed meanwhile: it is still written."""
    try:
        before = os.stat(path)
        digest = hashlib.sha256()
        if before.st_size > most_bytes:
            # Its name and size stand for it: it is not read.
            copy.write_bytes(b"")
            return f"too-large-{path.name}-{before.st_size}"
        with path.open("rb") as source, copy.open("wb") as target:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
        after = os.stat(path)
    except FileNotFoundError:
        return None
    same = (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    return digest.hexdigest() if same and after.st_size == copy.stat().st_size else None


def _take(
    name: str, copy: Path, digest: str, files: Files, feed: Feed, connect: Callable[[], Hub], holder: str | None
) -> FileOutcome | None:
    with connect() as hub:
        seen = source_file(hub, feed.system, feed.table, digest)
        if seen is not None:
            return None if seen.problem is None else FileOutcome(name, None, seen.problem)
        try:
            if digest.startswith("too-large"):
                raise FileRefused(f"it has more than {files.most_bytes:,} bytes")
            # One transaction: the whole file, or nothing of it.
            with hub.transaction():
                writer = TableWriter(hub, feed, holder)
                rows = _write(writer, copy, files, feed)
                add_file(hub, feed.system, feed.table, digest, name, rows=rows)
                fault_point("sources.saved")
            return FileOutcome(name, rows, None, writer.changes)
        except FileRefused as refused:
            problem = f"{name}: {refused}"
            with hub.transaction():
                add_file(hub, feed.system, feed.table, digest, name, problem=problem)
            return FileOutcome(name, None, problem)


def _write(writer: TableWriter, copy: Path, files: Files, feed: Feed) -> int:
    lines: dict[str, int] = {}
    start = writer.position

    def rows() -> Iterator[FeedRow]:
        for line, content in file_rows(copy, files):
            row = _row(line, content, files, feed)
            if files.mode == "full" and row.key in lines:
                raise FileRefused(f"its key stands in line {lines[row.key]}, too", line=line, column=feed.key[0])
            lines[row.key] = line
            yield row

    writer.write(rows())
    if files.mode == "full":
        absent = writer.absent(set(lines), start)
        if too_many(len(absent), len(lines), files.most_deletes):
            raise FileRefused(
                f"{len(absent):,} rows are not in it any more, and {len(lines):,} are: it looks incomplete; raise "
                "`most_deletes` where it is right"
            )
        writer.write(deletes(absent))
    return len(lines)


def _row(line: int, content: dict[str, object], files: Files, feed: Feed) -> FeedRow:
    try:
        row = row_of(feed, content, strict=True)
    except ValueError as error:
        column, _, reason = str(error).partition(": ")
        raise FileRefused(reason, line=line, column=column) from None
    for column in feed.key:
        if row[column] in (None, ""):
            raise FileRefused("the key is missing", line=line, column=column)
    gone = files.deleted is not None and all(
        text_of(content.get(column)) in {text_of(wanted) for wanted in (value if isinstance(value, list) else [value])}
        for column, value in files.deleted.items()
    )
    return feed_row(feed, row, gone=gone)
