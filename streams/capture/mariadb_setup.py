"""The SQL that an administrator runs once on a MariaDB or MySQL server that is to be captured, or written to."""

from __future__ import annotations

from streams.mariadb_session import MARK, backticked

MARKER = "opshub_mark"
"""The procedure by which a session of write-back marks what it writes."""


def mariadb_setup_sql(role: str, tables: list[str], heartbeats: str, signals: str, *, with_role: bool = True) -> str:
    """The statements: user, rights, heartbeats, signals. `with_role=False`: the user exists, with its rights."""
    user = f"'{_escaped(role)}'@'%'"
    made = [
        "-- The user of the connector: it reads the binlog and these tables, and no others.",
        f"CREATE USER IF NOT EXISTS {user};",
        f"-- and its password, once: ALTER USER {user} IDENTIFIED BY '…';",
        # A snapshot takes the global read lock for a moment, so that its rows and its place in the binlog fit.
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD, LOCK TABLES ON *.* TO {user};",
    ]
    return "\n".join(
        [
            *(made if with_role else []),
            *(f"GRANT SELECT ON {backticked(table)} TO {user};" for table in tables),
            "-- A row that is written now and then: it shows that the connector follows.",
            f"CREATE TABLE IF NOT EXISTS {backticked(heartbeats)} (id int PRIMARY KEY, beat_at datetime(6) NOT NULL);",
            "-- Where a snapshot of a table is asked for while the stream goes on.",
            f"CREATE TABLE IF NOT EXISTS {backticked(signals)} (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, "
            "data varchar(4096));",
            f"GRANT SELECT, INSERT, UPDATE ON {backticked(heartbeats)} TO {user};",
            f"GRANT SELECT, INSERT, DELETE ON {backticked(signals)} TO {user};",
        ]
    )


def marker_sql(database: str, role: str) -> str:
    """The procedure that marks what write-back writes, and the right to call it. An administrator makes it: the mark is
    a server id of its own, which an ordinary user may not set (MariaDB asks for BINLOG REPLAY).
    """
    procedure = backticked(f"{database}.{MARKER}")
    return "\n".join(
        [
            f"CREATE OR REPLACE PROCEDURE {procedure}() SQL SECURITY DEFINER MODIFIES SQL DATA",
            f"    SET SESSION server_id = {MARK};",
            f"GRANT EXECUTE ON PROCEDURE {procedure} TO '{_escaped(role)}'@'%';",
        ]
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")
