"""How a verb runs an operation of the console: the same function, with the rights of the person at the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from streams.cli.context import who
from streams.console.operation import Context, run
from streams.console.people import Grant, Person
from streams.console.place import Place
from streams.settings import Settings

Wanted = TypeVar("Wanted", bound=msgspec.Struct)
Result = TypeVar("Result")


@contextmanager
def keyboard(settings: Settings) -> Iterator[Context]:
    """The context of whoever runs a command here: who has the hub's address may do everything; the audit says so."""
    place = Place(settings)
    place.open()
    try:
        yield Context(place, Person(who(), (Grant("admin"),), is_local=True), "command")
    finally:
        place.close()


def run_here(settings: Settings, function: Callable[[Context, Wanted], Result], wanted: Wanted) -> Result:
    """Run one operation, and write it to the audit as a command. Raises what the operation raises."""
    with keyboard(settings) as context:
        return run(context, function, wanted)
