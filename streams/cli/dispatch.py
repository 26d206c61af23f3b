"""From command-line arguments to a verb, and from an error to a message and an exit code.

Only the module of the verb that was asked for is imported; the help of the others comes from the registry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer

from streams.cli.verbs import GROUPS, VERBS, Verb
from streams.errors import OpshubError

INTERRUPTED = 130


def build(arguments: list[str]) -> typer.Typer:
    """The command tree, with real options for the verb that `arguments` name and a line of help for all others."""
    app = typer.Typer(
        name="opshub", help=_ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    asked = [word for word in arguments if not word.startswith("-")][:2]
    for verb in VERBS:
        *group, name = verb.words.split()
        parent = app
        if group:
            if group[0] not in groups:
                groups[group[0]] = typer.Typer(help=GROUPS[group[0]], no_args_is_help=True)
                app.add_typer(groups[group[0]], name=group[0])
            parent = groups[group[0]]
        # A group's own help lists its verbs only, so that they are imported one at a time too.
        function = _load(verb) if asked[: len(group) + 1] == [*group, name] else _unloaded
        parent.command(name, help=verb.help)(function)
    return app


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; an OpshubError is printed with its remedy."""
    try:
        build(arguments)(args=arguments, prog_name="opshub")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except OpshubError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def report(error: OpshubError) -> None:
    """Print what is wrong, and what would mend it, to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)))
    if error.remedy:
        console.print(Text.assemble(("remedy: ", "bold green"), error.remedy))


def _load(verb: Verb) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(verb.module), verb.function)
    return function


def _unloaded() -> None:
    raise AssertionError("a verb that was not asked for is never run")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"opshub {version('opshub')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True, callback=_version),
) -> None:
    return


_ABOUT = "One true flow of business facts between a company's CRM and its ERP: captured, joined, written back."
