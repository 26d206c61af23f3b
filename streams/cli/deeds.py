"""What commands write to the audit, in one place: a verb that changes something has a `Deed` here.

Before the verb runs, the audit gets who (the account of this computer), what, why, and what was asked for; after it,
the state of the thing before and after, and what the verb returned. A verb that fails leaves its error. Verbs that run
an operation of the console are not here: `operation.run` writes their entry.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from streams.errors import OpshubError

if TYPE_CHECKING:
    from streams.hub.intent_review import Hub

Arguments = Mapping[str, Any]
ReadState = Callable[["Hub", Arguments], dict[str, Any]]


class Deed(NamedTuple):
    """How one verb is written to the audit.

    `what`: the name of the console's operation that does the same, where there is one. `about`: the arguments that name
    the thing. `state` reads the thing's state from the hub. `only_with`: the option without which the verb only lists.
    """

    what: str
    about: tuple[str, ...] = ()
    state: ReadState | None = None
    only_with: str = ""
    secret: frozenset[str] = frozenset()


def with_audit(deed: Deed, function: Callable[..., object]) -> Callable[..., object]:
    """The verb's function, which leaves an entry whenever it changes something."""

    @functools.wraps(function)
    def audited(**arguments: Any) -> object:
        if arguments.get("dry_run") or (deed.only_with and not arguments.get(deed.only_with)):
            return function(**arguments)
        return _run(deed, function, arguments)

    return audited


def _run(deed: Deed, function: Callable[..., object], arguments: dict[str, Any]) -> object:
    from streams.cli.context import load_settings, who
    from streams.hub.audit import begin_audit, end_audit
    from streams.writeback.commands import connect_hub

    hub_dsn = load_settings().hub
    wanted = {
        name: "•••" if name in deed.secret else value
        for name, value in arguments.items()
        if name not in ("as_json", "dry_run") and value not in (None, False, [], "")
    }
    names = [str(item) for name in deed.about for item in _items(arguments.get(name))]
    with connect_hub(hub_dsn) as hub:
        entry = begin_audit(
            hub, who=who(), what=deed.what, via="command", wanted=_plain(wanted) | {"ids": _numbers(names)},
            about=names[0] if names else None, why=str(arguments.get("reason") or ""),
        )  # fmt: skip
        before = _state(deed, hub, arguments)
    failed: str | None = None
    done: object = None
    try:
        done = function(**arguments)
    except OpshubError as error:
        failed = str(error)
        raise
    except typer.Exit as end:
        # Such as: sent, and no worker has done it within half a minute.
        failed = f"it ended with exit code {end.exit_code}" if end.exit_code else None
        raise
    except KeyboardInterrupt:
        failed = "interrupted"
        raise
    finally:
        # An entry without an end says that its end is not known; the verb's own error must not be hidden.
        with suppress(OpshubError), connect_hub(hub_dsn) as hub:
            states = {} if deed.state is None else {"before": before, "after": _state(deed, hub, arguments)}
            result = None if failed else states | (done if isinstance(done, dict) else {})
            end_audit(hub, entry, result=result, failed=failed)
    return done


def _state(deed: Deed, hub: Hub, arguments: Arguments) -> dict[str, Any]:
    """The thing's state; nothing for a name that does not exist: the verb itself says so."""
    if deed.state is None:
        return {}
    try:
        return deed.state(hub, arguments)
    except OpshubError:
        return {}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | int | float | list) else str(value) for name, value in values.items()
    }


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _numbers(names: list[str]) -> list[int]:
    """By these the list of the audit leaves out what the older logs say of the same deed."""
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def _pause(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.hub.intent_review import pauses

    paused = [pause for pause in pauses(hub) if pause.scope == arguments["scope"]]
    return {"paused": bool(paused), **({"reason": paused[0].reason, "by": paused[0].who} if paused else {})}


def _intents(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.writeback.commands import get_intent

    named = [*_items(arguments.get("which")), *_items(arguments.get("intents"))]
    intents = [get_intent(hub, str(name)) for name in named]
    return {
        "intents": [
            {
                "id": intent.id,
                "state": intent.state,
                "approved_by": [decision.who for decision in intent.decisions if decision.what == "approve"],
            }
            for intent in intents
        ]
    }


def _dead_letters(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.hub.dead_letters import Filter, find_dead_letters

    numbers = tuple(int(number) for name in ("number", "numbers") for number in _items(arguments.get(name)))
    stored = find_dead_letters(hub, Filter(ids=numbers), len(numbers)) if numbers else []
    # Sizes only: a record may hold personal data, which the dead letter itself keeps for as long as it may.
    return {
        "dead_letters": [
            {"id": record.id, "state": record.state, "edited": record.is_edited, "bytes": len(record.value or b"")}
            for record in stored
        ]
    }


def _conflict(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.identity.conflict_inbox import get

    conflict = get(hub, str(arguments["conflict_id"]))
    return {
        "conflict": conflict.id, "field": conflict.field, "outcome": conflict.outcome, "winner": conflict.winner,
        "rule": conflict.rule,
    }  # fmt: skip


def _records(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.identity.masters import find_master

    names = [arguments[name] for name in ("loser", "winner", "record", "other") if arguments.get(name)]
    return {"records": {str(name): find_master(hub, str(name)).canonical for name in names}}


def _source(hub: Hub, arguments: Arguments) -> dict[str, Any]:
    from streams.hub.source_state import load_source

    source = load_source(hub, str(arguments["system"]))
    return {
        "alarm": source.alarm if source else None,
        "resync_runs": source is not None and source.resync_age_s is not None,
    }


DEEDS: dict[str, Deed] = {
    "writeback pause": Deed("pause_writeback", ("scope",), _pause),
    "writeback resume": Deed("resume_writeback", ("scope",), _pause),
    "writeback retry": Deed("retry_write_back", ("intents",), _intents),
    "approvals approve": Deed("decide_approval", ("which",), _intents),
    "approvals reject": Deed("decide_approval", ("which",), _intents),
    "conflicts resolve": Deed("decide_conflict", ("conflict_id",), _conflict),
    "identity merge": Deed("decide_match", ("loser", "winner"), _records),
    "identity unmerge": Deed("decide_match", ("record",), _records),
    "identity decline": Deed("decide_match", ("record", "other"), _records),
    "identity reconsider": Deed("decide_match", ("record", "other"), _records),
    "dlq edit": Deed("edit_dead_letter", ("number",), _dead_letters),
    "dlq retry": Deed("retry_dead_letter", ("numbers",), _dead_letters),
    "dlq drop": Deed("drop_dead_letter", ("numbers",), _dead_letters),
    "systems read": Deed("read_source", ("scope",)),
    "resync": Deed("resync_system", ("system",), _source),
    "re-resolve": Deed("re_resolve", only_with="yes"),
}
"""By the words of the verb."""
