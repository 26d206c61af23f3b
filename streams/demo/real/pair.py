"""Tryton and Creme beside a running native stack: their environment, set-up, start and stop."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import CLIENT

from streams.capture.setup_sql import rights_of, setup_sql
from streams.demo.real.creme import DATABASE as CREME_DATABASE
from streams.demo.real.creme import Creme
from streams.demo.real.program import Program
from streams.demo.real.programs import installed
from streams.demo.real.tryton import DATABASE as TRYTON_DATABASE
from streams.demo.real.tryton import Tryton
from streams.provision.systems import System
from streams.settings import Settings
from streams.stack.environment import add_to_environment
from streams.stack.launch import Launcher, Report

PASSWORDS = (
    "TRYTON_OWNER_PASSWORD",
    "TRYTON_ADMIN_PASSWORD",
    "TRYTON_WAREHOUSE_PASSWORD",
    "TRYTON_FINANCE_PASSWORD",
    "TRYTON_OPSHUB_PASSWORD",
    "TRYTON_CAPTURE_PASSWORD",
    "CREME_OWNER_PASSWORD",
    "CREME_ROOT_PASSWORD",
    "CREME_SALES_PASSWORD",
    "CREME_OPSHUB_PASSWORD",
    "CREME_CAPTURE_PASSWORD",
    "CREME_SECRET_KEY",
)


class RealPair:
    """Both systems of one state folder. `up` may be called again: what runs, and what is set up, is left alone."""

    def __init__(self, settings: Settings, report: Report) -> None:
        """The servers of the native stack run, MariaDB among them."""
        self._settings = settings
        self.env = env = write_pair_environment(settings)
        self.tryton = Tryton(settings, installed(settings, "tryton", report), env)
        self.creme = Creme(settings, installed(settings, "creme", report), env)
        self._launcher = Launcher(settings.state_dir.absolute())
        self._report = report

    def up(self) -> None:
        """Set up and start both, side by side. Raises EnvironmentFault; then neither runs."""
        self._launcher.start_all([program for program in self._programs if not program.healthy()], self._report)
        kind = str(self.creme.numbers["opportunity"])
        self.env = add_to_environment(self._settings, {"CREME_OPPORTUNITY_TYPE": kind}) | self.env

    def let_capture(self, systems: Sequence[System]) -> None:
        """Give the connectors' users what they need in each database, as an administrator does it once."""
        for system in systems:
            script = setup_sql(rights_of(system, self.env))
            if system.dictionary.kind == "postgres":
                self._in_tryton(script)
            else:
                self._in_creme(script)

    def _in_tryton(self, script: str) -> None:
        env = self.env
        role, password = sql.Identifier(env["TRYTON_CAPTURE_USER"]), env["TRYTON_CAPTURE_PASSWORD"]
        with psycopg.connect(
            host=env["TRYTON_HOST"], port=env["TRYTON_PORT"], dbname=env["TRYTON_DATABASE"],
            user=env["DEMO_ERP_ADMIN_USER"], password=env["DEMO_ERP_ADMIN_PASSWORD"],
        ) as admin:  # fmt: skip
            admin.execute(script.encode())
            admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))

    def _in_creme(self, script: str) -> None:
        env = self.env
        admin = pymysql.connect(
            host=env["CREME_HOST"], port=int(env["CREME_PORT"]), database=env["CREME_DATABASE"],
            user=env["DEMO_MARIADB_ADMIN_USER"], password=env["DEMO_MARIADB_ADMIN_PASSWORD"],
            autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS,
        )  # fmt: skip
        with admin, admin.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass
            cursor.execute(
                "ALTER USER %s@'%%' IDENTIFIED BY %s", (env["CREME_CAPTURE_USER"], env["CREME_CAPTURE_PASSWORD"])
            )

    def down(self) -> None:
        self._launcher.stop(self._programs, self._report)

    @property
    def _programs(self) -> list[Program]:
        return [self.tryton, self.creme]


def write_pair_environment(settings: Settings) -> dict[str, str]:
    """Addresses, names and passwords of both, kept in the environment file of the stack. Call it before the stack
    starts: Connect has the values that the file had then.
    """
    host = settings.host
    values = {
        "TRYTON_HOST": host,
        "TRYTON_PORT": str(settings.demo_erp_port),
        "TRYTON_DATABASE": TRYTON_DATABASE,
        "TRYTON_OWNER_USER": "tryton",
        "TRYTON_CAPTURE_USER": "opshub_capture_tryton",
        "TRYTON_URL": f"http://{host}:{settings.demo_tryton_port}",
        "TRYTON_OPSHUB_USER": "opshub",
        "CREME_HOST": host,
        "CREME_PORT": str(settings.demo_mariadb_port),
        "CREME_DATABASE": CREME_DATABASE,
        "CREME_OWNER_USER": "creme",
        "CREME_CAPTURE_USER": "opshub_capture",
        "CREME_URL": f"http://{host}:{settings.demo_creme_port}",
        "CREME_OPSHUB_USER": "opshub",
    }
    return add_to_environment(settings, values, PASSWORDS)
