"""What people see and do of write-back: list and show intents, say yes or no, pause and resume. Everything done is in the audit log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row, tuple_row

from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.hub.statements import SQL
from streams.hub.store import entity_of_row
from streams.model.state import EntityState
from streams.writeback.compare import Compared, compare
from streams.writeback.context import gather
from streams.writeback.failures import NotYet, Refused
from streams.writeback.prepare import check_whole, no_more, prepare
from streams.writeback.rules import WritebackRule
from streams.writeback.work import Adapter, Work


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


STATES = (
    "planned",
    "waiting",
    "approved",
    "delivering",
    "delivered",
    "failed",
    "expired",
    "dead",
    "rejected",
    "superseded",
    "shadow",
)
PENDING = ("planned", "waiting", "approved", "delivering", "failed")


class NotWaiting(OpshubError):
    """This intent does not wait for a decision."""


class SamePerson(OpshubError):
    """One person can not be two."""


class Desk:
    """One connection to the hub; use as a context manager. Raises EnvironmentFault when the hub does not answer."""

    def __init__(self, dsn: str) -> None:
        try:
            self._hub = psycopg.connect(
                dsn, autocommit=True, row_factory=dict_row, connect_timeout=5, application_name="opshub-desk"
            )
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"the hub does not answer: {str(error).strip()}", remedy="`opshub up` starts the native stack"
            ) from error

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.close()

    def rows(self, name: str, parameters: Any = ()) -> list[dict[str, Any]]:
        """The rows of one named statement, with times as ISO text."""
        try:
            cursor = self._hub.execute(SQL[name], parameters)
            found = cursor.fetchall() if cursor.description else []
        except psycopg.errors.UndefinedTable as error:
            raise EnvironmentFault("the hub's tables are not of this version", remedy="run `opshub apply`") from error
        return [
            {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
            for row in found
        ]

    def intents(self, states: list[str], *, rule: str | None = None, most: int = 100) -> list[dict[str, Any]]:
        """Intents in these states, newest first."""
        return self.rows("intents", [states, rule, rule, most])

    def intent(self, what: str) -> dict[str, Any]:
        """One intent by its number or key, with its `log`. Raises ConfigError when there is none."""
        number = int(what) if what.isdecimal() and len(what) < 19 else None
        found = self.rows("intent", [number, what])
        if not found:
            raise ConfigError(f"there is no intent {what}", remedy="`opshub approvals list --all` shows them")
        return found[0] | {"log": self.rows("intent_log", [found[0]["id"]])}

    def would_send(self, number: int, rules: Mapping[str, WritebackRule], adapters: Mapping[str, Adapter]) -> Any:
        """What would be sent for this intent as things are now, or why that can not be said."""
        (row,) = self.rows("intent_work", [number])
        work = Work(*row.values())
        rule = rules.get(work.rule)
        if rule is None:
            return f"there is no rule {work.rule} any more"
        document = asyncio.run(gather([(work, rule)], self._tuples))[work.id]
        try:
            if isinstance(document, NotYet):
                raise document
            taken_back = no_more(rule, document)
            if taken_back is not None:
                return f"nothing: {taken_back}"
            check_whole(work, rule, document)
            return adapters[work.target].describe(prepare(work, rule, document, None))
        except (NotYet, Refused) as no:
            return f"nothing yet: {no}"

    async def _tuples(self, name: str, *parameters: Any) -> list[Any]:
        cursor = self._hub.cursor(row_factory=tuple_row)
        return cursor.execute(SQL[name], parameters).fetchall()

    def decide(self, what: str, who: str, verdict: str, why: str, *, account: str | None = None) -> dict[str, Any]:
        """Say `approve` or `reject`; the intent as it is then. `account`: whose account said so, where that is not `who`'s own.

        Raises NotWaiting when nobody is asked, or the time has run out, and SamePerson for a second yes by one account.
        """
        intent = self.intent(what)
        account = account or who
        for said in intent["decisions"] if verdict == "approve" else []:
            same = said["reasons"] == intent["reasons"] and said["what"] == "approve"
            if same and (said.get("account") or said["who"]) == account and said["who"] != who:
                raise SamePerson(
                    f"{account} has said yes to intent {what} already, as {said['who']}: {who} has to say it from an account of their own",
                    remedy="where one account decides for several people, name them in OPSHUB_APPROVERS",
                )
        done = self.rows("decide", {"id": intent["id"], "who": who, "account": account, "what": verdict, "why": why})
        if not done:
            raise NotWaiting(
                f"intent {what} is {intent['state']}, and waits for nobody",
                remedy="`opshub approvals list` shows those that wait",
            )
        return self.intent(what)

    def pause(self, scope: str, who: str, reason: str) -> None:
        """Deliver nothing to a system, or by a rule (`<system>/<rule>`), until `resume`; what arises meanwhile is kept."""
        self.rows("pause", [scope, who, reason])

    def resume(self, scope: str) -> bool:
        """Deliver again, beginning with what gathered; False when it was not paused."""
        return bool(self.rows("resume", [scope]))

    def counts(self) -> list[dict[str, Any]]:
        """{rule, state, count} of all intents."""
        return self.rows("intent_counts")

    def shadow(self, rules: Mapping[str, WritebackRule], *, rule: str | None = None, most: int = 500) -> list[Compared]:
        """What shadow mode would have sent beside what people did, the newest of each rule and subject. `rules`: <system>/<name> → rule."""
        works = [Work(*row.values()) for row in self.rows("shadow_intents", {"rule": rule, "most": most})]
        known = [(work, rules[work.rule]) for work in works if work.rule in rules]
        documents = asyncio.run(gather(known, self._tuples))
        members: dict[str, list[EntityState]] = {}
        for row in asyncio.run(self._tuples("load_aggregates", list({work.aggregate_id for work, _ in known}))):
            members.setdefault(row[2], []).append(entity_of_row(row))
        told = []
        for work, one in known:
            document = documents[work.id]
            found = members.get(work.aggregate_id, [])
            told.append(compare(work, one, None if isinstance(document, NotYet) else document, found))
        return told

    def broken(self, *, grace_s: float, invoiced: str, header_charges: int, most: int = 1000) -> list[dict[str, Any]]:
        """What can not be so: header and lines, shipped and ordered and invoiced, payments and invoices, opportunities and orders."""
        told = {"grace": grace_s, "invoiced": invoiced, "header_charges": header_charges, "most": most}
        # Sums are `numeric` in Postgres, and JSON knows no Decimal.
        return [
            row | {name: None if row[name] is None else int(row[name]) for name in ("says", "should")}
            for row in self.rows("broken_invariants", told)
        ]

    def stuck(self, limits: dict[str, float], *, most: int = 1000) -> list[dict[str, Any]]:
        """Flows that are in their stage for longer than `limits` (stage → seconds) say: `since_s`."""
        return self.rows("stuck_flows", {"limits": json.dumps(limits), "most": most})

    def flows(self, what: str) -> list[dict[str, Any]]:
        """The order flows that an id or a document number leads to: {aggregate_id, record, members, intents}."""
        found = []
        for row in self.rows("find_flow", {"what": what, "id": _uuid(what)}):
            aggregate = row["aggregate_id"]
            members = self.rows("flow_members", [aggregate])
            record = next((m["record"] for m in members if m["entity"] == "order_flow"), None)
            if record is not None:
                others = [m for m in members if m["entity"] != "order_flow"]
                found.append(
                    {
                        "aggregate_id": aggregate,
                        "record": record,
                        "members": others,
                        "intents": self.rows("intents_of_aggregate", [aggregate]),
                    }
                )
        return found
