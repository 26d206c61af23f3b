"""The command's frame: verbs are loaded when they are called, errors become messages and exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from streams.cli import dispatch
from streams.cli.verbs import GROUPS, VERBS, Verb
from streams.errors import ConfigError, EnvironmentFault, OpshubError


def fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(dispatch, "VERBS", [Verb("fail", "", "", "Fails.")])
    monkeypatch.setattr(dispatch, "_load", lambda verb: fail)
    return dispatch.run(["fail"])


@pytest.mark.parametrize(("error", "code"), [(OpshubError("x"), 1), (ConfigError("x"), 2), (EnvironmentFault("x"), 3)])
def test_an_error_gives_its_exit_code(error: OpshubError, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fails_with(error, monkeypatch) == code


def test_an_error_is_shown_with_its_remedy_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigError("dictionary.yaml, line 3: [bold] is no column", remedy="use one of [a, b]")
    assert fails_with(error, monkeypatch) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: dictionary.yaml, line 3: [bold] is no column" in shown.err
    assert "remedy: use one of [a, b]" in shown.err


def test_an_interrupt_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fails_with(KeyboardInterrupt(), monkeypatch) == 130


def test_an_unknown_verb_or_option_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.run(["upp"]) == 2
    assert dispatch.run(["up", "--nonsense"]) == 2
    assert "--nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words)
def test_every_verb_can_be_loaded(verb: Verb) -> None:
    assert callable(getattr(import_module(verb.module), verb.function))
    group = verb.words.split()[:-1]
    assert not group or group[0] in GROUPS


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words)
def test_help_of_every_verb_has_an_example(verb: Verb) -> None:
    assert f"opshub {verb.words}" in (getattr(import_module(verb.module), verb.function).__doc__ or "")


def test_help_of_a_called_verb_is_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.run(["down", "--help"]) == 0
    assert "Example: opshub down" in capsys.readouterr().out


def test_help_loads_no_heavy_module() -> None:
    heavy = ["confluent_kafka", "faust", "psycopg", "httpx", "pydantic", "streams.stack", "jgo"]
    code = "import sys; from streams.cli.dispatch import run; run(['--help'])\n"
    code += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert " up " in done.stdout


def test_group_that_is_a_verb_shows_its_options_and_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.run(["demo", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--rate" in shown and "systems" in shown and "opshub demo --seconds" in shown


def test_verb_of_a_group_that_is_a_verb_has_options_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.run(["demo", "systems", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--no-history" in shown and "--warm-up" not in shown
