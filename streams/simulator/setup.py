"""Create the demo CRM and the demo ERP: tables, triggers, roles, publications. Running it again changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import psycopg

from streams.errors import ConfigError, EnvironmentFault
from streams.postgres_login import login_fault

SYSTEMS = {"demo-crm": "DEMO_CRM", "demo-erp": "DEMO_ERP"}
"""Folder in connectors/ → first part of its environment variables."""

BLOCK = "$opshub$"
"""How roles.sql quotes its blocks."""

_PLACEHOLDER = re.compile(r"(['\"])\$\{env:([^}]*)\}")


def setup_demo(env: Mapping[str, str], connectors: Path) -> None:
    """Apply schema.sql and roles.sql of both demo systems, as the administrator that `env` names.

    `env` has DEMO_CRM_… and DEMO_ERP_…: HOST, PORT, DATABASE and {ADMIN,APP,CAPTURE,WRITEBACK}_{USER,PASSWORD}.
    `connectors` is the folder that has demo-crm and demo-erp. Each system is set up in one transaction: all of it or
    nothing. Raises ConfigError for a variable or a file that is missing or SQL that is wrong, EnvironmentFault when a
    database cannot be reached or the administrator lacks a right.
    """
    for system, prefix in SYSTEMS.items():
        setup_system(env, connectors / system, prefix)


def setup_system(env: Mapping[str, str], folder: Path, prefix: str) -> None:
    """The same for one system, whose variables begin with `prefix`."""
    scripts = [(folder / name, _read(folder / name, env)) for name in ("schema.sql", "roles.sql")]
    dsn = dsn_of(env, prefix, "ADMIN")
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            # Two set-ups at the same time would both try to create what does not exist yet.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('opshub setup'))")
            connection.execute("SET LOCAL client_min_messages = warning")
            for path, text in scripts:
                try:
                    connection.execute(text.encode())
                except psycopg.errors.InsufficientPrivilege as error:
                    raise EnvironmentFault(
                        f"{path}: {env[f'{prefix}_ADMIN_USER']} may not do this: {_says(error)}",
                        remedy=f"let a superuser of that database be {prefix}_ADMIN_USER, or run the file by hand",
                    ) from error
                except psycopg.Error as error:
                    raise ConfigError(f"{path}: {_says(error)}", remedy="correct the SQL") from error
    except psycopg.OperationalError as error:
        where = f"the database of {prefix} at {env[f'{prefix}_HOST']}:{env[f'{prefix}_PORT']}"
        variables = f"{prefix}_HOST, {prefix}_PORT, {prefix}_DATABASE, {prefix}_ADMIN_USER, {prefix}_ADMIN_PASSWORD"
        raise login_fault(dsn, error, where, variables=variables) from error


def dsn_of(env: Mapping[str, str], prefix: str, role: str) -> str:
    """The connection string of one role: ADMIN, APP, CAPTURE or WRITEBACK. Raises ConfigError for a variable that is
    missing.
    """
    return psycopg.conninfo.make_conninfo(
        host=_value(env, f"{prefix}_HOST"),
        port=_value(env, f"{prefix}_PORT"),
        dbname=_value(env, f"{prefix}_DATABASE"),
        user=_value(env, f"{prefix}_{role}_USER"),
        password=_value(env, f"{prefix}_{role}_PASSWORD"),
    )


def _value(env: Mapping[str, str], name: str, where: str = "the demo's environment") -> str:
    try:
        return env[name]
    except KeyError:
        raise ConfigError(f"{where}: {name} is not set", remedy=f"set {name}, or let `opshub up` write it") from None


def _read(path: Path, env: Mapping[str, str]) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", remedy="take the folder connectors/ whole") from None

    def resolved(match: re.Match[str]) -> str:
        # A placeholder stands inside a quoted literal or identifier; its value must end neither that nor the block
        # around.
        quote, name = match.groups()
        value = _value(env, name, str(path))
        if BLOCK in value:
            raise ConfigError(f"{path}: the value of {name} holds {BLOCK}", remedy="choose another")
        return f"{quote}{value.replace(quote, quote * 2)}"

    # Comments may mention ${env:NAME}.
    lines = (
        line if line.lstrip().startswith("--") else _PLACEHOLDER.sub(resolved, line) for line in text.splitlines(True)
    )
    return "".join(lines)


def _says(error: psycopg.Error) -> str:
    diag = error.diag
    message = diag.message_primary or str(error).strip()
    return (
        f"{message} (line {diag.context.count(chr(10))})"
        if diag.context and "inline_code_block" in diag.context
        else message
    )
