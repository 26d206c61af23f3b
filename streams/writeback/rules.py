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
from streams.writeback.values import Value

_DURATION = re.compile(r"(\d+)\s*(ms|s|min|h|d)\Z")
_UNIT = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def duration(text: str) -> timedelta:
    """`90 s`, `15 min`, `3 d` … as a timedelta. Raises ValueError."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write a number and ms, s, min, h or d")
    return int(match.group(1)) * _UNIT[match.group(2)]


def _cron(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(f"{text!r} is no cron expression of five fields")
    return text


Duration = Annotated[timedelta, BeforeValidator(lambda told: duration(told) if isinstance(told, str) else told)]
Cron = Annotated[str, AfterValidator(_cron)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Approval(Strict):
    """People are asked when all that is said here holds. `over`: the record's amount, as a number or one for each currency
    (a currency that is not named asks always); `when`: values of the document, or `target.<name>` of what the rule's `now` reads;
    `new_customer`: the target does not know the customer yet; `discount_over`: percent of any line; `credit_exceeded`: the amount, what the
    customer owes, and what it has ordered and was not billed for are more than its credit limit.
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
    def _says_something(self) -> Approval:
        said = (self.over, self.new_customer, self.discount_over, self.credit_exceeded)
        if not self.when and all(one is None for one in said):
            raise ValueError("needs `over`, `when`, `new_customer`, `discount_over` or `credit_exceeded`")
        return self


class Ready(Strict):
    """A document is whole when its lines make up its header; until then delivery waits, after `within` a person is asked."""

    header: str = "amount"
    lines: str = "net_amount"
    tolerance: Decimal = Decimal("0.01")
    within: Duration = timedelta(minutes=2)


class Step(Strict):
    """One statement of a transaction. `find` first: where it returns a row, that row is the result and `sql` is not run. `each: lines` runs
    it for each line. What a step returns is a parameter of those after it: `%(order.id)s`.
    """

    name: str
    sql: str
    find: str | None = None
    each: Literal["lines"] | None = None


class ReadBack(Strict):
    """What was written is read again, before the commit; columns that bear a parameter's name must equal it."""

    sql: str
    compare: list[str]


class Update(Strict):
    """Give one row the values of the rule, where it differs. `columns`: canonical field of the subject → column."""

    table: str
    key: str
    columns: dict[str, str]


class SqlAction(Strict):
    """`now`: a row of what the target says at delivery, for approvals. `lock`: the parameter whose value is locked during the transaction.
    `look_up` finds what was done under this key, or by hand; its columns are named as the steps would have returned them: `order.number`.
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
    """One HTTP request. `$name` in path, query, headers and json stands for a parameter;
    {"each": "lines", "do": …} for a list over the lines.
    `rpc` makes it a JSON-RPC 2.0 call of that method, with `json` as its params. `found`: the path to the record in the answer,
    `next`: the path to the address of the next page.
    """

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    path: str
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    rpc: str | None = None
    found: str | None = None
    next: str | None = None
    pages: int = 20


class LookUp(Call):
    """`result`: as that of the action, where what is found has another form than the answer to `send`."""

    result: dict[str, str] = {}


class HttpAction(Strict):
    """`look_up` before a request that may have been done already; `read`, which tells whether the record still is what the rule saw;
    `send`; `read_back`, whose values are compared. `compare`: path in what was read → parameter, or field of `values`.
    `idempotency_header`: only where the target promises to do what bears one key once. `now`: what the target says at delivery, for
    approvals.
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
    def can_tell(self) -> bool:
        """Whether a request that may have been done already can be told from one that was not, or does no harm."""
        return self.look_up is not None or self.idempotency_header is not None


class ByHand(Strict):
    """What people make themselves where the rule does not: a live `entity` of the aggregate that the target has, and what its fields
    (canonical) should be by the rule. Shadow mode is judged by it.
    """

    entity: str
    values: dict[str, Value]

    @model_validator(mode="after")
    def _known(self) -> ByHand:
        if self.entity not in ENTITIES:
            raise ValueError(f"there is no entity {self.entity!r}; one of {', '.join(sorted(ENTITIES))}")
        fields = ENTITIES[self.entity].fields
        for field in self.values:
            if field not in fields:
                raise ValueError(f"{self.entity} has no field {field!r}")
        return self


class WritebackRule(Strict):
    """When an intent arises, who is asked, what is sent. `about` is shown to people."""

    about: str = ""
    entity: str
    becomes: dict[str, Any] = {}
    """Values that the record has now and had not before: one intent for ever."""
    unless: list[str] = []
    """Entities of the aggregate: nothing is done while there is a live one."""
    values: dict[str, Value] = {}
    """What the subject is to say, by its canonical field: an intent whenever that changes."""
    after: str | None = None
    """Another rule (`<system>/<name>`): an intent whenever it delivered, with `given` what that returned."""
    subject: str | None = None
    """The field that names the entity to be written, where that is another one."""
    skip_when: dict[str, Any] = {}
    mode: Literal["live", "shadow", "off"] = "live"
    share: float = Field(default=1.0, ge=0, le=1)
    """Canary: the share of customers for which it is live; the others are in shadow mode."""
    by_hand: ByHand | None = None
    schedule: Cron | None = None
    approval: list[Approval] = []
    expires_after: Duration = timedelta(days=3)
    ready: Ready | None = None
    attempts: int = Field(default=8, ge=1)
    params: dict[str, Value] = {}
    lines: dict[str, Value] | None = None
    sql: SqlAction | None = None
    http: HttpAction | None = None

    def is_live_for(self, customer_or_subject: str) -> bool:
        """Whether the rule is live for intents of this customer (or subject, where there is no customer).

        A canary is live for a share of the customers: the draw is by a hash, so the answer for one customer never changes.
        """
        if self.mode != "live":
            return False
        if self.share >= 1:
            return True
        drawn = int.from_bytes(sha256(customer_or_subject.encode()).digest()[:4], "big") / 2**32
        return drawn < self.share

    @property
    def reads_target(self) -> bool:
        """Whether it reads what the target says now, before it is delivered."""
        return bool((self.sql and self.sql.now) or (self.http and self.http.now))

    @property
    def subject_entity(self) -> str:
        """What kind of entity is written."""
        return (ENTITIES[self.entity].fields[self.subject].ref or self.entity) if self.subject else self.entity

    @model_validator(mode="after")
    def _whole(self) -> WritebackRule:
        if self.by_hand is not None and self.values:
            raise ValueError(
                "`by_hand` is for rules with steps; what `values` say is compared with what the target says"
            )
        if self.entity not in ENTITIES:
            raise ValueError(f"there is no entity {self.entity!r}; one of {', '.join(sorted(ENTITIES))}")
        if sum((bool(self.becomes), bool(self.values) and self.after is None, self.after is not None)) != 1:
            raise ValueError("needs one of `becomes`, `values` or `after`: what gives rise to it")
        for field in (*self.becomes, *([self.subject] if self.subject else [])):
            if field not in ENTITIES[self.entity].fields:
                raise ValueError(f"{self.entity} has no field {field!r}")
        if (self.sql is None) == (self.http is None):
            raise ValueError("needs either `sql` or `http`: how it is written")
        if self.sql is not None and self.sql.update is not None and set(self.sql.update.columns) != set(self.values):
            raise ValueError("`values` and `sql.update.columns` must name the same fields")
        if self.lines is not None and ENTITIES[self.entity].lines is None:
            raise ValueError(f"{self.entity} has no lines")
        if self.lines is None and any(one.discount_over is not None for one in self.approval):
            raise ValueError("`discount_over` looks at lines: say `lines`")
        if self.ready is not None and self.lines is None:
            raise ValueError("`ready` compares lines: say `lines`")
        return self


class SqlTarget(Strict):
    """A Postgres database. `origins`: replication origins under which it is written, one session each."""

    adapter: Literal["sql"]
    host: str
    port: str = "5432"
    dbname: str
    user: str
    password: str = ""
    origins: list[str] = Field(default=["opshub"], min_length=1)
    statement_timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _known_origin(self) -> SqlTarget:
        for origin in self.origins:
            if origin != "opshub" and not origin.startswith("opshub-"):
                raise ValueError(f"origin {origin!r}: echoes are known by the name `opshub` or `opshub-…`")
        return self


class HttpTarget(Strict):
    """An HTTP interface. `auth`: headers of every request."""

    adapter: Literal["http"]
    base_url: str
    headers: dict[str, str] = {}
    basic: tuple[str, str] | None = None
    timeout: Duration = timedelta(seconds=10)


class WritebackConfig(Strict):
    """One system's write-back."""

    system: str
    target: SqlTarget | HttpTarget = Field(discriminator="adapter")
    rules: dict[str, WritebackRule]

    @model_validator(mode="after")
    def _fit(self) -> WritebackConfig:
        for name, rule in self.rules.items():
            if (rule.sql is not None) != (self.target.adapter == "sql"):
                raise ValueError(f"rule {name}: the target is of kind {self.target.adapter}")
        return self
