"""From command-line arguments to a verb, and from an error to a message and an exit code.

Only the module of the verb that is called is imported; the help of the other verbs comes from verbs.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

import typer

from streams.cli.deeds import DEEDS, with_audit
from streams.cli.verbs import GROUPS, VERBS, Verb
from streams.errors import OpshubError, ServerAway

INTERRUPTED = 130


def build(arguments: list[str]) -> typer.Typer:
    """The command tree, with the options of the verb that `arguments` name and one line of help for all others."""
    app = typer.Typer(
        name="opshub", help=_ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    called = [word for word in arguments if not word.startswith("-")][:2]
    verbs_of_groups = {verb.words for verb in VERBS if " " in verb.words}
    for verb in VERBS:
        *group, name = verb.words.split()
        parent = app
        if group:
            if group[0] not in groups:
                groups[group[0]] = typer.Typer(help=GROUPS[group[0]], no_args_is_help=True)
                app.add_typer(groups[group[0]], name=group[0])
            parent = groups[group[0]]
        # The help of a group lists only its verbs, so their modules are not imported for it.
        is_called = called[: len(group) + 1] == [*group, name]
        if name in GROUPS and not group:
            groups[name] = _group_verb(verb, is_called and " ".join(called[:2]) not in verbs_of_groups)
            app.add_typer(groups[name], name=name)
            continue
        function = _load(verb) if is_called else _unloaded
        # The help of the called verb is its docstring, which has an example.
        parent.command(name, help=None if function.__doc__ else verb.help, short_help=verb.help)(function)
    return app


def _group_verb(verb: Verb, is_called: bool) -> typer.Typer:
    """A group that is a verb by itself: `opshub demo` runs it, `opshub demo systems` a verb of the group."""
    function = _load(verb) if is_called else _no_options
    group = typer.Typer(invoke_without_command=True, short_help=verb.help)
    group.callback(help=function.__doc__ if is_called else verb.help)(function)
    return group


def _no_options() -> None:
    """What runs before a verb of a group that is a verb, too."""


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
    """Print the error and its remedy to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)))
    if remedy := _remedy(error):
        console.print(Text.assemble(("remedy: ", "bold green"), remedy))


def _remedy(error: OpshubError) -> str:
    """The remedy where this command runs."""
    if not isinstance(error, ServerAway):
        return error.remedy
    from streams.cli.context import load_settings
    from streams.stack.environment import remedy_here

    try:
        return remedy_here(error, load_settings())
    except OpshubError:
        return error.remedy


def _load(verb: Verb) -> Callable[..., object]:
    function: Callable[..., object] = getattr(import_module(verb.module), verb.function)
    deed = DEEDS.get(verb.words)
    return function if deed is None else with_audit(deed, function)


def _unloaded() -> None:
    raise AssertionError("a verb that was not called never runs")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"opshub {version('opshub')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True, callback=_version),
) -> None:
    return


_ABOUT = "One consistent picture of a company's CRM and ERP: changes are captured, joined and written back."
