"""What each alert means and what to do, by its code: pages in other languages than English show these, translated.

An alert itself is written in English by the watcher, for logs, mail and webhooks (`streams/monitor`): it has numbers
and the words of servers, which pages show beside these. `{where}` is the system, table, connector or server.
"""

from __future__ import annotations

import msgspec


class AlertText(msgspec.Struct, frozen=True):
    """One alert in words."""

    what: str
    remedy: str


ALERTS: dict[str, AlertText] = {
    "capture-lost": AlertText(
        "changes of {where} may be missing; its capture is stopped",
        "`opshub resync {where}` takes a new snapshot, and deletes what the source does not have any more",
    ),
    "hub-went-back": AlertText(
        "the hub lacks records that workers had given it: an old backup was restored, "
        "or a standby that was behind took over",
        "`opshub resync` of each system reads everything again",
    ),
    "accounts": AlertText(
        "the raw records that were read and what became of them do not balance",
        "`opshub verify` lists the differences",
    ),
    "source-away": AlertText(
        "the database of {where} does not answer",
        "start it; check address, role and password in source.json and in <state_dir>/env",
    ),
    "connect-away": AlertText("Kafka Connect does not answer", "start it; check OPSHUB_CONNECT_URL"),
    "connect-refuses": AlertText(
        "Kafka Connect answers and does not do what it is asked", "restart Kafka Connect; its log says why"
    ),
    "connector-failed": AlertText(
        "a task of the connector {where} failed", "the watcher restarts it; `opshub doctor` checks the database"
    ),
    "feed-failed": AlertText(
        "{where} cannot be read, or refuses a file", "`opshub doctor` has the reason; it is tried again by itself"
    ),
    "feed-late": AlertText("{where} was not read in time", "start a worker with the role sources"),
    "connector-missing": AlertText("the connector {where} is not registered", "`opshub apply` registers it"),
    "connector-stopped": AlertText(
        "the connector {where} is stopped or paused, and opshub did not do it: nothing is captured",
        "`opshub resync` of its system if one was broken off; else resume it in Kafka Connect",
    ),
    "connector-idle": AlertText(
        "the connector {where} has no session with its database, and restarts did not help",
        "see the log of Kafka Connect; restart Kafka Connect",
    ),
    "table-changed": AlertText(
        "a table is not as capture needs it: {where}",
        "`opshub doctor` has the statement that mends it; then read the table again if the alert says so",
    ),
    "table-incomplete": AlertText(
        "changes of a table were missed: {where}",
        "`opshub resync SYSTEM --table TABLE` reads all rows, and deletes what the table does not have any more",
    ),
    "heartbeat-old": AlertText(
        "the connector of {where} reads and writes no heartbeat: it may be stalled",
        "check in the log of Kafka Connect whether Kafka accepts records; restart the connector",
    ),
    "wal-ending": AlertText(
        "{where} will soon remove changes that its connector has not read",
        "find out why the connector is stalled (log of Kafka Connect), or let the database keep more "
        "(max_slot_wal_keep_size, binlog_expire_logs_seconds)",
    ),
    "pause-ending": AlertText(
        "Kafka soon deletes records of the paused table {where}",
        "`opshub systems resume {where}`, or raise retention.ms of its raw topic",
    ),
    "wal-kept": AlertText(
        "the slot of {where} holds back much WAL: the disk of the source fills",
        "find out why the connector is stalled (log of Kafka Connect)",
    ),
    "disk-low": AlertText(
        "the disk of {where} is nearly full",
        "make room: a broker or database stops when its disk is full, and may not start again",
    ),
    "kafka-away": AlertText("no Kafka broker answers", "start Kafka; check OPSHUB_BOOTSTRAP_SERVERS"),
    "checks-failed": AlertText("capture and pipeline cannot be checked", "`opshub doctor` says why"),
    "lag": AlertText(
        "the workers' {where} has been behind for long", "see what the workers' /readyz says; start another worker"
    ),
    "dead-letter-rate": AlertText(
        "many records became dead letters within a minute",
        "`opshub dlq list` says why; correct the dictionary and restart the workers if it does not fit its tables",
    ),
    "parked-keys": AlertText("records are parked behind a dead letter", "`opshub dlq list` says why"),
    "stuck-flows": AlertText(
        "order flows are in their stage for longer than they should be", "`opshub flow check` lists them"
    ),
    "invariants": AlertText("business rules do not hold", "`opshub flow check` lists them"),
    "intents-dead": AlertText(
        "write-backs were given up within a day",
        "`opshub approvals list --state dead` shows them, and why; `opshub writeback retry` sends them again",
    ),
    "target-refuses": AlertText(
        "{where} refuses every request: its write-backs wait, and use up no attempts",
        "renew its credentials, or lift the limit there; `opshub writeback resume {where}` tries at once",
    ),
    "intents-waiting": AlertText("write-backs have waited for people for long", "`opshub approvals list` shows them"),
    "intents-undelivered": AlertText(
        "write-backs have waited for their target for long",
        "`opshub writeback status`; the workers' log says what the target answers",
    ),
}
"""Code of an alert → its words. A test holds that every alert is here."""


def alert_texts() -> set[str]:
    """Every text of this table, for the catalogs."""
    return {text for alert in ALERTS.values() for text in (alert.what, alert.remedy)}
