"""source.yaml: how opshub reads a system that has no database it could capture (`kind: feed` in its dictionary).

In: the file, and the tables that the dictionary reads. Out: a `SourceFile`, or every mistake with its line. Each table
says where its rows come from: `rest` (an interface that is asked), `file` (files in a folder), `webhook` (what the
system sends). `docs/guides/feeds.md` explains every word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import dotted, existing_path, load_yaml
from streams.errors import ConfigError
from streams.provision.schedule import Sync, SyncRule
from streams.writeback.forms import Cron, Duration, Strict
from streams.writeback.http_rules import HttpTarget

FILE = "source.yaml"

ColumnKind = Literal["text", "whole", "number", "boolean", "date", "timestamp", "json"]
TYPES: dict[ColumnKind, str] = {
    "text": "text", "whole": "bigint", "number": "numeric", "boolean": "boolean", "date": "date",
    "timestamp": "timestamp with time zone", "json": "jsonb",
}  # fmt: skip
"""What a person writes → the type by which a worker reads the column."""


class Column(Strict):
    """`type`: what its values are. `path`: where it is in a row, with dots: `customer.id`; default: its name."""

    type: ColumnKind = "text"
    path: str | None = None


class Server(HttpTarget):
    """An HTTP interface that is read, with the same words as a target of write-back. `per_second`: so many requests at
    most. `patience`: so long a pause that it asks for is waited for at once; after a longer one the table is due again.
    """

    adapter: Literal["http"] = "http"
    timeout: Duration = timedelta(seconds=30)
    most_bytes: int = Field(default=50_000_000, ge=1_000)
    per_second: float = Field(default=10.0, gt=0)
    patience: Duration = timedelta(minutes=2)


class Pages(Strict):
    """How one page leads to the next. `page` and `offset`: `parameter` counts; the last page is an empty one, or one
    where `more` is false. `cursor`: `next` is the path to the value for `parameter`. `next`: `next` is the path to the
    address of the next page. `link`: the header Link has it (RFC 8288).
    """

    by: Literal["page", "offset", "cursor", "next", "link"]
    parameter: str | None = None
    first: int | None = None
    next: str | None = None
    more: str | None = None
    size: int | None = Field(default=None, ge=1)
    size_parameter: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Pages:
        wanted = {"page": "parameter", "offset": "parameter", "cursor": "parameter"}.get(self.by)
        if wanted is not None and self.parameter is None:
            raise ValueError(f"by {self.by}: needs `parameter`")
        if self.by in ("cursor", "next") and self.next is None:
            raise ValueError(f"by {self.by}: needs `next`")
        return self


class Watermark(Strict):
    """The column that grows with each change of a row: what is newer is asked for. `form`: how the interface writes it.
    `overlap`: so much before the last one is read once more, for rows that became visible late.
    """

    column: str
    form: Literal["iso", "epoch", "epoch_ms", "number", "text"] = "iso"
    overlap: Duration | int = timedelta(minutes=5)


class Rest(Strict):
    """A list of rows. `$watermark` in `query` stands for the last watermark; `initial`: the first one. `rows`: the path
    to the list in an answer; default: the answer is the list. `single`: the address of one row, with `$key`; `row`:
    the path to it in that answer. `sweep`: when all rows are read, and those that are gone are deleted.
    """

    path: str
    query: dict[str, Any] = {}
    rows: str | None = None
    pages: Pages | None = None
    watermark: Watermark | None = None
    initial: str | int | None = None
    whole_query: dict[str, Any] | None = None
    single: str | None = None
    row: str | None = None
    sweep: Cron | Duration | None = None
    most_deletes: float = Field(default=0.5, ge=0, le=1)

    @property
    def reads_whole(self) -> bool:
        """Whether each read brings all rows."""
        return self.watermark is None


class Signature(Strict):
    """How the sender signs the raw body (HMAC). `timestamp`: the header whose value, and a dot, come before the body in
    what is signed; `window`: an older or newer one is refused.
    """

    secret: str
    header: str
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp: str | None = None
    window: Duration = timedelta(minutes=5)


class Receiver(Strict):
    """What the system sends to `/webhooks/<system>`. `event_id`: header or path in the body by which an event that
    comes twice is known; default: its content. `most_bytes`: more is refused before it is read.
    """

    signature: Signature
    event_id: str | None = None
    most_bytes: int = Field(default=1_000_000, ge=100, le=20_000_000)


Where = dict[str, Any]
"""Path in the body → its value, or a list of values."""


class Webhook(Strict):
    """What of the received is about this table: `when`. `row`: the path to the row in the body, or `key`: to the row's
    key, which is then read by `rest.single`. `deleted`: events that say that the row is gone. `order`: the path in the
    row to what grows with each change; an event that is older than what is known is left out.
    """

    when: Where = {}
    row: str | None = None
    key: str | None = None
    deleted: Where | None = None
    order: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Webhook:
        if (self.row is None) == (self.key is None):
            raise ValueError("needs one of `row` and `key`")
        return self


class Files(Strict):
    """Files in a folder of the worker. `path`: may have `*`. `mode`: `delta` has changed rows, `full` all of them, and
    what is not in it is deleted. `deleted`: column → values by which a delta says that the row is gone. `settled`: a
    file is read once it has not changed for so long.
    """

    path: str
    format: Literal["csv", "xlsx", "xml", "fixed"]
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    header: list[str] | None = None
    skip: int = Field(default=0, ge=0)
    sheet: str | None = None
    rows: str | None = None
    widths: dict[str, tuple[int, int]] = {}
    empty: Literal["null", "text"] = "null"
    mode: Literal["delta", "full"] = "delta"
    deleted: dict[str, Any] | None = None
    settled: Duration = timedelta(seconds=5)
    most_bytes: int = Field(default=500_000_000, ge=1)
    most_deletes: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> Files:
        if self.format == "xml" and self.rows is None:
            raise ValueError("xml: needs `rows`, the name of the element of a row")
        if self.format == "fixed" and not self.widths:
            raise ValueError("fixed: needs `widths`, such as {id: [1, 8]}")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"{self.encoding!r} is no encoding: utf-8, utf-16, gb18030, latin-1, cp1252 …") from None
        return self


def _from_type(content: object) -> object:
    """A type alone: `price: number`."""
    return {"type": content} if isinstance(content, str) else content


class FeedTable(Strict):
    """One table of a feed."""

    columns: dict[str, Annotated[Column, BeforeValidator(_from_type)]] = {}
    rest: Rest | None = None
    webhook: Webhook | None = None
    file: Files | None = None
    sync: SyncRule = Sync(every=timedelta(minutes=1))

    @model_validator(mode="after")
    def _fits(self) -> FeedTable:
        if self.rest is not None and self.file is not None:
            raise ValueError("needs only one of `rest` and `file`")
        if self.rest is None and self.file is None and self.webhook is None:
            raise ValueError("needs `rest`, `file` or `webhook`")
        if (
            self.webhook is not None
            and self.webhook.key is not None
            and (self.rest is None or self.rest.single is None)
        ):
            raise ValueError("webhook.key: needs `rest.single`, by which the row is read")
        return self


class SourceFile(Strict):
    """The whole file. `server` is needed by `rest`, `receiver` by `webhook`."""

    server: Server | None = None
    receiver: Receiver | None = None
    tables: dict[str, FeedTable]

    @model_validator(mode="after")
    def _fits(self) -> SourceFile:
        for name, table in self.tables.items():
            if table.rest is not None and self.server is None:
                raise ValueError(f"{name} has `rest`: needs `server`")
            if table.webhook is not None and self.receiver is None:
                raise ValueError(f"{name} has `webhook`: needs `receiver`")
        return self


def read_source_file(
    path: Path, tables: Mapping[str, Any], resolve: Callable[[str, Path], str] = lambda text, _: text
) -> SourceFile:
    """The file, with `resolve` applied to each text (`${env:…}`). Raises DictionaryError with every mistake."""
    content, lines = load_yaml(path)
    problems: list[Problem] = []

    def resolved(value: Any, where: tuple[str | int, ...]) -> Any:
        # After the YAML was parsed: a password with a `#` or a quote must not be read as YAML.
        if isinstance(value, dict):
            return {name: resolved(inner, (*where, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [resolved(inner, (*where, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return resolve(value, path)
        except ConfigError as error:
            problems.append(Problem(path, lines[where], dotted(where), str(error), error.remedy, where))
            return value

    content = resolved(content, ())
    try:
        source = SourceFile.model_validate(content)
    except ValidationError as error:
        for detail in error.errors():
            where = existing_path(content, detail["loc"])
            what = (
                f"{detail['loc'][-1]}: {detail['msg']}"
                if detail["type"] in ("missing", "extra_forbidden")
                else detail["msg"]
            )
            problems.append(Problem(path, lines[where], dotted(where) or "file", what, "docs/guides/feeds.md", where))
        raise DictionaryError(problems) from None
    for name in source.tables.keys() - tables.keys():
        where = ("tables", name)
        problems.append(Problem(path, lines[where], dotted(where), "the dictionary reads no such table", "", where))
    for name in tables.keys() - source.tables.keys():
        what = f"it does not say where {name} of the dictionary comes from"
        problems.append(Problem(path, lines[("tables",)], "tables", what, f"add {name}", ("tables",)))
    if problems:
        raise DictionaryError(problems)
    return source
