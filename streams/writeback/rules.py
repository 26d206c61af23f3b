"""The form of `connectors/<system>/writeback.yaml`: what this system is given, when, after whose approval, and how.

`load.py` reads the files into these classes. The target of every rule is the system in whose folder the file lies.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field, model_validator

from streams.model.entities import ENTITIES
from streams.writeback.forms import Cron, Duration, Strict
from streams.writeback.http_rules import HttpAction, HttpTarget
from streams.writeback.values import ValueSpec


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
    is asked. `tolerance`: None is half of the currency's smallest unit for each line, and at least 0.01.
    """

    header: str = "amount"
    lines: str = "net_amount"
    tolerance: Decimal | None = None
    within: Duration = timedelta(minutes=2)


class Step(Strict):
    """One statement of a transaction. `find` runs first: if it returns a row, that row is the result and `sql` does
    not run. `each: lines` runs the statement for each line. What a step returns is a parameter of the steps after
    it: `%(order.id)s`. `required: false`: it may do nothing (no row, no row changed, or false).
    """

    name: str
    sql: str
    find: str | None = None
    each: Literal["lines"] | None = None
    required: bool = True


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
    """How a target is written by SQL: by `steps`, or by an `update` of one row.

    `now`: reads a row of the target at delivery, for approvals. `lock`: the parameter whose value is locked during
    the transaction. `look_up`: finds what was done for this key, or by hand; its columns are named as the steps
    would have returned them (`order.number`). `repeatable`: the steps may run twice without harm, so no look_up is
    needed.
    """

    now: str | None = None
    lock: str | None = None
    look_up: str | None = None
    steps: list[Step] = []
    read_back: ReadBack | None = None
    update: Update | None = None
    repeatable: bool = False

    @model_validator(mode="after")
    def _steps_or_update(self) -> SqlAction:
        if bool(self.steps) == (self.update is not None):
            raise ValueError("needs either `steps` or `update`")
        return self


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
    also_by_target: bool = False
    """Whether `becomes` also counts what people of the target itself change. Else the target is taken to do itself what
    follows from its own changes.
    """
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
    tolerance: Decimal | dict[str, Decimal] | None = None
    """How much an amount that is read back may differ, for each line of the document; as one number, or one for each
    currency. None: half of the currency's smallest unit.
    """
    params: dict[str, ValueSpec] = {}
    lines: dict[str, ValueSpec] | None = None
    lines_required: bool = True
    """Whether nothing is sent for a document without lines, where the rule has `lines`."""
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
    def amounts(self) -> frozenset[str]:
        """Parameters that are amounts of the document: a target that computes them itself may round differently."""
        return frozenset(name for name, spec in self.params.items() if spec.form == "money")

    @property
    def reads_target(self) -> bool:
        """Whether it reads what the target has before it is delivered."""
        return bool((self.sql and self.sql.now) or (self.http and self.http.now))

    @property
    def target_paths(self) -> list[str]:
        """What the rule asks of what `now` reads, without `target.`."""
        specs = [*self.params.values(), *(self.lines or {}).values(), *self.values.values()]
        paths = [spec.path or "" for spec in specs] + [path for approval in self.approval for path in approval.when]
        return [path.removeprefix("target.") for path in dict.fromkeys(paths) if path.startswith("target.")]

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
        if self.also_by_target and not self.becomes:
            raise ValueError(
                "`also_by_target` is for rules with `becomes`: a rule with `values` would answer its own target"
            )
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
    """A database. `origins`: replication origins under which it is written, one session for each; with MariaDB and
    MySQL names of locks that stand for them.
    """

    adapter: Literal["sql"]
    engine: Literal["postgres", "mariadb", "mysql"] = "postgres"
    host: str
    port: str = ""
    """Empty: 5432, and 3306 of MariaDB and MySQL."""
    dbname: str
    user: str
    password: str = ""
    origins: list[str] = Field(default=["opshub"], min_length=1)
    statement_timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="before")
    @classmethod
    def _port_of_engine(cls, content: Any) -> Any:
        if isinstance(content, dict) and not content.get("port"):
            usual = "5432" if content.get("engine", "postgres") == "postgres" else "3306"
            return content | {"port": usual}
        return content

    @model_validator(mode="after")
    def _origins_are_known(self) -> SqlTarget:
        for origin in self.origins:
            if origin != "opshub" and not origin.startswith("opshub-"):
                raise ValueError(
                    f"origin {origin!r}: write-back recognises its echoes by the name `opshub` or `opshub-…`"
                )
        return self


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
