"""All conversions by name: the built-in ones, and those that other Python packages add as entry points in the group
`opshub.conversions`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from streams.mapping.conversions.builtin import BUILTIN
from streams.mapping.notes import AddNote
from streams.mapping.row_errors import BadValue

Convert = Callable[..., object]
GROUP = "opshub.conversions"
_FROM_DICTIONARY = {"note", "country", "timezone"}
"""Keywords of a factory that get the dictionary's values without being written in the step."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One named conversion: its factory, with the factory's documentation and options."""

    name: str
    factory: Callable[..., Convert]
    built_in: bool

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.factory) or ""

    @property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """The options that a step may give."""
        return {name: p for name, p in inspect.signature(self.factory).parameters.items() if name != "note"}


@dataclass(frozen=True, slots=True)
class ConversionStep:
    """A conversion with its options."""

    name: str
    convert: Convert
    columns: tuple[str, ...]
    """Columns whose values the function takes after the value itself."""
    pure: bool
    """Equal values give equal results and no mapping notes, so results may be cached."""


@cache
def conversions() -> dict[str, Conversion]:
    """Every conversion that this installation knows. A user's conversion may not take a built-in one's name."""
    known = {name: Conversion(name, factory, True) for name, factory in BUILTIN.items()}
    for entry in entry_points(group=GROUP):
        if entry.name in known:
            raise ValueError(
                f"entry point {entry.value} takes the name of the conversion {entry.name!r}; name it differently"
            )
        known[entry.name] = Conversion(entry.name, entry.load(), False)
    return known


def make_step(step: str | dict[str, object], *, country: str | None, timezone: str, note: AddNote) -> ConversionStep:
    """One step of a rule, as the dictionary writes it, ready to call.

    An option whose name ends in `_column` names a column of the row; its value is passed to the function after the
    value itself. Raises ValueError, which says what is wrong with the step and what would be right.
    """
    name, options = _name_and_options(step)
    conversion = conversions().get(name)
    if conversion is None:
        near = get_close_matches(name, conversions(), n=1)
        raise ValueError(
            f"there is no conversion `{name}`"
            + (f"; did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(conversions()))}")
        )
    known = conversion.options
    for option, value in options.items():
        if option not in known:
            takes = ", ".join(known) or "none"
            raise ValueError(f"`{name}` has no option `{option}`; it takes {takes}")
        _check_type(name, option, value, conversion)
    missing = [
        o
        for o, p in known.items()
        if p.default is p.empty and o not in options and not (o == "country" and country) and o != "timezone"
    ]
    if missing:
        raise ValueError(f"`{name}` needs {', '.join(missing)}: write {{{name}: {{{missing[0]}: …}}}}")
    defaults: dict[str, object] = {"country": country, "timezone": timezone, "note": note}
    takes_all = inspect.signature(conversion.factory).parameters
    arguments = {k: v for k, v in defaults.items() if k in takes_all and v is not None} | options
    columns = tuple(str(options[o]) for o in known if o.endswith("_column") and options.get(o) is not None)
    convert = conversion.factory(**arguments)
    # A conversion with a note must run for each value, or its notes would be counted too low. Nothing is known of a
    # user's function, so it is never cached.
    pure = conversion.built_in and "note" not in takes_all
    return ConversionStep(name, convert if conversion.built_in else _rejecting(convert), columns, pure)


def _rejecting(convert: Convert) -> Convert:
    """A user's function; a ValueError of it rejects the value."""

    def guarded(value: object, *more: object) -> object:
        try:
            return convert(value, *more)
        except BadValue:
            raise
        except ValueError as error:
            raise BadValue(str(error), value) from None

    return guarded


def _name_and_options(step: str | dict[str, object]) -> tuple[str, dict[str, object]]:
    """A step as (name, options): `{date: '%d.%m.%Y'}` gives the only option of `date`, or the only one
    without default.
    """
    if isinstance(step, str):
        return step, {}
    if len(step) != 1:
        raise ValueError("a step is a name, or one name with its options: {phone: {country: DE}}")
    name, options = next(iter(step.items()))
    if options is None:
        return name, {}
    if isinstance(options, dict):
        return name, options
    taken = inspect.signature(conversions()[name].factory).parameters if name in conversions() else {}
    own = [option for option in taken if option not in _FROM_DICTIONARY]
    only = own if len(own) == 1 else [option for option in own if taken[option].default is inspect.Parameter.empty]
    if len(only) != 1:
        raise ValueError(f"the options of `{name}` are a mapping: {{{name}: {{option: value}}}}")
    return name, {only[0]: options}


def _check_type(name: str, option: str, value: object, conversion: Conversion) -> None:
    """An option must have the type of the factory's annotation: bool, int, str, list, dict, Literal, or a union of
    them.
    """
    hint = typing.get_type_hints(conversion.factory).get(option, Any)
    if hint in (Any, object) or _fits(value, hint):
        return
    raise ValueError(f"option `{option}` of `{name}` is {value!r}; it takes {str(hint).replace('typing.', '')}")


def _fits(value: object, hint: object) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is typing.Union or origin is type(int | str):
        return any(_fits(value, arm) for arm in typing.get_args(hint))
    if hint is type(None):
        return value is None
    kind = origin or hint
    if not isinstance(kind, type):
        return True
    # In Python a boolean is an int; `{zero_pad: true}` is a mistake all the same.
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
