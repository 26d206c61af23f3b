"""An operation: one thing that a page or a caller of the API can ask for or do.

    @operation("GET", "/flows", permission="see", command=lambda wanted: "opshub flow list")
    def list_flows(context: Context, wanted: WantedFlows) -> FlowList:
        "List order flows, those that came into their stage last first."

From this the API gets a route, its OpenAPI entry and the check of rights; a page calls it in the same process by
`run`, and shows the command and the API call that do the same. Operations that change something are written to the
audit, whoever called them.

Rights by system and entity: `wanted.system` and `wanted.entity` say where the operation works. Where only the thing
knows it, such as the target of an intent, `scope` looks it up; the person needs the right for each place that it gives:

    def _places(hub: Hub, wanted: Decision) -> list[Scope]:
        return [Scope(system=intent.target, entity=intent.entity) for intent in ...]

    @operation("POST", "/approvals/{id}/approve", permission="approve", scope=_places)

It gives nothing for a thing that does not exist: then the function says so. What somebody else has already decided
raises AlreadyDone (409), which names who and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import quote, urlencode

import msgspec

from streams.console.people import Permission, Person
from streams.console.place import Hub, Place
from streams.console.problems import NotAllowed, TooMany, WrongInput
from streams.errors import OpshubError
from streams.hub.audit import begin_audit, end_audit

Method = Literal["GET", "POST", "PUT", "DELETE"]
Via = Literal["page", "api", "command"]
Wanted = TypeVar("Wanted", bound=msgspec.Struct)
Result = TypeVar("Result")

API = "/api/v1"


class Context(NamedTuple):
    """For whom an operation runs."""

    place: Place
    person: Person
    via: Via = "page"


class Scope(NamedTuple):
    """Where an operation works: a system, an entity, both, or (None, None) for what belongs to all."""

    system: str | None = None
    entity: str | None = None


class Operation(NamedTuple):
    """What the decorator collects about a function. `wanted`: struct of path, query or body; `result`: what it returns.

    `command` gives the command line that does the same, or "" where there is none.
    """

    name: str
    method: Method
    path: str
    permission: Permission
    function: Callable[[Context, Any], Any]
    wanted: type[msgspec.Struct]
    result: Any
    command: Callable[[Any], str]
    summary: str
    description: str
    writes: bool
    """A person's deed, which the audit keeps. Every method but GET, unless said otherwise."""
    scope: Callable[[Hub, Any], Iterable[Scope]] | None = None
    """Looks up where it works; None: `system` and `entity` of `wanted`, if it has these."""
    secret: frozenset[str] = frozenset()
    """Fields of `wanted` that neither the audit nor a page may repeat, such as passwords."""
    keeps_result: bool = True
    """Whether the audit keeps the result; not where it holds personal data or a secret."""

    def url(self, wanted: msgspec.Struct) -> str:
        """The path of the API call, with the query for GET."""
        values = _given(wanted)
        path = self.path
        for name in path_names(self.path):
            path = path.replace(f"{{{name}}}", quote(str(values.pop(name, "")), safe=""))
        query = urlencode(values, doseq=True) if self.method == "GET" and values else ""
        return f"{API}{path}" + (f"?{query}" if query else "")

    def curl(self, wanted: msgspec.Struct, base: str) -> str:
        """The API call as a command line."""
        if self.method == "GET":
            return f"curl '{base}{self.url(wanted)}'"
        inside = set(path_names(self.path))
        body = {
            name: "…" if name in self.secret else value for name, value in _given(wanted).items() if name not in inside
        }
        text = msgspec.json.encode(body).decode().replace("'", "'\\''")
        return f"curl -X {self.method} -H 'content-type: application/json' -d '{text}' '{base}{self.url(wanted)}'"


OPERATIONS: dict[str, Operation] = {}
"""Every operation by name, in the order of the modules of `streams/console/operations/`."""

Function = TypeVar("Function", bound=Callable[..., Any])


def operation(
    method: Method,
    path: str,
    *,
    permission: Permission,
    command: Callable[[Any], str] | str = "",
    writes: bool | None = None,
    scope: Callable[[Hub, Any], Iterable[Scope]] | None = None,
    secret: Iterable[str] = (),
    keeps_result: bool = True,
) -> Callable[[Function], Function]:
    """Register a function as an operation; see the top of this module."""

    def register(function: Function) -> Function:
        hints = get_type_hints(function)
        text = (function.__doc__ or "").strip()
        first, _, rest = text.partition("\n")
        name = function.__name__
        assert name not in OPERATIONS, f"two operations are named {name}"
        OPERATIONS[name] = Operation(
            name, method, path, permission, function, hints["wanted"], hints["return"],
            command if callable(command) else lambda wanted: command,
            first.strip(), " ".join(rest.split()), method != "GET" if writes is None else writes,
            scope, frozenset(secret), keeps_result,
        )  # fmt: skip
        return function

    return register


def run(context: Context, function: Callable[[Context, Wanted], Result], wanted: Wanted) -> Result:
    """Run an operation for a person: check the right, and do it. What changes something is written to the audit
    before it is done, and what came of it after.

    Raises NotAllowed, which the audit keeps, too, and what the operation raises.
    """
    done = OPERATIONS[function.__name__]
    try:
        _check_right(context, done, wanted)
    except NotAllowed as error:
        _keep_refusal(context, done, wanted, error)
        raise
    if not done.writes:
        return function(context, wanted)
    entry = _begin(context, done, wanted)
    try:
        result = function(context, wanted)
    except OpshubError as error:
        with context.place.hub() as hub:
            end_audit(hub, entry, failed=str(error))
        raise
    with context.place.hub() as hub:
        end_audit(hub, entry, result=_short(result) if done.keeps_result else {})
    return result


def _begin(context: Context, done: Operation, wanted: msgspec.Struct) -> int:
    """Write to the audit that somebody wants this; the entry's number."""
    given = {name: "•••" if name in done.secret else value for name, value in msgspec.to_builtins(wanted).items()}
    with context.place.hub() as hub:
        return begin_audit(
            hub, who=context.person.name, what=done.name, via=context.via, wanted=given,
            about=next((str(given[name]) for name in ("id", "ids", "scope", "name") if given.get(name)), None),
            why=str(given.get("reason") or ""),
        )  # fmt: skip


def _keep_refusal(context: Context, done: Operation, wanted: msgspec.Struct, error: NotAllowed) -> None:
    """Write to the audit that somebody may not do this: ten at once of one person, then one a minute."""
    try:
        context.place.refusals.take(context.person.name)
    except TooMany:
        return
    entry = _begin(context, done, wanted)
    with context.place.hub() as hub:
        end_audit(hub, entry, failed=str(error))


def _check_right(context: Context, done: Operation, wanted: msgspec.Struct) -> None:
    """Raises NotAllowed unless the person has the right everywhere that the operation works."""
    if done.scope is not None:
        with context.place.hub() as hub:
            places = list(done.scope(hub, wanted))
        # What does not exist is nowhere: the function says that it is missing, to those who have the right at all.
        is_named = bool(places)
        places = places or [Scope()]
    else:
        system, entity = getattr(wanted, "system", None), getattr(wanted, "entity", None)
        places = [Scope(system if isinstance(system, str) else None, entity if isinstance(entity, str) else None)]
        is_named = True
    for place in places:
        anywhere = not (done.writes and is_named)
        if not context.person.may(done.permission, system=place.system, entity=place.entity, anywhere=anywhere):
            where = " ".join(f"for {name.replace('_', ' ')}" for name in place if name)
            raise NotAllowed(
                f"{context.person.name} may not do this{f' {where}' if where else ''}: it needs the right to "
                f"{done.permission}",
                remedy="ask an admin for a role that has it: `opshub people grant`",
            )


def read_wanted(wanted: type[Wanted], values: Mapping[str, Sequence[str]]) -> Wanted:
    """The struct from the texts of a query or a form; an empty text is left out. Raises WrongInput."""
    hints = get_type_hints(wanted)
    given: dict[str, Any] = {}
    for name, texts in values.items():
        kept = [text for text in texts if text != ""]
        if not kept or name not in hints:
            continue
        given[name] = kept if _is_list(hints[name]) else kept[-1]
    return convert(wanted, given, strict=False)


def convert(wanted: type[Wanted], values: Mapping[str, Any], *, strict: bool) -> Wanted:
    """The struct from values of JSON. Raises WrongInput, which names the field."""
    try:
        return msgspec.convert(values, wanted, strict=strict)
    except msgspec.ValidationError as error:
        raise WrongInput(str(error), remedy=f"{API}/openapi.json has each field with its type") from error


def path_names(path: str) -> list[str]:
    """The names in braces of a path."""
    return [step[1:-1] for step in path.split("/") if step.startswith("{")]


def _is_list(hint: Any) -> bool:
    if get_origin(hint) is list:
        return True
    return any(get_origin(choice) is list for choice in get_args(hint))


def _given(wanted: msgspec.Struct) -> dict[str, Any]:
    """The fields that differ from their defaults, as JSON values."""
    values: dict[str, Any] = msgspec.to_builtins(wanted)
    defaults = {field.name: field.default for field in msgspec.structs.fields(type(wanted))}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None and value != defaults.get(name)
    }


def _short(result: Any) -> Any:
    """What an audit entry keeps of a result: at most 4,000 characters of its JSON."""
    text = msgspec.json.encode(result)
    return msgspec.json.decode(text) if len(text) <= 4_000 else {"text": text[:4_000].decode(errors="replace")}
