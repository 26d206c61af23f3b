"""From one table of a dictionary to Python source: a function that maps a row without asking the dictionary anything
again.

In goes a checked `Table` as a `TablePlan` (what `streams.dictionary.table_plan` made of it); out comes source with the name of
the field that each line belongs to. Two layouts of the same expressions are written: `map` for rows with every column
(one dict display, nothing else), and `partial` for rows of which the source left a column out (an unchanged TOAST
value): there each field is guarded, and left out of `fields` when its column is.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

FieldMade = tuple[str, list[str], str, tuple[str, ...]]
"""A canonical field: name, statements that go before, the expression, and the columns that it needs."""


@dataclass(slots=True)
class KeyPlan:
    """How the text of a key is made."""

    columns: tuple[str, ...]
    python: str
    from_key: bool
    """True if the columns are all in the message's key, so that a delete knows them."""


@dataclass(slots=True)
class TargetPlan:
    """One record that each row makes, in Python expressions over column names."""

    entity: str
    ids: str
    """The constant that gives the id of a key."""
    key: KeyPlan
    when: str | None
    deleted: str
    parent: str
    parent_from_key: bool
    same_as: str
    fields: list[FieldMade]
    attributes: list[FieldMade]
    part_of: bool


@dataclass(slots=True)
class TablePlan:
    """One table, ready to be written as code."""

    system: str
    name: str
    columns: list[str]
    key_columns: tuple[str, ...]
    structural: tuple[str, ...]
    """Columns without which a row cannot be placed: keys, conditions, parents."""
    required: tuple[str, ...]
    """Columns whose absence from the source stops the table."""
    before_full: bool
    looks: bool
    """Whether its rows look into other tables."""
    targets: list[TargetPlan]
    constants: dict[str, Any] = field(default_factory=dict)
    """What the expressions call, by the name that they use."""


def unreadable(column: str) -> bool:
    """Whether no struct of msgspec can have a field of that name."""
    return any(c in '"\\' or c < " " for c in column)


class Names:
    """A Python name for each column: its own if Python can spell it, else col_<n>."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def attribute(self, column: str) -> str:
        """The attribute of the row struct."""
        name = self._names.get(column)
        if name is None:
            plain = (
                column.isidentifier()
                and column.isascii()
                and not keyword.iskeyword(column)
                and not column.startswith("_")
            )
            name = column if plain and column not in self._names.values() else f"col_{len(self._names)}_"
            self._names[column] = name
        return name

    def local(self, column: str) -> str:
        """The local variable that holds it in generated code."""
        return f"c_{self.attribute(column)}"


class Source:
    """Lines of Python, each with the field that it makes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fields: list[str] = []

    def add(self, indent: int, text: str, of: str = "") -> None:
        self.lines.append("    " * indent + text)
        self.fields.append(of)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def write(plan: TablePlan, names: Names) -> Source:
    """The module of one table: functions `map_row`, `sent` and their helpers."""
    out = Source()
    _write_map(out, plan, names)
    _write_partial(out, plan, names)
    _write_delete(out, plan, names)
    if plan.before_full:
        _write_before(out, plan, names)
    return out


def _load(out: Source, indent: int, columns: Iterable[str], names: Names, source: str = "row") -> None:
    for column in columns:
        out.add(indent, f"{names.local(column)} = {source}.{names.attribute(column)}")


def _guard(out: Source, body: Callable[[int], None], plan: TablePlan) -> None:
    """`try: body`, with every fault of a value said as one of its field."""
    out.add(1, "try:")
    body(2)
    out.add(1, "except Exception as error:")
    out.add(2, "raise located(error, key, row) from None")


def _write_map(out: Source, plan: TablePlan, names: Names) -> None:
    out.add(0, "def map_row(row, op, key, before=None):")
    out.add(1, "if op == 'd':")
    out.add(2, "return map_delete(row if row is not None else before, key)")
    out.add(1, "if row is None:")
    out.add(2, "raise no_row(op)")

    def body(indent: int) -> None:
        _load(out, indent, plan.columns, names)
        if plan.columns:
            unset = " or ".join(f"{names.local(c)} is UNSET" for c in plan.columns)
            out.add(indent, f"if {unset}:")
            out.add(indent + 1, "return map_partial(row, op, key, before)")
        if len(plan.targets) == 1 and plan.targets[0].when is None and not plan.before_full:
            _write_target(out, indent, plan, plan.targets[0], "return [", "]")
            return
        out.add(indent, "out = []")
        _write_moved(out, indent, plan)
        for number, target in enumerate(plan.targets):
            _when(
                out,
                indent,
                plan,
                number,
                target,
                partial(_write_appended, out, plan, target),
            )
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_moved(out: Source, indent: int, plan: TablePlan) -> None:
    """A natural key that changed: the record under the old key is gone."""
    if plan.before_full and plan.targets:
        out.add(indent, "if before is not None and op == 'u':")
        out.add(indent + 1, "moved(before, row, key, out)", "key")


def _when(
    out: Source, indent: int, plan: TablePlan, number: int, target: TargetPlan, write: Callable[[int], None]
) -> None:
    if target.when is None:
        write(indent)
        return
    out.add(indent, f"if {target.when}:", f"{target.entity}.when")
    write(indent + 1)
    was = f" and was_{number}(before)" if plan.before_full else ""
    out.add(indent, f"elif op == 'u'{was}:", f"{target.entity}.when")
    out.add(indent + 1, f"k = {target.key.python}", f"{target.entity}.key")
    gone = _gone(target, "k", target.parent)
    out.add(indent + 1, f"out.append({gone})", f"{target.entity}.parent")


def _gone(target: TargetPlan, key: str, parent: str) -> str:
    """The source of a `Mapped` that says that a record is no longer there."""
    ident = f"{target.ids}[{key}]"
    if target.part_of:
        emptied = "{" + ", ".join(f"{name!r}: None" for name, *_ in target.fields) + "}"
        return f"Mapped({target.entity!r}, {key}, {ident}, {emptied}, False, {parent}, None, True)"
    return f"Mapped({target.entity!r}, {key}, {ident}, {{}}, True, {parent}, None)"


def _write_target(out: Source, indent: int, plan: TablePlan, target: TargetPlan, head: str, tail: str) -> None:
    of = target.entity
    out.add(indent, f"k = {target.key.python}", f"{of}.key")
    for name, statements, _, _ in (*target.fields, *target.attributes):
        for statement in statements:
            out.add(indent, statement, f"{of}.{name}")
    out.add(indent, f"{head}Mapped({of!r}, k, {target.ids}[k], {{", f"{of}.key")
    for name, _, python, _ in target.fields:
        out.add(indent + 1, f"{name!r}: {python},", f"{of}.{name}")
    if target.attributes:
        out.add(indent + 1, "'attributes': filled({")
        for name, _, python, _ in target.attributes:
            out.add(indent + 2, f"{name!r}: {python},", f"{of}.attributes.{name}")
        out.add(indent + 1, "}),", f"{of}.attributes")
    out.add(indent, f"}}, {target.deleted},", f"{of}.deleted")
    out.add(indent + 1, f"{target.parent},", f"{of}.parent")
    out.add(indent + 1, f"{target.same_as}{', True' if target.part_of else ''}){tail}", f"{of}.same_as")


def _write_appended(out: Source, plan: TablePlan, target: TargetPlan, indent: int) -> None:
    _write_target(out, indent, plan, target, "out.append(", ")")


def _write_partial(out: Source, plan: TablePlan, names: Names) -> None:
    out.add(0, "def map_partial(row, op, key, before=None):")

    def body(indent: int) -> None:
        _load(out, indent, plan.columns, names)
        missing = [f"({names.local(c)}, {c!r})" for c in plan.structural]
        out.add(indent, f"gone = tuple(n for v, n in ({', '.join(missing)}{',' if missing else ''}) if v is UNSET)")
        out.add(indent, "if gone:")
        out.add(indent + 1, f"raise ColumnMissing({plan.name!r}, gone)")
        out.add(indent, "out = []")
        _write_moved(out, indent, plan)
        for number, target in enumerate(plan.targets):
            _when(out, indent, plan, number, target, partial(_write_partial_target, out, plan, target, names))
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_partial_target(out: Source, plan: TablePlan, target: TargetPlan, names: Names, indent: int) -> None:
    of = target.entity
    out.add(indent, f"k = {target.key.python}", f"{of}.key")
    out.add(indent, "f = {}")

    def guarded(made: FieldMade, at: int, put: str, path: str) -> None:
        _, statements, python, columns = made
        if columns:
            out.add(at, "if " + " and ".join(f"{names.local(c)} is not UNSET" for c in columns) + ":")
            at += 1
        for statement in statements:
            out.add(at, statement, path)
        out.add(at, f"{put} = {python}", path)

    for made in target.fields:
        guarded(made, indent, f"f[{made[0]!r}]", f"{of}.{made[0]}")
    if target.attributes:
        needed = sorted({c for made in target.attributes for c in made[3]})
        guard = " and ".join(f"{names.local(c)} is not UNSET" for c in needed) or "True"
        out.add(indent, f"if {guard}:  # the map is one value: all of it or nothing")
        out.add(indent + 1, "a = {}")
        for made in target.attributes:
            guarded(made, indent + 1, f"a[{made[0]!r}]", f"{of}.attributes.{made[0]}")
        out.add(indent + 1, "f['attributes'] = filled(a)", f"{of}.attributes")
    ident = f"{target.ids}[k]"
    out.add(indent, f"out.append(Mapped({of!r}, k, {ident}, f, {target.deleted},", f"{of}.deleted")
    out.add(indent + 1, f"{target.parent},", f"{of}.parent")
    out.add(indent + 1, f"{target.same_as}{', True' if target.part_of else ''}))", f"{of}.same_as")


def _write_delete(out: Source, plan: TablePlan, names: Names) -> None:
    """What is left when a row goes: of its key always, of the rest only if the source sends whole rows."""
    out.add(0, "def map_delete(row, key):")

    def body(indent: int) -> None:
        from_row = dict.fromkeys(c for t in plan.targets if not t.key.from_key for c in t.key.columns)
        for column in plan.key_columns:
            local, attribute = names.local(column), names.attribute(column)
            out.add(indent, f"{local} = key.{attribute} if key is not None else UNSET")
            out.add(indent, f"if {local} is UNSET and row is not None:")
            out.add(indent + 1, f"{local} = row.{attribute}")
            out.add(indent, f"if {local} is UNSET:")
            out.add(indent + 1, f"raise ColumnMissing({plan.name!r}, ({column!r},))")
        if plan.before_full:
            others = [c for c in plan.structural if c not in plan.key_columns]
            out.add(indent, "if row is None:")
            out.add(indent + 1, f"raise no_before({plan.name!r})")
            _load(out, indent, others, names)
        elif from_row:
            out.add(indent, f"raise no_before({plan.name!r})")
            return
        out.add(indent, "out = []")
        for target in plan.targets:
            at = indent
            if target.when is not None and plan.before_full:
                out.add(at, f"if {target.when}:", f"{target.entity}.when")
                at += 1
            out.add(at, f"k = {target.key.python}", f"{target.entity}.key")
            parent = target.parent if plan.before_full or target.parent_from_key else "None"
            out.add(at, f"out.append({_gone(target, 'k', parent)})", f"{target.entity}.parent")
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_before(out: Source, plan: TablePlan, names: Names) -> None:
    """For tables whose old rows are known: what an update took away."""
    for number, target in enumerate(plan.targets):
        if target.when is not None:
            out.add(0, f"def was_{number}(row):")
            out.add(1, "if row is None:")
            out.add(2, "return True")
            _load(out, 1, plan.structural, names)
            out.add(1, f"return {target.when}", f"{target.entity}.when")
    keys = dict.fromkeys(c for t in plan.targets for c in t.key.columns)
    out.add(0, "def moved(row, now, key, out):")
    if not keys:
        out.add(1, "return")
        return
    same = " and ".join(f"row.{names.attribute(c)} == now.{names.attribute(c)}" for c in keys)
    unset = " or ".join(f"row.{names.attribute(c)} is UNSET" for c in keys)
    out.add(1, f"if {unset} or ({same}):")
    out.add(2, "return")
    _load(out, 1, plan.structural, names)
    for number, target in enumerate(plan.targets):
        same = " and ".join(f"row.{names.attribute(c)} == now.{names.attribute(c)}" for c in target.key.columns)
        condition = f"not ({same})" + (f" and was_{number}(row)" if target.when is not None else "")
        out.add(1, f"if {condition}:")
        out.add(2, f"k = {target.key.python}", f"{target.entity}.key")
        out.add(2, f"out.append({_gone(target, 'k', target.parent)})", f"{target.entity}.parent")
