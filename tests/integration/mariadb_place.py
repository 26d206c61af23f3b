"""Sessions on the MariaDB server of the shared stack."""

from __future__ import annotations

from streams.mariadb_session import MariadbSession, binlog_address, open_mariadb


def session_of(env: dict[str, str], role: str) -> MariadbSession:
    """A session as ADMIN, CAPTURE, WRITEBACK or APP; it accepts zero dates, as old applications do."""
    host, port, user, password = (
        env[f"DEMO_MARIADB_{name}"] for name in ("HOST", "PORT", f"{role}_USER", f"{role}_PASSWORD")
    )
    session = open_mariadb(binlog_address(host, port, user, password))
    session.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    return session


def run_script(session: MariadbSession, text: str) -> None:
    """Run the statements of a script, each of which ends with a semicolon at the end of a line."""
    for statement in text.split(";\n"):
        if lines := [line for line in statement.splitlines() if line.strip() and not line.startswith("--")]:
            session.execute("\n".join(lines).rstrip(";"))
