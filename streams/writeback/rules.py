"""The form of `connectors/<system>/writeback.yaml`: what this system is given, when, after whose approval, and how.

`load.py` reads the files into these classes. The target of every rule is the system in whose folder the file lies.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from streams.model.entities import ENTITIES
from streams.writeback.values import ValueSpec

_DURATION = re.compile(r"(\d+)\s*(ms|s|min|h|d)\Z")
_UNIT = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def duration(text: str) -> timedelta:
    """`90 s`, `15 min` or `3 d` as a timedelta. Raises ValueError for another form."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration: write a number and ms, s, min, h or d")
    return int(match.group(1)) * _UNIT[match.group(2)]


def _cron(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(f"{text!r} is no cron expression of five fields")
    return text


Duration = Annotated[timedelta, BeforeValidator(lambda value: duration(value) if isinstance(value, str) else value)]
Cron = Annotated[str, AfterValidator(_cron)]


class Strict(BaseModel):
    """A part of the file. An unknown name is an error: a misspelt condition must not be left out silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ApprovalRule(Strict):
    """People are asked for `reason` when all conditions given here hold.

    `over`: the record's `amount` is more, as one number or one for each currency (a currency without a number
    always asks). `when`: values of the document, or `target.<name>` of what the rule's `now` reads. `new_customer`:
    the target does not know the customer yet. `discount_over`: percent of any line. `credit_exceeded`: the amount,
    what the customer owes, and what it has on order are together more than its credit limit.
    """

    reason: str
    people: int = Field(default=1, ge=1, le=2)
    over: Decimal | dict[str, Decimal] | None = None
    amount: str = "amount"
    when: dict[str, Any] = {}
    new_customer: bool | None = None
    discount_over: Decimal | None = None
    credit_exceeded: Literal[True] | None = None

    @model_validator(mode="after")
    def _has_condition(self) -> ApprovalRule:
        conditions = (self.over, self.new_customer, self.discount_over, self.credit_exceeded)
        if not self.when and all(condition is None for condition in conditions):
            raise ValueError("needs `over`, `when`, `new_customer`, `discount_over` or `credit_exceeded`")
        return self


class Ready(Strict):
    """A document is complete when its lines add up to its header. Until then delivery waits; after `within` a person
    is asked.
    """

    header: str = "amount"
    lines: str = "net_amount"
    tolerance: Decimal = Decimal("0.01")
    within: Duration = timedelta(minutes=2)


class Step(Strict):
    """One statement of a transaction. `find` runs first: if it returns a row, that row is the result and `sql` does
    not run. `each: lines` runs the statement for each line. What a step returns is a parameter of the steps after
    it: `%(order.id)s`.
    """

    name: str
    sql: str
    find: str | None = None
    each: Literal["lines"] | None = None


class ReadBack(Strict):
    """What was written is read before the commit. Columns in `compare` must equal the parameters of the same name."""

    sql: str
    compare: list[str]


class Update(Strict):
    """Give one row the values of the rule, if it has others. `columns`: canonical field of the subject → column."""

    table: str
    key: str
    columns: dict[str, str]


class SqlAction(Strict):
    """How a Postgres target is written: by `steps`, or by an `update` of one row.

    `now`: reads a row of the target at delivery, for approvals. `lock`: the parameter whose value is locked during
    the transaction. `look_up`: finds what was done for this key, or by hand; its columns are named as the steps
    would have returned them (`order.number`).
    """

    now: str | None = None
    lock: str | None = None
    look_up: str | None = None
    steps: list[Step] = []
    read_back: ReadBack | None = None
    update: Update | None = None

    @model_validator(mode="after")
    def _steps_or_update(self) -> SqlAction:
        if bool(self.steps) == (self.update is not None):
            raise ValueError("needs either `steps` or `update`")
        return self


class Call(Strict):
    """One HTTP request. `$name` in path, query, headers and json stands for a parameter; {"each": "lines", "do": …}
    for a list over the lines.

    `rpc` makes it a JSON-RPC 2.0 call of that method, with `json` as its params. `record_path`: the path to the
    record in the answer. `next_page`: the path to the address of the next page; at most `max_pages` are read.
    """

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    path: str
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    rpc: str | None = None
    record_path: str | None = None
    next_page: str | None = None
    max_pages: int = 20


class LookUp(Call):
    """`result`: as the action's `result`, where the record has another form than the answer to `send`."""

    result: dict[str, str] = {}


class HttpAction(Strict):
    """How an HTTP target is written, in this order.

    `now`: reads what the target has at delivery, for approvals. `look_up`: comes before a request that may have
    been done already. `read`: whether the record still is what the rule saw. `send`: the request. `result`: name →
    path in its answer. `read_back`: the record afterwards. `compare`: path in what was read → parameter, or field
    of `values`. `idempotency_header`: only for a target that promises to do a request with the same key once.
    """

    now: Call | None = None
    look_up: LookUp | None = None
    read: Call | None = None
    send: Call
    result: dict[str, str] = {}
    read_back: Call | None = None
    compare: dict[str, str] = {}
    idempotency_header: str | None = None

    @property
    def can_find_out(self) -> bool:
        """Whether a request in doubt can be looked up, or does no harm when it is sent once more."""
        return self.look_up is not None or self.idempotency_header is not None


class ByHand(Strict):
    """What people make themselves where the rule does not: a live `entity` of the aggregate that the target has, and
    the values that its canonical fields should have by the rule. Shadow mode compares with it, and the echo of a
    created record is recognised by it.
    """

    entity: str
    values: dict[str, ValueSpec]

    @model_validator(mode="after")
    def _names_exist(self) -> ByHand:
        if self.entity not in ENTITIES:
            raise ValueError(f"there is no entity {self.entity!r}; one of {', '.join(sorted(ENTITIES))}")
        fields = ENTITIES[self.entity].fields
        for field in self.values:
            if field not in fields:
                raise ValueError(f"{self.entity} has no field {field!r}")
        return self


class WritebackRule(Strict):
    """When an intent arises, who is asked, and what is sent. `about` explains it to people."""

    about: str = ""
    entity: str
    becomes: dict[str, Any] = {}
    """Values that the record has now and did not have before: one intent for each record."""
    unless: list[str] = []
    """Entities of the aggregate: no intent arises while one of them is live."""
    values: dict[str, ValueSpec] = {}
    """Canonical field of the subject → the value that it should have: an intent whenever that changes."""
    after: str | None = None
    """Another rule (`<system>/<name>`): an intent whenever it delivered. `given` is what that delivery returned."""
    subject: str | None = None
    """The reference of the record to the entity that is written, if it is another one."""
    skip_when: dict[str, Any] = {}
    mode: Literal["live", "shadow", "off"] = "live"
    share: float = Field(default=1.0, ge=0, le=1)
    """Canary: the share of customers for which the rule is live. For the others it is in shadow mode."""
    by_hand: ByHand | None = None
    schedule: Cron | None = None
    approval: list[ApprovalRule] = []
    expires_after: Duration = timedelta(days=3)
    ready: Ready | None = None
    attempts: int = Field(default=8, ge=1)
    params: dict[str, ValueSpec] = {}
    lines: dict[str, ValueSpec] | None = None
    sql: SqlAction | None = None
    http: HttpAction | None = None

    def is_live_for(self, customer_or_subject: str) -> bool:
        """Whether the rule is live for intents of this customer (or subject, where there is no customer).

        A canary is live for a share of the customers: the draw is by a hash, so the answer for one customer never
        changes.
        """
        if self.mode != "live":
            return False
        if self.share >= 1:
            return True
        drawn = int.from_bytes(sha256(customer_or_subject.encode()).digest()[:4], "big") / 2**32
        return drawn < self.share

    @property
    def reads_target(self) -> bool:
        """Whether it reads what the target has before it is delivered."""
        return bool((self.sql and self.sql.now) or (self.http and self.http.now))

    @property
    def subject_entity(self) -> str:
        """The entity that is written."""
        return (ENTITIES[self.entity].fields[self.subject].ref or self.entity) if self.subject else self.entity

    @model_validator(mode="after")
    def _fits_together(self) -> WritebackRule:
        if self.by_hand is not None and self.values:
            raise ValueError(
                "`by_hand` is for rules with steps: shadow mode compares `values` with what the target contributes"
            )
        if self.entity not in ENTITIES:
            raise ValueError(f"there is no entity {self.entity!r}; one of {', '.join(sorted(ENTITIES))}")
        if sum((bool(self.becomes), bool(self.values) and self.after is None, self.after is not None)) != 1:
            raise ValueError("needs one of `becomes`, `values` or `after`: what causes an intent")
        for field in (*self.becomes, *([self.subject] if self.subject else [])):
            if field not in ENTITIES[self.entity].fields:
                raise ValueError(f"{self.entity} has no field {field!r}")
        if (self.sql is None) == (self.http is None):
            raise ValueError("needs either `sql` or `http`: how it is written")
        if self.sql is not None and self.sql.update is not None and set(self.sql.update.columns) != set(self.values):
            raise ValueError("`values` and `sql.update.columns` must name the same fields")
        if self.lines is not None and ENTITIES[self.entity].lines is None:
            raise ValueError(f"{self.entity} has no lines")
        if self.lines is None and any(approval.discount_over is not None for approval in self.approval):
            raise ValueError("`discount_over` needs lines: add `lines`")
        if self.ready is not None and self.lines is None:
            raise ValueError("`ready` compares lines: add `lines`")
        return self


class SqlTarget(Strict):
    """A Postgres database. `origins`: replication origins under which it is written, one session for each."""

    adapter: Literal["sql"]
    host: str
    port: str = "5432"
    dbname: str
    user: str
    password: str = ""
    origins: list[str] = Field(default=["opshub"], min_length=1)
    statement_timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _origins_are_known(self) -> SqlTarget:
        for origin in self.origins:
            if origin != "opshub" and not origin.startswith("opshub-"):
                raise ValueError(
                    f"origin {origin!r}: write-back recognises its echoes by the name `opshub` or `opshub-…`"
                )
        return self


class HttpTarget(Strict):
    """An HTTP interface. `headers` go with every request; `basic` is a user and a password."""

    adapter: Literal["http"]
    base_url: str
    headers: dict[str, str] = {}
    basic: tuple[str, str] | None = None
    timeout: Duration = timedelta(seconds=10)


class WritebackConfig(Strict):
    """The content of one writeback.yaml: a target and its rules."""

    system: str
    target: SqlTarget | HttpTarget = Field(discriminator="adapter")
    rules: dict[str, WritebackRule]

    @model_validator(mode="after")
    def _adapter_fits(self) -> WritebackConfig:
        for name, rule in self.rules.items():
            if (rule.sql is not None) != (self.target.adapter == "sql"):
                adapter = self.target.adapter
                raise ValueError(f"rule {name}: the adapter of the target is {adapter}, so the rule needs `{adapter}`")
        return self
