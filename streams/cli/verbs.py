"""Every verb of `opshub`, in the order that the help shows.

A line is (words, module, function, help): `module` is imported when the verb is called and not before; `function` is
an ordinary typer function whose parameters are the verb's options. Two words make a group: `dlq list`.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    words: str
    module: str
    function: str
    help: str


GROUPS: dict[str, str] = {
    "map": "The dictionary: check it, show where a field comes from, run it on a row.",
    "dlq": "Records that could not be processed.",
    "conflicts": "Fields on which two systems disagree.",
    "identity": "Which records of two systems are one.",
    "approvals": "Changes that wait for a person's yes.",
    "writeback": "What systems are given: the rules, how they stand, pause and resume.",
    "flow": "The order-to-cash story of one deal.",
    "migrate": "Bring an old database over.",
    "bench": "Measure.",
}

VERBS: list[Verb] = [
    Verb("demo", "streams.cli.demo", "demo", "The main job, shown: everything up, two live databases, a verdict."),
    Verb("up", "streams.cli.up", "up", "Start the native servers (installs them on first use)."),
    Verb("down", "streams.cli.down", "down", "Stop the workers and the native servers; their data stays."),
    Verb("status", "streams.cli.status", "status", "Show servers and workers, and how each is doing."),
    Verb("run", "streams.cli.run", "run", "Run one worker in the foreground (what containers run)."),
    Verb("plan", "streams.cli.plan", "plan", "Say what `apply` would change in hub, topics, schemas and connectors."),
    Verb("apply", "streams.cli.plan", "apply", "Create what is missing, change what differs."),
    Verb("consume", "streams.cli.consume", "consume", "Show the records of a topic, decoded, as they come."),
    Verb("verify", "streams.cli.verify", "verify", "Compare source tables, hub and topics in both directions."),
    Verb(
        "map check", "streams.cli.map", "check", "Validate dictionaries: every fault with its line; run their examples."
    ),
    Verb("map explain", "streams.cli.map", "explain", "Show where a canonical field comes from."),
    Verb("map try", "streams.cli.map", "try_rows", "Run rows through the dictionary, before and after side by side."),
    Verb("map draft", "streams.cli.map", "draft", "Propose a dictionary for an unknown database."),
    Verb(
        "conflicts list",
        "streams.cli.conflicts",
        "list_conflicts",
        "List where systems disagree, and by which rule it was settled.",
    ),
    Verb("conflicts show", "streams.cli.conflicts", "show", "Show one whole."),
    Verb("conflicts resolve", "streams.cli.conflicts", "resolve", "Decide by hand."),
    Verb("identity show", "streams.cli.identity", "show", "Show what a record is made of."),
    Verb("identity merge", "streams.cli.identity", "merge", "Make two records one."),
    Verb("identity split", "streams.cli.identity", "split", "Undo a link or a merge."),
    Verb("identity proposals", "streams.cli.identity", "proposals", "Show customers that may be one."),
    Verb("identity decline", "streams.cli.identity", "decline", "Say that two records are two."),
    Verb("quality", "streams.cli.quality", "quality", "Measure how good the records are, field by field."),
    Verb("resolve", "streams.cli.quality", "resolve", "Apply today's ownership rules to what was said before."),
    Verb("approvals list", "streams.cli.approvals", "list_waiting", "Show what waits for a decision."),
    Verb(
        "approvals show", "streams.cli.approvals", "show", "Show one: what would be sent, who decided, what happened."
    ),
    Verb("approvals approve", "streams.cli.approvals", "approve", "Say yes."),
    Verb("approvals reject", "streams.cli.approvals", "reject", "Say no."),
    Verb("writeback status", "streams.cli.writeback", "status", "Show every rule with its intents by state."),
    Verb("writeback pause", "streams.cli.writeback", "pause", "Deliver nothing there for now; intents gather."),
    Verb("writeback resume", "streams.cli.writeback", "resume", "Deliver again, beginning with what gathered."),
    Verb("writeback shadow", "streams.cli.writeback", "shadow", "Compare shadow mode with what people did by hand."),
    Verb("flow check", "streams.cli.flow", "check", "List what can not be so, and flows that are stuck."),
    Verb("flow show", "streams.cli.flow", "show", "Print stage, amounts and timeline of an order flow."),
    Verb("dlq list", "streams.cli.dlq", "list_dead_letters", "List records that could not be processed."),
    Verb("dlq show", "streams.cli.dlq", "show", "Show one of them whole."),
    Verb("dlq edit", "streams.cli.dlq", "edit", "Change the value that a retry uses."),
    Verb("dlq retry", "streams.cli.dlq", "retry", "Retry them, each key in order."),
    Verb("dlq drop", "streams.cli.dlq", "drop", "Give them up; records parked behind them go on."),
    Verb(
        "doctor",
        "streams.cli.doctor",
        "doctor",
        "Check databases, Kafka, registry, Connect and rights; say what would mend them.",
    ),
    Verb("resync", "streams.cli.doctor", "resync", "Capture a system anew, after changes of it were lost."),
    Verb("bench run", "streams.cli.bench", "run", "Run a workload and write figures and a page with charts."),
    Verb("bench compare", "streams.cli.bench", "compare", "Two results side by side, with their noise."),
    Verb("bench capacity", "streams.cli.bench", "capacity", "Search for the highest rate that holds."),
]
