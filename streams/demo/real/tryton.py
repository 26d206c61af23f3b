"""Tryton as the ERP of the demo: its database in the demo ERP's Postgres, its server, and its JSON-RPC."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from streams.demo.real.program import Program
from streams.errors import EnvironmentFault
from streams.settings import Settings
from streams.stack.server import listens

DATABASE = "tryton"
PEOPLE: dict[str, list[str]] = {
    "warehouse": ["Stock", "Sales"],
    "finance": ["Accounting", "Sales"],
    "opshub": ["Sales", "Party Administration"],
}
"""Login → Tryton's groups. `opshub` is who write-back signs in as: it may not touch stock or accounts."""


class Tryton(Program):
    """The server. Its first start makes tables, a company with accounts, and the people of `PEOPLE`."""

    def __init__(self, settings: Settings, programs: Path, env: Mapping[str, str]) -> None:
        super().__init__("tryton", settings, "demo_tryton_port", programs, env)
        self._config = self.data / "trytond.conf"
        self._numbers = self.data / "numbers.json"

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"TRYTONPASSFILE": str(self.data / "admin-password")}

    @property
    def numbers(self) -> dict[str, int]:
        """Ids in this database: company, payment_term, tax, unit and others."""
        return dict(json.loads(self._numbers.read_text(encoding="utf-8")))

    def prepare(self) -> None:
        (self.data / "files").mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f"[database]\nuri = {self._uri()}\npath = {self.data / 'files'}\n"
            f"[web]\nlisten = {self.settings.host}:{self.port}\n",
            encoding="utf-8",
        )
        self._config.chmod(0o600)
        (self.data / "admin-password").write_text(self.env["TRYTON_ADMIN_PASSWORD"], encoding="utf-8")
        (self.data / "admin-password").chmod(0o600)
        if self._numbers.exists():
            return
        self._make_database()
        admin = [str(self.programs / "trytond-admin"), "-c", str(self._config), "-d", DATABASE]
        self.tool(*admin, "--email", "admin@example.com", "--all")
        self.tool(*admin, "-u", "sale", "account_invoice_stock", "--activate-dependencies")
        users = {
            login: {"password": self.env[f"TRYTON_{login.upper()}_PASSWORD"], "groups": groups}
            for login, groups in PEOPLE.items()
        }
        script = Path(__file__).parent / "inside" / "tryton_setup.py"
        made = self.tool(
            str(self.programs / "python"), str(script), str(self._config), DATABASE, given=json.dumps({"users": users})
        )
        self._numbers.write_text(made, encoding="utf-8")

    def command(self) -> list[str]:
        return [str(self.programs / "trytond"), "-c", str(self._config), "-d", DATABASE]

    def healthy(self) -> bool:
        return listens(self.host, self.port)

    def session(self, login: str) -> TrytonSession:
        """A person who is signed in. Raises EnvironmentFault."""
        return TrytonSession(self.url, login, self.env[f"TRYTON_{login.upper()}_PASSWORD"])

    def _uri(self) -> str:
        env = self.env
        return f"postgresql://{env['TRYTON_OWNER_USER']}:{env['TRYTON_OWNER_PASSWORD']}@{env['TRYTON_HOST']}:{env['TRYTON_PORT']}/"

    def _make_database(self) -> None:
        env = self.env
        with psycopg.connect(
            host=env["TRYTON_HOST"], port=env["TRYTON_PORT"], dbname="postgres",
            user=env["DEMO_ERP_ADMIN_USER"], password=env["DEMO_ERP_ADMIN_PASSWORD"], autocommit=True,
        ) as admin:  # fmt: skip
            owner = sql.Identifier(env["TRYTON_OWNER_USER"])
            # Whatever an interrupted first start left is half-made.
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
            if not admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (env["TRYTON_OWNER_USER"],)).rowcount:
                admin.execute(sql.SQL("CREATE ROLE {}").format(owner))
            admin.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(owner, env["TRYTON_OWNER_PASSWORD"]))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), owner))


class TrytonRefused(Exception):
    """Tryton's own refusal, in its words."""


class TrytonSession:
    """One person's session with Tryton's JSON-RPC."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.context: dict[str, Any] = {}
        try:
            user, token, *_ = self.call("common.db.login", login, {"password": password}, with_context=False)
        except (httpx.HTTPError, TrytonRefused) as error:
            raise EnvironmentFault(
                f"Tryton does not let {login} in: {error}", remedy="see the log of tryton"
            ) from error
        session = base64.b64encode(f"{login}:{user}:{token}".encode()).decode()
        self._client.headers["Authorization"] = f"Session {session}"
        self.context = self.call("model.res.user.get_preferences", True)

    def call(self, method: str, *params: Any, with_context: bool = True) -> Any:
        """The result of a method. Raises TrytonRefused with Tryton's words, httpx.HTTPError."""
        given = [*params, self.context] if with_context else list(params)
        answer = self._client.post(
            f"/{DATABASE}/rpc/",
            content=json.dumps({"id": 1, "method": method, "params": given}, default=_encoded),
            headers={"Content-Type": "application/json"},
        )
        with contextlib.suppress(ValueError):
            body = answer.json()
            if isinstance(body, dict) and body.get("error"):
                raise TrytonRefused(str(body["error"]))
            answer.raise_for_status()
            return body.get("result") if isinstance(body, dict) and "id" in body else body
        answer.raise_for_status()
        raise TrytonRefused(answer.text[:300])

    def ids(self, model: str, *domain: list[Any], limit: int | None = None) -> list[int]:
        """Ids of the records of a model that a domain finds, by id."""
        return list(self.call(f"model.{model}.search", list(domain), 0, limit, [["id", "ASC"]]))

    def read(self, model: str, ids: list[int], *fields: str) -> list[dict[str, Any]]:
        return list(self.call(f"model.{model}.read", ids, list(fields)))

    def create(self, model: str, *values: dict[str, Any]) -> list[int]:
        return list(self.call(f"model.{model}.create", list(values)))

    def press(self, model: str, button: str, *ids: int) -> Any:
        """What a person does with a button of a form."""
        return self.call(f"model.{model}.{button}", list(ids))

    def close(self) -> None:
        self._client.close()


def _encoded(value: object) -> object:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    raise TypeError(f"{type(value).__name__} has no form in Tryton's JSON")
