"""From the plan of one table to Python source: a function that maps a row and asks the dictionary nothing.

In goes a `TablePlan` that the table's planner made; out comes source, with the field that each line makes. Two layouts
of the same expressions are written. `map_row` is for rows with every column: one dict display, nothing else.
`map_partial` is for rows in which the source left a column out (an unchanged TOAST value): it guards each field, and
leaves the field out of `fields` when its column is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from streams.dictionary.compile.plans import Names, PlannedField, TablePlan, TargetPlan


class PythonSource:
    """Lines of Python, each with the field that it makes: an error in a line is reported as one of that field."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fields: list[str] = []

    def add(self, indent: int, text: str, of: str = "") -> None:
        self.lines.append("    " * indent + text)
        self.fields.append(of)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def write_table(plan: TablePlan, names: Names) -> PythonSource:
    """The module of one table: the functions `map_row` and `lacks_required`, and those that `map_row` calls."""
    out = PythonSource()
    _write_map(out, plan, names)
    _write_partial(out, plan, names)
    _write_delete(out, plan, names)
    if plan.before_full:
        _write_before(out, plan, names)
    unset = " or ".join(f"row.{names.attribute(c)} is UNSET" for c in plan.required) or "False"
    out.add(0, "def lacks_required(row):")
    out.add(1, f"return {unset}")
    return out


def _load(out: PythonSource, indent: int, columns: Iterable[str], names: Names, source: str = "row") -> None:
    for column in columns:
        out.add(indent, f"{names.local(column)} = {source}.{names.attribute(column)}")


def _guard(out: PythonSource, body: Callable[[int], None], plan: TablePlan) -> None:
    """`try: body`; an error of a value becomes one that names its field and row."""
    out.add(1, "try:")
    body(2)
    out.add(1, "except Exception as error:")
    out.add(2, "raise located(error, key, row) from None")


def _write_map(out: PythonSource, plan: TablePlan, names: Names) -> None:
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
        # Most tables make exactly one record: its list is written as one display, and nothing is appended.
        if len(plan.targets) == 1 and plan.targets[0].when is None and not plan.before_full:
            _write_target(out, indent, plan, plan.targets[0], "return [", "]")
            return
        out.add(indent, "out = []")
        _write_moved(out, indent, plan)
        for number, target in enumerate(plan.targets):
            _when(out, indent, plan, number, target, partial(_write_appended, out, plan, target))
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_moved(out: PythonSource, indent: int, plan: TablePlan) -> None:
    """A natural key that changed: the record under the old key is deleted."""
    if plan.before_full and plan.targets:
        out.add(indent, "if before is not None and op == 'u':")
        out.add(indent + 1, "moved(before, row, key, out)", "key")


def _when(
    out: PythonSource, indent: int, plan: TablePlan, number: int, target: TargetPlan, write: Callable[[int], None]
) -> None:
    if target.when is None:
        write(indent)
        return
    out.add(indent, f"if {target.when}:", f"{target.entity}.when")
    write(indent + 1)
    # An update of a row that does not meet the condition. The old row shows whether it did before. If the source does
    # not send old rows, the record is deleted in any case: it may exist. So it may when a re-snapshot reads the row.
    # Fields that an additional row gave stay then: another row may have given them since.
    was = f" and was_{number}(before)" if plan.before_full else ""
    or_again = "" if target.part_of else " or op == 'again'"
    left = f"op == 'u'{was}{or_again}"
    if target.key.may_be_null:  # then `moved` deletes the record under the old key
        left = f"({left}) and {target.key.python} is not None"
    out.add(indent, f"elif {left}:", f"{target.entity}.when")
    out.add(indent + 1, f"k = {target.key.python}", f"{target.entity}.key")
    gone = _gone(target, "k", target.parent)
    out.add(indent + 1, f"out.append({gone})", f"{target.entity}.parent")


def _gone(target: TargetPlan, key: str, parent: str) -> str:
    """The source of a `Mapped` that deletes a record; for a `part_of` record, one that empties its fields.

    A delete names a parent only where the key has it. Another row with another parent may have the key by now.
    """
    ident = f"{target.ids}[{key}]"
    if target.part_of:
        emptied = "{" + ", ".join(f"{name!r}: None" for name, *_ in target.fields)
        if target.attributes:
            entries = ", ".join(f"{name!r}: None" for name, *_ in target.attributes)
            emptied += (", " if target.fields else "") + f"'attributes': {{{entries}}}"
        emptied += "}"
        return f"Mapped({target.entity!r}, {key}, {ident}, {emptied}, False, {parent}, None, True)"
    return f"Mapped({target.entity!r}, {key}, {ident}, {{}}, True, {parent if target.parent_from_key else None}, None)"


def _write_target(out: PythonSource, indent: int, plan: TablePlan, target: TargetPlan, head: str, tail: str) -> None:
    of = target.entity
    out.add(indent, f"k = {target.key.python}", f"{of}.key")
    for name, statements, *_ in (*target.fields, *target.attributes):
        for statement in statements:
            out.add(indent, statement, f"{of}.{name}")
    out.add(indent, f"{head}Mapped({of!r}, k, {target.ids}[k], {{", f"{of}.key")
    for name, _, python, *_ in target.fields:
        out.add(indent + 1, f"{name!r}: {python},", f"{of}.{name}")
    if target.attributes:
        out.add(indent + 1, "'attributes': {")
        for name, _, python, *_ in target.attributes:
            out.add(indent + 2, f"{name!r}: {python},", f"{of}.attributes.{name}")
        out.add(indent + 1, "},", f"{of}.attributes")
    out.add(indent, f"}}, {target.deleted},", f"{of}.deleted")
    out.add(indent + 1, f"{target.parent},", f"{of}.parent")
    out.add(indent + 1, f"{target.same_as}{_last(target)}){tail}", f"{of}.same_as")


def _last(target: TargetPlan) -> str:
    """The arguments of a `Mapped` that most records leave out."""
    return ", True" if target.part_of else ", merges=True" if target.merges else ""


def _write_appended(out: PythonSource, plan: TablePlan, target: TargetPlan, indent: int) -> None:
    _write_target(out, indent, plan, target, "out.append(", ")")


def _write_partial(out: PythonSource, plan: TablePlan, names: Names) -> None:
    out.add(0, "def map_partial(row, op, key, before=None):")

    def body(indent: int) -> None:
        _load(out, indent, plan.columns, names)
        structural = [f"({names.local(c)}, {c!r})" for c in plan.structural]
        out.add(
            indent, f"gone = tuple(n for v, n in ({', '.join(structural)}{',' if structural else ''}) if v is UNSET)"
        )
        out.add(indent, "if gone:")
        out.add(indent + 1, f"raise ColumnMissing({plan.name!r}, gone)")
        out.add(indent, "out = []")
        _write_moved(out, indent, plan)
        for number, target in enumerate(plan.targets):
            _when(out, indent, plan, number, target, partial(_write_partial_target, out, plan, target, names))
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_partial_target(out: PythonSource, plan: TablePlan, target: TargetPlan, names: Names, indent: int) -> None:
    of = target.entity
    out.add(indent, f"k = {target.key.python}", f"{of}.key")
    out.add(indent, "f = {}")

    def guarded(planned: PlannedField, at: int, put: str, path: str) -> None:
        sent = [f"{names.local(c)} is not UNSET" for c in planned.columns]
        inner = at
        if sent:
            out.add(at, f"if {' and '.join(sent)}:")
            inner += 1
        for statement in planned.statements:
            out.add(inner, statement, path)
        out.add(inner, f"{put} = {planned.python}", path)
        if planned.note_unsent:
            out.add(at, f"elif {' or '.join(sent)}:")
            out.add(inner, f"{planned.note_unsent}()", path)

    for planned in target.fields:
        guarded(planned, indent, f"f[{planned.name!r}]", f"{of}.{planned.name}")
    if target.attributes:
        # Each entry stands for itself: one that is left out keeps its value.
        out.add(indent, "a = f['attributes'] = {}")
        for planned in target.attributes:
            guarded(planned, indent, f"a[{planned.name!r}]", f"{of}.attributes.{planned.name}")
    ident = f"{target.ids}[k]"
    out.add(indent, f"out.append(Mapped({of!r}, k, {ident}, f, {target.deleted},", f"{of}.deleted")
    out.add(indent + 1, f"{target.parent},", f"{of}.parent")
    out.add(indent + 1, f"{target.same_as}{_last(target)}))", f"{of}.same_as")


def _write_delete(out: PythonSource, plan: TablePlan, names: Names) -> None:
    """A deleted row: its key is always known, the rest only if the source sends whole old rows."""
    out.add(0, "def map_delete(row, key):")

    def body(indent: int) -> None:
        from_row = dict.fromkeys(c for t in plan.targets if not t.key.from_key for c in t.key.columns)
        # The message's key may lack a column of the dictionary's key (a unique key that Debezium does not know). Then
        # the old row has it.
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
            # Without the whole old row Debezium fills the other columns with defaults: a parent made from them is
            # wrong.
            parent = target.parent if plan.before_full or target.parent_from_key else "None"
            out.add(at, f"out.append({_gone(target, 'k', parent)})", f"{target.entity}.parent")
        out.add(indent, "return out")

    _guard(out, body, plan)


def _write_before(out: PythonSource, plan: TablePlan, names: Names) -> None:
    """For tables whose old rows are known: the records that an update takes away (`was_<n>`, `moved`)."""
    for number, target in enumerate(plan.targets):
        if target.when is not None:
            out.add(0, f"def was_{number}(row):")
            # An event without the old row: the record may have existed.
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
    # An old row without these columns (an unchanged wide text) cannot show that the key changed.
    out.add(1, f"if {unset} or ({same}):")
    out.add(2, "return")
    _load(out, 1, plan.structural, names)
    for number, target in enumerate(plan.targets):
        same = " and ".join(f"row.{names.attribute(c)} == now.{names.attribute(c)}" for c in target.key.columns)
        condition = f"not ({same})" + (f" and was_{number}(row)" if target.when is not None else "")
        out.add(1, f"if {condition}:")
        out.add(2, f"k = {target.key.python}", f"{target.entity}.key")
        at = 2
        if target.key.has_forms:  # AB-1 and ab-1 may be one key
            _load(out, 2, target.key.columns, names, source="now")
            out.add(2, f"changed = k != ({target.key.python})", f"{target.entity}.key")
            _load(out, 2, target.key.columns, names)
            out.add(2, "if changed:")
            at = 3
        out.add(at, f"out.append({_gone(target, 'k', target.parent)})", f"{target.entity}.parent")
