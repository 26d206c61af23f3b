"""Every verb of `opshub`, in the order that the help shows.

A line is (words, module, function, help): `module` is imported only when the verb is called; `function` is
a typer function whose parameters are the verb's options. Two words make a group: `dlq list`. A verb of one word whose
name is a group's is what the group does when it is called alone: `demo`.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    words: str
    module: str
    function: str
    help: str


GROUPS: dict[str, str] = {
    "demo": "Start everything, let a simulated company work, compare all databases.",
    "map": "The dictionary: check it, show where a field comes from, run it on rows.",
    "systems": "The captured systems: their tables, pause and resume, snapshots, and what a new one needs.",
    "connector": "Folders of systems: make a new one.",
    "dlq": "Records that could not be processed.",
    "conflicts": "Fields on which two systems disagree.",
    "identity": "Which records of two systems are the same.",
    "approvals": "Changes that wait for a person's approval.",
    "writeback": "What is written to the systems: rules, their state, pause and resume.",
    "flow": "Order flows: from opportunity to payment.",
    "supply": "What orders wait for: purchases, production, stock.",
    "service": "What customers asked for: repairs, parts, returns, and what came of it.",
    "jobs": "Bulk work that a console does in the background.",
    "people": "Who may use the console, and what each may do.",
    "audit": "What people did: list and export.",
    "migrate": "Bring an old database over.",
    "training": "Exercises on the demo, and whether they are done.",
    "bench": "Load tests: run them, compare results, find the highest rate.",
}

VERBS: list[Verb] = [
    Verb("demo", "streams.cli.demo", "demo", "Start everything, let a simulated company work, compare all databases."),
    Verb("demo systems", "streams.cli.demo_systems", "systems", "Make the demo CRM and ERP on servers elsewhere."),
    Verb("demo traffic", "streams.cli.demo_systems", "traffic", "Let the simulated company work on such systems."),
    Verb("up", "streams.cli.up", "up", "Start the native servers; the first time, install them."),
    Verb("down", "streams.cli.down", "down", "Stop the workers and the native servers; the data stays."),
    Verb("status", "streams.cli.status", "status", "Show servers and workers, and whether each is healthy."),
    Verb("figures", "streams.cli.figures", "figures", "Show the business figures by week: won to paid, on time, open."),
    Verb("console", "streams.cli.console", "console", "Serve the console: pages for people, and the API."),
    Verb("run", "streams.cli.run", "run", "Run one worker in the foreground (what containers run)."),
    Verb("health", "streams.cli.health", "health", "Ask a worker or the console whether it is well (for containers)."),
    Verb("plan", "streams.cli.plan", "plan", "Show what `apply` would change in hub, topics, schemas and connectors."),
    Verb("apply", "streams.cli.plan", "apply", "Create what is missing, change what differs."),
    Verb("consume", "streams.cli.consume", "consume", "Show the records of a topic, decoded, as they come."),
    Verb("verify", "streams.cli.verify", "verify", "Compare source tables, hub and topics in both directions."),
    Verb("map check", "streams.cli.map", "check", "Check dictionaries: every error with its line; run their examples."),
    Verb("map explain", "streams.cli.map", "explain", "Show where a canonical field comes from."),
    Verb("map try", "streams.cli.map", "try_rows", "Run rows through the dictionary, before and after side by side."),
    Verb("map draft", "streams.cli.map", "draft", "Propose a dictionary for an unknown database."),
    Verb("connector new", "streams.cli.connector", "new", "Make the whole folder of a new system from its database."),
    Verb(
        "conflicts list",
        "streams.cli.conflicts",
        "list_conflicts",
        "List fields on which systems disagree, and the rule that decided.",
    ),
    Verb("conflicts show", "streams.cli.conflicts", "show", "Show one conflict with all its values."),
    Verb("conflicts resolve", "streams.cli.conflicts", "resolve", "Decide a conflict by hand."),
    Verb("identity show", "streams.cli.identity", "show", "Show what a record is made of."),
    Verb("identity merge", "streams.cli.identity", "merge", "Merge two records into one."),
    Verb("identity unmerge", "streams.cli.identity", "unmerge", "Undo a link or a merge."),
    Verb("identity proposals", "streams.cli.identity", "proposals", "Show customers that may be the same."),
    Verb("identity decline", "streams.cli.identity", "decline", "Decide that two records are not the same."),
    Verb("identity reconsider", "streams.cli.identity", "reconsider", "Take back that two records are not the same."),
    Verb("quality", "streams.cli.quality", "quality", "Measure how good the records are, field by field."),
    Verb("re-resolve", "streams.cli.quality", "re_resolve", "Apply the current ownership rules to what is stored."),
    Verb("approvals list", "streams.cli.approvals", "list_intents", "List changes that wait for approval."),
    Verb(
        "approvals show",
        "streams.cli.approvals",
        "show",
        "Show one change: what would be sent, who decided, what happened.",
    ),
    Verb("approvals approve", "streams.cli.approvals", "approve", "Approve changes."),
    Verb("approvals reject", "streams.cli.approvals", "reject", "Reject changes."),
    Verb("writeback status", "streams.cli.writeback", "status", "Show every rule with its intents by state."),
    Verb("writeback pause", "streams.cli.writeback", "pause", "Stop deliveries to a system; intents wait."),
    Verb(
        "writeback resume", "streams.cli.writeback", "resume", "Resume deliveries, with the intents that waited first."
    ),
    Verb(
        "writeback retry",
        "streams.cli.writeback",
        "retry",
        "Send intents again that were given up; look them up first.",
    ),
    Verb("writeback try", "streams.cli.writeback", "try_rule", "Show what a rule would send for a record."),
    Verb("writeback shadow", "streams.cli.writeback", "shadow", "Compare shadow mode with what people did by hand."),
    Verb(
        "systems list", "streams.cli.systems", "list_tables", "Show each table: how fresh, what waits, what is wrong."
    ),
    Verb("systems pause", "streams.cli.systems", "pause", "Stop reading a source, or one table of it; its rows wait."),
    Verb("systems resume", "streams.cli.systems", "resume", "Read on where the pause began; nothing is lost."),
    Verb("systems read", "streams.cli.systems", "read", "Read a table now that has a schedule, or no database."),
    Verb("systems snapshots", "streams.cli.systems", "snapshots", "Show tables that are read again, with progress."),
    Verb("systems cancel", "streams.cli.systems", "cancel", "End the snapshot of a table before it is complete."),
    Verb("systems check", "streams.cli.systems", "check", "Check a database before it becomes a system: what to mend."),
    Verb("flow check", "streams.cli.flow", "check", "List order flows that break a business rule or are stuck."),
    Verb("flow list", "streams.cli.flow_list", "list_flows", "List order flows by stage, customer, number or text."),
    Verb("flow show", "streams.cli.flow", "show", "Show stage, amounts and timeline of an order flow."),
    Verb("supply list", "streams.cli.supply", "list_lines", "List order lines that wait for goods, the latest first."),
    Verb("supply product", "streams.cli.supply", "product", "Show what of a product can be promised, and when."),
    Verb("service list", "streams.cli.service", "list_cases", "List service cases: open, by kind, problem, customer."),
    Verb("service show", "streams.cli.service", "show", "Show a service case with its order, warranty, return, story."),
    Verb("dlq list", "streams.cli.dlq", "list_dead_letters", "List records that could not be processed."),
    Verb("dlq show", "streams.cli.dlq", "show", "Show one dead letter with its record."),
    Verb("dlq edit", "streams.cli.dlq", "edit", "Change the value that a retry uses."),
    Verb("dlq retry", "streams.cli.dlq", "retry", "Retry dead letters, each key in order."),
    Verb("dlq drop", "streams.cli.dlq", "drop", "Give dead letters up; records parked behind them go on."),
    Verb("jobs list", "streams.cli.jobs", "list_jobs", "List bulk work."),
    Verb("jobs show", "streams.cli.jobs", "show", "Show one job, and the result of each item."),
    Verb("jobs cancel", "streams.cli.jobs", "cancel", "Stop a job before its next items."),
    Verb("jobs start", "streams.cli.jobs", "start", "Do something to all that match, in the background."),
    Verb("people list", "streams.cli.people", "list_people", "List the people who may use the console."),
    Verb("people add", "streams.cli.people", "add", "Add a person; the first one must be an admin."),
    Verb("people grant", "streams.cli.people", "grant", "Give a person a role."),
    Verb("people revoke", "streams.cli.people", "revoke", "Take a role from a person."),
    Verb("people password", "streams.cli.people", "password", "Set a person's password."),
    Verb("people sign-out", "streams.cli.people", "sign_out", "End all sessions of a person."),
    Verb("people remove", "streams.cli.people", "remove", "Remove a person."),
    Verb("people token", "streams.cli.people", "token", "Make a token for a program that calls the API."),
    Verb("people tokens", "streams.cli.people", "tokens", "List the tokens of a person."),
    Verb("people end-token", "streams.cli.people", "end_token", "End a token."),
    Verb("audit list", "streams.cli.audit", "list_entries", "List what people did."),
    Verb("audit export", "streams.cli.audit", "export_entries", "Write the audit as CSV or JSON lines."),
    Verb(
        "doctor",
        "streams.cli.doctor",
        "doctor",
        "Check databases, Kafka, registry, Connect and permissions, with remedies.",
    ),
    Verb("resync", "streams.cli.doctor", "resync", "Capture a system again after changes of it were lost."),
    Verb("training list", "streams.cli.training", "list_exercises", "List the exercises with their roles."),
    Verb("training start", "streams.cli.training", "start", "Make the situation of an exercise in the demo."),
    Verb("training check", "streams.cli.training", "check", "Look in the hub whether an exercise is done."),
    Verb("bench run", "streams.cli.bench", "run", "Run a workload and write figures and a page with charts."),
    Verb("bench compare", "streams.cli.bench", "compare", "Compare two results, with their noise."),
    Verb("bench capacity", "streams.cli.bench", "capacity", "Search for the highest rate that can be sustained."),
]
