"""What verbs share: settings from flags, the person at the keyboard, progress, and SIGTERM as an interrupt."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from streams.errors import ConfigError
from streams.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from streams.stack.launch import Report


def load_settings(**flags: object) -> Settings:
    """Settings of this command: flags that were given (not None), then the environment, the files, the defaults.

    An address that is set nowhere is the native stack's, as `opshub up` wrote it into the state folder.
    Raises ConfigError that names each wrong setting, and each OPSHUB_… name that is no setting.
    """
    from pydantic import ValidationError

    from streams.paths import connectors_dir
    from streams.settings.variables import refuse_unknown_variables, secret_settings
    from streams.stack.environment import ADDRESSES, placeholder_names, read_environment

    given = secret_settings(os.environ) | {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [_wrong_setting(detail) for detail in error.errors()]
        raise ConfigError(
            "settings are wrong: " + "; ".join(lines),
            remedy="correct the flag, the OPSHUB_… variable or the line of opshub.env",
        ) from error
    _refuse_two_hub_passwords(settings)
    refuse_unknown_variables(os.environ, lambda: placeholder_names(connectors_dir(settings)))
    written_by_up = read_environment(settings)
    missing = {n: written_by_up.get(f"OPSHUB_{n.upper()}", "") for n in ADDRESSES if not getattr(settings, n)}
    return settings.model_copy(update=missing)


def _refuse_two_hub_passwords(settings: Settings) -> None:
    from streams.settings.dsn import password_of

    given, within = settings.hub_password.get_secret_value(), password_of(settings.hub_dsn)
    if given and within and given != within:
        raise ConfigError(
            "OPSHUB_HUB_DSN has a password, and OPSHUB_HUB_PASSWORD is another one",
            remedy="take it out of OPSHUB_HUB_DSN",
        )


def _wrong_setting(detail: ErrorDetails) -> str:
    from streams.dictionary.form_words import form_mistake

    what, right = form_mistake(detail)
    return f"{'.'.join(map(str, detail['loc']))} {what}" + (f" ({right})" if right else "")


def who() -> str:
    """The person at the keyboard, for the audit trail: the account, not a variable that anybody can set.

    In a container the account may have no name; then it is its number.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


@contextmanager
def progress(quiet: bool = False) -> Iterator[Report]:
    """A function that shows progress: live bars on a terminal, a line for each event elsewhere, nothing when quiet."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _silent if quiet else _lines()
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=24),
    )
    bars = Progress(*columns, TextColumn("{task.fields[text]}"), TimeElapsedColumn(), console=console)
    tasks: dict[str, TaskID] = {}
    lock = threading.Lock()

    def report(name: str, text: str, fraction: float | None) -> None:
        with lock:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None, text=text)
            total = None if fraction is None else 1.0
            bars.update(tasks[name], total=total, completed=fraction or 0.0, text=text)

    with bars:
        yield report


def _lines() -> Report:
    last: dict[str, str] = {}

    lock = threading.Lock()

    def report(name: str, text: str, fraction: float | None) -> None:
        with lock:
            if last.get(name) != text:
                last[name] = text
                print(f"{name}: {text}", file=sys.stderr, flush=True)

    return report


def _silent(name: str, text: str, fraction: float | None) -> None:
    return


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """While inside, SIGTERM raises KeyboardInterrupt as Ctrl-C does, so that what was started is stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
