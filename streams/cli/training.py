"""`opshub training`: the exercises on the demo, and the check of their results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.training.exercises import Exercise

Name = Annotated[str, typer.Argument(metavar="EXERCISE", help="Its name; `opshub training list` shows all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DAY_S = 86_400


def list_exercises(as_json: AsJson = False) -> None:
    """List the exercises with the role that each is for.

    Example: opshub training list
    """
    from streams.training.exercises import EXERCISES

    if as_json:
        exercises = [
            {"name": exercise.name, "role": exercise.role, "task": exercise.task} for exercise in EXERCISES.values()
        ]
        typer.echo(json.dumps({"exercises": exercises}))
        return
    for exercise in EXERCISES.values():
        typer.echo(f"{exercise.name:18} {exercise.role:10} {exercise.task}")


def start(name: Name) -> None:
    """Make the situation of an exercise in the demo's systems.

    Example: opshub training start retry-dead-letter
    """
    import psycopg

    from streams.errors import EnvironmentFault
    from streams.simulator.setup import dsn_of
    from streams.stack.environment import load_env
    from streams.training.exercises import SQL

    exercise = _exercise(name)
    try:
        variables = exercise.system.replace("-", "_").upper()
        with psycopg.connect(dsn_of(load_env(load_settings()), variables, "APP")) as database:
            database.execute(SQL[exercise.plant])
    except psycopg.OperationalError as error:
        raise EnvironmentFault(
            f"{exercise.system} does not answer: {str(error).strip()}", remedy="`opshub demo --keep` starts the demo"
        ) from error
    typer.echo(f"{exercise.task}\nIts situation is made; the workers bring it into the hub within seconds.")
    typer.echo(f"`opshub training check {exercise.name}` says what is missing.")


def check(
    name: Name,
    order: Annotated[str, typer.Option(help="late-order: the order's number.")] = "",
    waits_for: Annotated[str, typer.Option(help="late-order: order, shipment, invoice, payment or refund.")] = "",
    as_json: AsJson = False,
) -> None:
    """Look in the hub whether an exercise is done. Exit code 0: it is; 1: something is missing.

    Example: opshub training check resolve-conflict

    Example: opshub training check late-order --order SO-1042 --waits-for shipment
    """
    from streams.training.exercises import Answer
    from streams.writeback.commands import connect_hub

    exercise = _exercise(name)
    settings = load_settings()
    days = settings.stuck_after_days.model_dump()
    limits = {stage: limit * DAY_S for stage, limit in days.items() if limit is not None}
    with connect_hub(settings.hub) as hub:
        missing = exercise.check(hub, limits, Answer(order, waits_for))
    if as_json:
        typer.echo(json.dumps({"exercise": name, "done": not missing, "missing": missing}))
    else:
        typer.echo(f"not yet: {missing}" if missing else f"done: {exercise.task}")
    raise typer.Exit(1 if missing else 0)


def _exercise(name: str) -> Exercise:
    from streams.errors import ConfigError
    from streams.training.exercises import EXERCISES

    if name not in EXERCISES:
        raise ConfigError(f"there is no exercise {name}", remedy=f"one of {', '.join(EXERCISES)}")
    return EXERCISES[name]
