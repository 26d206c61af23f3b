"""Whether what rules name is there: paths, fields, parameters, entities, values, forms. Pure; all faults at once.

In: the write-back of all systems. Out: for each system its faults, as `rules.<rule>.<field>: what is wrong; what would be right`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from streams.model.entities import ENTITIES, FieldType
from streams.model.names import HUB
from streams.writeback.rules import Call, HttpAction, SqlAction, WritebackConfig, WritebackRule
from streams.writeback.templates import NAME
from streams.writeback.values import Value

_PARAMETER = re.compile(r"%\(([^)]*)\)[sbt]")
_COMPUTED = {"order_flow": ("shipment_status", "payment_status")}
"""Fields that are worked out of a record when a rule looks at it."""
_FORMS: dict[str, tuple[str, int | None]] = {
    "money": ("decimal", 4), "cents": ("decimal", 4), "rate": ("decimal", 4), "qty": ("decimal", 6), "float": ("decimal", 6),
    "date": ("date", None), "yyyymmdd": ("date", None), "timestamp": ("timestamp", None), "local_time": ("timestamp", None),
}  # fmt: skip
_TEXT = FieldType("text")


def find_errors(writebacks: Mapping[str, WritebackConfig], systems: Collection[str]) -> dict[str, list[str]]:
    """system → what is wrong in its writeback.yaml; only those where something is. `systems`: all that there are."""
    known = {f"{system}/{name}": rule for system, told in writebacks.items() for name, rule in told.rules.items()}
    found: dict[str, list[str]] = {}
    for system, told in writebacks.items():
        for name, rule in told.rules.items():
            for field, wrong in _Checked(rule, known, {*systems, HUB}).faults():
                found.setdefault(system, []).append(f"rules.{name}.{field}: {wrong}")
    return found


def _no(what: str, name: str, choices: Iterable[str]) -> str:
    there = sorted(choices)
    near = get_close_matches(name, there, 1)
    right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(there)}" if there else "there is none"
    return f"{what} {name!r}; {right}"


class _Checked:
    """One rule, looked at."""

    def __init__(self, rule: WritebackRule, rules: Mapping[str, WritebackRule], systems: Collection[str]) -> None:
        self._rule = rule
        self._rules = rules
        self._systems = systems

    def faults(self) -> Iterator[tuple[str, str]]:
        rule = self._rule
        yield from self._conditions()
        for name, spec in rule.params.items():
            yield from self._value(f"params.{name}", spec, rule.entity)
        lines = ENTITIES[rule.entity].lines
        for name, spec in (rule.lines or {}).items():
            yield from self._value(f"lines.{name}", spec, rule.entity, lines)
        for field, spec in rule.values.items():
            yield from self._canonical("values", rule.subject_entity, field, spec)
        if rule.by_hand is not None:
            for field, spec in rule.by_hand.values.items():
                yield from self._canonical("by_hand.values", rule.by_hand.entity, field, spec)
        for field in rule.skip_when:
            if field not in rule.values:
                yield "skip_when", _no("`values` has no", field, rule.values)
        if rule.sql is not None:
            yield from self._sql(rule.sql)
        if rule.http is not None:
            yield from self._http(rule.http)

    # -- when

    def _conditions(self) -> Iterator[tuple[str, str]]:
        rule = self._rule
        entity = ENTITIES[rule.entity]
        for field, value in rule.becomes.items():
            yield from _meant(f"becomes.{field}", entity.fields[field], value)
        inside = {name for name, one in ENTITIES.items() if one.aggregate == entity.aggregate}
        for name in rule.unless:
            if name not in inside:
                yield "unless", _no(f"aggregate {entity.aggregate} has no entity", name, inside)
        if rule.subject is not None and entity.fields[rule.subject].ref is None:
            refs = [name for name, kind in entity.fields.items() if kind.ref]
            yield "subject", _no(f"{rule.entity} refers to nothing by", rule.subject, refs)
        if rule.after is not None:
            if rule.after not in self._rules:
                yield "after", _no("there is no rule", rule.after, self._rules)
            elif self._rules[rule.after].entity != rule.entity:
                yield "entity", f"is that of the rule it follows: {self._rules[rule.after].entity}"
            if rule.subject not in (None, "customer_id"):
                yield "subject", "of a rule that follows another is the same, or customer_id"
        if rule.ready is not None:
            yield from self._amount("ready.header", rule.entity, rule.ready.header)
            yield from self._amount("ready.lines", entity.lines or "", rule.ready.lines)
        for number, asks in enumerate(rule.approval):
            if asks.over is not None or asks.credit_exceeded:
                yield from self._amount(f"approval.{number}.amount", rule.entity, asks.amount)
            for path, value in asks.when.items():
                wrong, kind = self._path(path, rule.entity)
                if wrong is not None:
                    yield f"approval.{number}.when", f"{path}: {wrong}"
                elif kind is not None:
                    yield from _meant(f"approval.{number}.when", kind, value)

    def _amount(self, where: str, entity: str, field: str) -> Iterator[tuple[str, str]]:
        fields = ENTITIES[entity].fields if entity else {}
        decimals = [name for name, kind in fields.items() if kind.kind == "decimal"]
        if entity and field not in decimals:
            yield where, _no(f"{entity} has no amount", field, decimals)

    # -- paths

    def _value(self, where: str, spec: Value, entity: str, lines: str | None = None) -> Iterator[tuple[str, str]]:
        """One value that goes to the target in the form that `as` says."""
        if spec.path is None:
            return
        wrong, kind = self._path(spec.path, entity, lines)
        if wrong is not None:
            yield where, f"{spec.path}: {wrong}"
        elif kind is not None:
            if spec.form in _FORMS:
                yield from _form(where, spec, kind)
            elif kind.kind in ("decimal", "date", "timestamp") and spec.form in ("as it is", "text"):
                forms = [form for form, fits in _FORMS.items() if fits in ((kind.kind, kind.scale), (kind.kind, None))]
                yield (
                    where,
                    f"{spec.path} is a {kind.kind}, kept as a whole number: say `as`, one of {', '.join(forms)}",
                )

    def _canonical(self, where: str, entity: str, field: str, spec: Value) -> Iterator[tuple[str, str]]:
        """One value that stays as canonical records have it."""
        wrong, target = self._field(entity, field)
        if wrong is not None:
            yield where, wrong
            return
        if spec.path is None:
            if target is not None:
                yield from _meant(f"{where}.{field}", target, spec.value)
            return
        wrong, kind = self._path(spec.path, self._rule.entity)
        if wrong is not None:
            yield f"{where}.{field}", f"{spec.path}: {wrong}"
        elif spec.form in _FORMS and spec.form != "cents":
            yield (
                f"{where}.{field}",
                f"stays in canonical form, `as: {spec.form}` does not: say nothing, or `cents` for money",
            )
        elif kind is not None and spec.form == "cents":
            yield from _form(f"{where}.{field}", spec, kind)
        elif kind is not None and target is not None and spec.form == "as it is" and spec.values is None:
            if (kind.kind, kind.scale) != (target.kind, target.scale) and {kind.kind, target.kind} - {"text", "ref"}:
                yield f"{where}.{field}", f"{spec.path} is {_called(kind)}, {entity}.{field} is {_called(target)}"

    def _path(self, path: str, entity: str, lines: str | None = None) -> tuple[str | None, FieldType | None]:
        """(what is wrong, what it leads to where that is known)."""
        rule, (root, *rest) = self._rule, path.split(".")
        own = lines or entity
        if root in ("record", "keys", "contributions"):
            return self._described(own, [root, *rest])
        if root == "line" and lines is not None:
            return self._field(lines, ".".join(rest))
        if root == "subject":
            return self._described(rule.subject_entity, rest)
        if root == "intent":
            return None if rest in (["id"], ["key"], ["rule"]) else "intent has id, key and rule", None
        if root == "given":
            return (None if rule.after is not None else "only a rule with `after` is given something"), None
        if root == "target":
            return (None if rule.reads_target else "the rule does not say `now`, which reads it"), None
        referred = {
            name.removesuffix("_id"): kind.ref
            for one in (entity, own)
            for name, kind in ENTITIES[one].fields.items()
            if kind.ref
        }
        if root in referred:
            into = referred[root] or ""
            if into == "customer" and rest[:1] == ["receivables"]:
                return self._field("receivables", ".".join(rest[1:]))
            return self._described(into, rest)
        roots = [
            "record",
            "keys",
            "contributions",
            "subject",
            "given",
            "intent",
            *referred,
            *(["line"] if lines else []),
        ]
        return _no("nothing is called", root, roots), None

    def _described(self, entity: str, rest: list[str]) -> tuple[str | None, FieldType | None]:
        if not rest or rest[0] not in ("record", "keys", "contributions"):
            return "after the name of a record comes `record`, `keys` or `contributions`", None
        if rest[0] == "record":
            return self._field(entity, ".".join(rest[1:]))
        if len(rest) < 2 or rest[1] not in self._systems:
            return _no("there is no system", rest[1] if len(rest) > 1 else "", self._systems), None
        if rest[0] == "keys":
            return (None, _TEXT) if len(rest) == 2 else ("a key has no fields", None)
        return self._field(entity, ".".join(rest[2:]))

    def _field(self, entity: str, name: str) -> tuple[str | None, FieldType | None]:
        fields = ENTITIES[entity].fields
        first, _, rest = name.partition(".")
        if name == "id" or name in _COMPUTED.get(entity, ()):
            return None, _TEXT
        if first in fields and fields[first].kind == "map" and rest:
            return None, _TEXT
        if name in fields:
            return None, fields[name]
        return _no(f"{entity} has no field", name, [*fields, *_COMPUTED.get(entity, ())]), None

    # -- how

    def _sql(self, action: SqlAction) -> Iterator[tuple[str, str]]:
        rule = self._rule
        params = {*rule.params, "key"}
        if action.lock is not None and action.lock not in params:
            yield "sql.lock", _no("there is no parameter", action.lock, params)
        for name, statement in (("now", action.now), ("look_up", action.look_up)):
            yield from _named(f"sql.{name}", statement, params)
        done: list[str] = []
        for step in action.steps:
            where = f"sql.steps.{step.name}"
            yield from _named(f"{where}.find", step.find, params, done)
            yield from _named(f"{where}.sql", step.sql, params | set(rule.lines or {}) if step.each else params, done)
            if step.each and rule.lines is None:
                yield where, "`each: lines` needs `lines`"
            if not step.each:
                done.append(step.name)
        if action.read_back is not None:
            yield from _named("sql.read_back.sql", action.read_back.sql, params, done)
            for name in action.read_back.compare:
                if name not in params:
                    yield "sql.read_back.compare", _no("there is no parameter", name, params)
                elif not re.search(rf"\*|\b{re.escape(name)}\b", _PARAMETER.sub("", action.read_back.sql)):
                    yield "sql.read_back.compare", f"sql.read_back.sql returns no column {name!r}"

    def _http(self, action: HttpAction) -> Iterator[tuple[str, str]]:
        rule = self._rule
        params = {*rule.params, *rule.values, "key", "subject"}
        calls: dict[str, Call | None] = {
            "now": action.now, "look_up": action.look_up, "read": action.read, "send": action.send, "read_back": action.read_back,
        }  # fmt: skip
        for name, call in calls.items():
            if call is not None:
                there = params | set(action.result) if name == "read_back" else params
                template = [call.path, call.query, call.headers, call.json_body]
                for told in _templates(template, there, set(rule.lines or {})):
                    yield f"http.{name}", told
        if action.look_up is not None and action.look_up.result:
            for name in set(action.result) - set(action.look_up.result):
                yield "http.look_up.result", f"says nothing of {name!r}, which http.result has"
        for name in action.compare.values():
            if name not in params:
                yield "http.compare", _no("there is no parameter", name, params)
        if bool(action.compare) != bool(action.read or action.read_back):
            yield "http.compare", "goes with `read` or `read_back`, and they with it"
        missing = set(rule.values) - set(action.compare.values())
        if action.read is not None and (missing or not rule.values):
            names = ", ".join(sorted(missing)) or "nothing, since the rule has no `values`"
            yield "http.read", f"is compared with what the rule saw: `compare` says no path for {names}"


def _named(
    where: str, statement: str | None, params: Collection[str], steps: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Parameters of a statement: those of the rule, and `step.column` of the steps before."""
    if statement is None:
        return
    for name in dict.fromkeys(_PARAMETER.findall(statement)):
        step, dot, _ = name.rpartition(".")
        if name not in params and not (dot and step in steps):
            yield where, _no("there is no parameter", name, [*params, *(f"{one}.id" for one in steps)])
    if "%" in _PARAMETER.sub("", statement).replace("%%", ""):
        yield where, "a percent sign is written %%, a parameter %(name)s"


def _templates(template: Any, params: Collection[str], lines: Collection[str]) -> Iterator[str]:
    if isinstance(template, dict):
        if template.get("each") == "lines" and "do" in template:
            if not lines:
                yield "`each: lines` needs `lines`"
            yield from _templates(template["do"], {*params, *lines}, ())
            return
        for value in template.values():
            yield from _templates(value, params, lines)
    elif isinstance(template, list):
        for value in template:
            yield from _templates(value, params, lines)
    elif isinstance(template, str):
        for _, name in NAME.findall(template):
            if name not in params:
                yield _no("there is no parameter", name, params)


def _meant(where: str, kind: FieldType, value: Any) -> Iterator[tuple[str, str]]:
    for one in value if isinstance(value, list) else [value]:
        if one is not None and kind.values and one not in kind.values:
            yield where, _no("it is never", str(one), kind.values)


def _form(where: str, spec: Value, kind: FieldType) -> Iterator[tuple[str, str]]:
    wanted, scale = _FORMS[spec.form]
    if kind.kind != wanted or (scale is not None and kind.scale != scale):
        fits = [form for form, of in _FORMS.items() if of in ((kind.kind, kind.scale), (kind.kind, None))]
        yield (
            where,
            f"{spec.path} is {_called(kind)}, not `as: {spec.form}`; {'one of ' + ', '.join(fits) if fits else 'leave `as` out'}",
        )


def _called(kind: FieldType) -> str:
    return f"a decimal of {kind.scale} digits" if kind.kind == "decimal" else f"a {kind.kind}"
