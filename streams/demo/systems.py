"""The demo CRM and ERP on Postgres servers that run elsewhere: in containers, on other machines.

In: DEMO_CRM_… and DEMO_ERP_… variables, which name two servers with an administrator each. Out: databases, tables,
roles and a first history, made where they are missing. Promised: a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from streams.demo.statements import SQL
from streams.postgres_login import login_fault
from streams.provision.waiting import wait_for
from streams.simulator.company import Company
from streams.simulator.setup import SYSTEMS, dsn_of, setup_demo

MAINTENANCE = "postgres"
"""The database that every Postgres server has: from there, others are created."""


class HistoryPlan(msgspec.Struct, frozen=True):
    """What is loaded into empty databases."""

    customers: int = 500
    orders: int = 1000
    seed: int = 1


def make_systems(
    env: Mapping[str, str],
    connectors: Path,
    history: HistoryPlan | None,
    *,
    wait_s: float = 0.0,
    report: Callable[[str], object] = lambda _: None,
) -> bool:
    """Make both systems; whether history was loaded, which happens in empty databases only.

    Raises ConfigError for a variable that is missing, ServerAway for a server that does not answer within `wait_s`
    seconds, AccessDenied for one that refuses the administrator.
    """
    admins = {f"the server of {system}": dsn_of(env, prefix, "ADMIN") for system, prefix in SYSTEMS.items()}
    wait_for({name: partial(_reach, name, dsn) for name, dsn in admins.items()}, wait_s, report)
    for name, dsn in admins.items():
        database = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
        if _ensure_database(name, dsn, str(database)):
            report(f"created the database {database}")
    setup_demo(env, connectors)
    if history is None or not is_empty(env):
        return False
    report(f"loading history: {history.customers} customers, {history.orders} orders")
    with Company(history.seed, dsn_of(env, "DEMO_CRM", "APP"), dsn_of(env, "DEMO_ERP", "APP")) as company:
        company.load_history(customers=history.customers, orders=history.orders)
    return True


def is_empty(env: Mapping[str, str]) -> bool:
    """Whether the demo CRM has no customers."""
    with psycopg.connect(dsn_of(env, "DEMO_CRM", "APP")) as connection:
        row = connection.execute(SQL["crm_is_empty"]).fetchone()
    return bool(row and row[0])


def _reach(name: str, dsn: str) -> None:
    _admin_session(name, dsn).close()


def _admin_session(name: str, dsn: str) -> psycopg.Connection:
    """A session of the administrator with the maintenance database."""
    maintenance = psycopg.conninfo.make_conninfo(dsn, dbname=MAINTENANCE)
    try:
        return psycopg.connect(maintenance, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        prefix = next(prefix for system, prefix in SYSTEMS.items() if name.endswith(system))
        variables = f"{prefix}_HOST, {prefix}_PORT, {prefix}_ADMIN_USER, {prefix}_ADMIN_PASSWORD"
        raise login_fault(maintenance, error, name, variables=variables) from error


def _ensure_database(name: str, dsn: str, database: str) -> bool:
    """Create a database unless it is there; whether it was created."""
    with _admin_session(name, dsn) as admin:
        if admin.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount:
            return False
        try:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        except psycopg.errors.DuplicateDatabase:  # another run was faster
            return False
    return True
