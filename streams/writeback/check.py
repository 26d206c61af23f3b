"""Check that everything exists that the rules name: paths, fields, parameters, entities, values, forms. Pure.

In: the write-back of all systems. Out: for each system all its errors, each with the place in its file, and with what
would be right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from streams.model.entities import ENTITIES, FieldType
from streams.model.names import HUB
from streams.writeback.check_http import check_http
from streams.writeback.http_rules import HttpTarget
from streams.writeback.rule_book import rules_of
from streams.writeback.rules import SqlAction, WritebackConfig, WritebackRule
from streams.writeback.values import ValueSpec

_PARAMETER = re.compile(r"%\(([^)]*)\)[sbt]")
_COMPUTED_FIELDS = {"order_flow": ("shipment_status", "payment_status")}
"""Fields that the join computes and that are not in the schema of the entity."""
_FORMS: dict[str, tuple[str, int | None]] = {
    "money": ("decimal", 4),
    "cents": ("decimal", 4),
    "rate": ("decimal", 4),
    "qty": ("decimal", 6),
    "float": ("decimal", 6),
    "date": ("date", None),
    "yyyymmdd": ("date", None),
    "timestamp": ("timestamp", None),
    "local_time": ("timestamp", None),
}
"""Form (`as`) → the kind and scale of the fields that it fits; scale None: any."""
_TEXT = FieldType("text")

Errors = Iterator[tuple[str, str]]
"""(field of the rule, what is wrong and what would be right)."""


class RuleError(NamedTuple):
    """What is wrong with one rule. `field`: dotted, within the rule."""

    rule: str
    field: str
    what: str


def find_errors(writebacks: Mapping[str, WritebackConfig], systems: Collection[str]) -> dict[str, list[RuleError]]:
    """system → the errors of its writeback.yaml, for the systems that have some. `systems`: all systems that exist."""
    every = rules_of(writebacks)
    rules = {named.name: named.rule for named in every}
    errors: dict[str, list[RuleError]] = {}
    for name, system, rule in every:
        target = writebacks[system].target
        secrets = target.secrets if isinstance(target, HttpTarget) else ()
        for field, wrong in _RuleCheck(rule, rules, {*systems, HUB}, secrets).errors():
            errors.setdefault(system, []).append(RuleError(name.partition("/")[2], field, wrong))
    return errors


def unknown(what: str, name: str, choices: Iterable[str]) -> str:
    known = sorted(choices)
    near = get_close_matches(name, known, 1)
    right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}" if known else "there is none"
    return f"{what} {name!r}; {right}"


class _RuleCheck:
    """The checks of one rule. `rules`: all rules by `<system>/<rule>`."""

    def __init__(
        self,
        rule: WritebackRule,
        rules: Mapping[str, WritebackRule],
        systems: Collection[str],
        secrets: Iterable[str] = (),
    ) -> None:
        self._rule = rule
        self._rules = rules
        self._systems = systems
        self._secrets = {f"secret.{name}" for name in secrets}

    def errors(self) -> Errors:
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
                yield "skip_when", unknown("`values` has no", field, rule.values)
        if rule.sql is not None:
            yield from self._sql(rule.sql)
        if rule.http is not None:
            params = {*rule.params, *rule.values, "key", "subject"} | self._secrets
            yield from check_http(rule, rule.http, params, unknown)

    # -- when

    def _conditions(self) -> Errors:
        rule = self._rule
        entity = ENTITIES[rule.entity]
        for field, value in rule.becomes.items():
            yield from _check_values(f"becomes.{field}", entity.fields[field], value)
        members = {name for name, kind in ENTITIES.items() if kind.aggregate == entity.aggregate}
        for name in rule.unless:
            if name not in members:
                yield "unless", unknown(f"aggregate {entity.aggregate} has no entity", name, members)
        if rule.subject is not None and entity.fields[rule.subject].ref is None:
            refs = [name for name, kind in entity.fields.items() if kind.ref]
            yield "subject", unknown(f"{rule.entity} refers to nothing by", rule.subject, refs)
        if rule.after is not None:
            if rule.after not in self._rules:
                yield "after", unknown("there is no rule", rule.after, self._rules)
            elif self._rules[rule.after].entity != rule.entity:
                yield "entity", f"must be that of the rule it follows, {self._rules[rule.after].entity}"
            if rule.subject not in (None, "customer_id"):
                yield "subject", "must be left out, or customer_id, in a rule that follows another"
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
                    yield from _check_values(f"approval.{number}.when", kind, value)

    def _amount(self, where: str, entity: str, field: str) -> Errors:
        fields = ENTITIES[entity].fields if entity else {}
        decimals = [name for name, kind in fields.items() if kind.kind == "decimal"]
        if entity and field not in decimals:
            yield where, unknown(f"{entity} has no amount", field, decimals)

    # -- paths

    def _value(self, where: str, spec: ValueSpec, entity: str, lines: str | None = None) -> Errors:
        """One value that goes to the target in the form of `as`."""
        if spec.path is None:
            return
        wrong, kind = self._path(spec.path, entity, lines)
        if wrong is not None:
            yield where, f"{spec.path}: {wrong}"
        elif kind is not None:
            if spec.form in _FORMS:
                yield from _check_form(where, spec, kind)
            elif kind.kind in ("decimal", "date", "timestamp") and spec.form in ("as it is", "text", "int"):
                forms = [
                    form for form, fitting in _FORMS.items() if fitting in ((kind.kind, kind.scale), (kind.kind, None))
                ]
                yield (
                    where,
                    f"{spec.path} is a {kind.kind}, kept as a whole number: add `as`, one of {', '.join(forms)}",
                )

    def _canonical(self, where: str, entity: str, field: str, spec: ValueSpec) -> Errors:
        """One value that stays in the form of canonical records."""
        wrong, target = self._field(entity, field)
        if wrong is not None:
            yield where, wrong
            return
        if spec.path is None:
            if target is not None:
                yield from _check_values(f"{where}.{field}", target, spec.value)
            return
        wrong, kind = self._path(spec.path, self._rule.entity)
        if wrong is not None:
            yield f"{where}.{field}", f"{spec.path}: {wrong}"
        elif spec.form in _FORMS and spec.form != "cents":
            yield (
                f"{where}.{field}",
                f"must stay in canonical form: leave out `as: {spec.form}`, or write `as: cents` for money",
            )
        elif kind is not None and spec.form == "cents":
            yield from _check_form(f"{where}.{field}", spec, kind)
        elif kind is not None and target is not None and spec.form == "as it is" and spec.values is None:
            if (kind.kind, kind.scale) != (target.kind, target.scale) and {kind.kind, target.kind} - {"text", "ref"}:
                yield f"{where}.{field}", f"{spec.path} is {_kind_name(kind)}, {entity}.{field} is {_kind_name(target)}"

    def _path(self, path: str, entity: str, lines: str | None = None) -> tuple[str | None, FieldType | None]:
        """(what is wrong, the type that the path leads to, where that is known)."""
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
            return (None if rule.after is not None else "only a rule with `after` has `given`"), None
        if root == "target":
            return (None if rule.reads_target else "the rule has no `now`, which reads the target"), None
        referred = {
            name.removesuffix("_id"): kind.ref
            for referring in (entity, own)
            for name, kind in ENTITIES[referring].fields.items()
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
        return unknown("no path begins with", root, roots), None

    def _described(self, entity: str, rest: list[str]) -> tuple[str | None, FieldType | None]:
        if not rest or rest[0] not in ("record", "keys", "contributions"):
            return "after the name of a record comes `record`, `keys` or `contributions`", None
        if rest[0] == "record":
            return self._field(entity, ".".join(rest[1:]))
        if len(rest) < 2 or rest[1] not in self._systems:
            return unknown("there is no system", rest[1] if len(rest) > 1 else "", self._systems), None
        if rest[0] == "keys":
            return (None, _TEXT) if len(rest) == 2 else ("a key has no fields", None)
        return self._field(entity, ".".join(rest[2:]))

    def _field(self, entity: str, name: str) -> tuple[str | None, FieldType | None]:
        fields = ENTITIES[entity].fields
        first, _, rest = name.partition(".")
        if name == "id" or name in _COMPUTED_FIELDS.get(entity, ()):
            return None, _TEXT
        if first in fields and fields[first].kind == "map" and rest:
            return None, _TEXT
        if name in fields:
            return None, fields[name]
        return unknown(f"{entity} has no field", name, [*fields, *_COMPUTED_FIELDS.get(entity, ())]), None

    # -- how

    def _sql(self, action: SqlAction) -> Errors:
        rule = self._rule
        params = {*rule.params, "key"}
        if action.steps and action.look_up is None and not action.repeatable:
            yield (
                "sql",
                "a step that ran may run again after a crash: add `look_up`, which finds what was done for %(key)s, "
                "or `repeatable: true` where running the steps twice does no harm",
            )
        if action.lock is not None and action.lock not in params:
            yield "sql.lock", unknown("there is no parameter", action.lock, params)
        for name, statement in (("now", action.now), ("look_up", action.look_up)):
            yield from _check_parameters(f"sql.{name}", statement, params)
        earlier: list[str] = []
        for step in action.steps:
            where = f"sql.steps.{step.name}"
            yield from _check_parameters(f"{where}.find", step.find, params, earlier)
            yield from _check_parameters(
                f"{where}.sql", step.sql, params | set(rule.lines or {}) if step.each else params, earlier
            )
            if step.each and rule.lines is None:
                yield where, "`each: lines` needs `lines`"
            if not step.each:
                earlier.append(step.name)
        if action.read_back is not None:
            yield from _check_parameters("sql.read_back.sql", action.read_back.sql, params, earlier)
            for name in action.read_back.compare:
                if name not in params:
                    yield "sql.read_back.compare", unknown("there is no parameter", name, params)
                elif not re.search(rf"\*|\b{re.escape(name)}\b", _PARAMETER.sub("", action.read_back.sql)):
                    yield "sql.read_back.compare", f"sql.read_back.sql returns no column {name!r}"


def _check_parameters(
    where: str, statement: str | None, params: Collection[str], steps: Collection[str] = ()
) -> Errors:
    """A statement may name parameters of the rule, and `step.column` of the steps before."""
    if statement is None:
        return
    for name in dict.fromkeys(_PARAMETER.findall(statement)):
        step, dot, _ = name.rpartition(".")
        if name not in params and not (dot and step in steps):
            yield where, unknown("there is no parameter", name, [*params, *(f"{earlier}.id" for earlier in steps)])
    if "%" in _PARAMETER.sub("", statement).replace("%%", ""):
        yield where, "a percent sign is written %%, a parameter %(name)s"


def _check_values(where: str, kind: FieldType, value: object) -> Errors:
    """A condition on a value that the field never has would never hold."""
    for wanted in value if isinstance(value, list) else [value]:
        if wanted is not None and kind.values and wanted not in kind.values:
            yield where, unknown("it is never", str(wanted), kind.values)


def _check_form(where: str, spec: ValueSpec, kind: FieldType) -> Errors:
    wanted, scale = _FORMS[spec.form]
    if kind.kind != wanted or (scale is not None and kind.scale != scale):
        fits = [form for form, fitting in _FORMS.items() if fitting in ((kind.kind, kind.scale), (kind.kind, None))]
        yield (
            where,
            f"{spec.path} is {_kind_name(kind)}, not `as: {spec.form}`; "
            + (f"one of {', '.join(fits)}" if fits else "leave `as` out"),
        )


def _kind_name(kind: FieldType) -> str:
    return f"a decimal of {kind.scale} digits" if kind.kind == "decimal" else f"a {kind.kind}"
