"""Every verb of the command either changes nothing, or leaves an entry in the audit."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from streams.cli.deeds import DEEDS, with_audit
from streams.cli.verbs import VERBS, Verb

CHANGE_NOTHING = {
    "status", "figures", "console", "plan", "consume", "verify", "connector new", "map check", "map explain", "map try", "map draft",
    "conflicts list", "conflicts show", "identity show", "identity proposals", "quality", "approvals list",
    "approvals show", "writeback status", "writeback shadow", "writeback try", "systems list", "systems snapshots", "systems check",
    "health", "supply list", "supply product", "service list", "service show", "flow check", "flow list", "flow show", "dlq list", "dlq show", "jobs list", "jobs show", "people list",
    "people tokens", "audit list", "audit export", "doctor", "training list", "training check", "bench compare",
}  # fmt: skip

OF_THE_INSTALLATION = {
    "demo",
    "demo systems",
    "demo traffic",
    "up",
    "down",
    "run",
    "apply",
    "training start",
    "bench run",
    "bench capacity",
}
"""Start and stop servers, or lay the hub out: the audit may not exist yet. The timeline shows what came of them."""


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words)
def test_every_verb_that_changes_something_leaves_an_audit_entry(verb: Verb) -> None:
    source = inspect.getsource(getattr(import_module(verb.module), verb.function))
    by_operation = "run_here(" in source
    ways = [verb.words in DEEDS, by_operation, verb.words in OF_THE_INSTALLATION, verb.words in CHANGE_NOTHING]
    assert any(ways), (
        f"`opshub {verb.words}`: say in streams/cli/deeds.py how it is audited, or here that it changes nothing"
    )
    assert not (verb.words in DEEDS and by_operation), "it would leave two entries"


@pytest.mark.parametrize("words", DEEDS)
def test_a_deed_names_arguments_that_its_verb_has(words: str) -> None:
    verb = next(verb for verb in VERBS if verb.words == words)
    deed = DEEDS[words]
    function = getattr(import_module(verb.module), verb.function)
    parameters = inspect.signature(with_audit(deed, function)).parameters
    assert parameters == inspect.signature(function).parameters
    assert {*deed.about, *([deed.only_with] if deed.only_with else [])} <= parameters.keys()
