"""Creme as the CRM of the demo: its database in the stack's MariaDB, its server, and the forms that people fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pymysql

from streams.demo.real.program import Program
from streams.errors import EnvironmentFault
from streams.settings import Settings
from streams.stack.server import answers

DATABASE = "creme"
PROJECT = "crm"

SETTINGS = """\
import pymysql

pymysql.install_as_MySQLdb()

from creme.settings import *  # noqa

DEBUG = False
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
SECRET_KEY = {secret!r}
ALLOWED_HOSTS = ["*"]
SITE_DOMAIN = {url!r}
JOBMANAGER_BROKER = "unix_socket://{data}/broker/"
MEDIA_ROOT = {data!r} + "/media/upload"
STATIC_ROOT = {data!r} + "/media/static"
GENERATED_MEDIA_NAMES_FILE = {data!r} + "/{project}/_generated_media_names.py"
GENERATED_MEDIA_NAMES_MODULE = "{project}._generated_media_names"
ROOT_URLCONF = "creme.urls"
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.mysql",
        "NAME": {database!r},
        "USER": {user!r},
        "PASSWORD": {password!r},
        "HOST": {host!r},
        "PORT": {port!r},
    }}
}}
"""


class Creme(Program):
    """The server. Its first start makes tables, Creme's own records, and the people who work in it."""

    def __init__(self, settings: Settings, programs: Path, env: Mapping[str, str]) -> None:
        super().__init__("creme", settings, "demo_creme_port", programs, env)
        self._numbers = self.data / "numbers.json"

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"DJANGO_SETTINGS_MODULE": f"{PROJECT}.settings", "PYTHONPATH": str(self.data)}

    def prepare(self) -> None:
        env, package = self.env, self.data / PROJECT
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        file = package / "settings.py"
        file.touch(mode=0o600)
        file.write_text(
            SETTINGS.format(
                secret=env["CREME_SECRET_KEY"], url=self.url, data=str(self.data), project=PROJECT,
                database=DATABASE, user=env["CREME_OWNER_USER"], password=env["CREME_OWNER_PASSWORD"],
                host=env["CREME_HOST"], port=int(env["CREME_PORT"]),
            ),
            encoding="utf-8",
        )  # fmt: skip
        if self._numbers.exists():
            return
        self._make_database()
        creme = str(self.programs / "creme")
        for command in ("migrate", "creme_populate", "generatemedia"):
            self.tool(creme, command)
        script = Path(__file__).parent / "inside" / "creme_setup.py"
        people = {login: env[f"CREME_{login.upper()}_PASSWORD"] for login in ("root", "sales", "opshub")}
        made = self.tool(str(self.programs / "python"), str(script), given=json.dumps(people))
        self._numbers.write_text(made, encoding="utf-8")

    @property
    def numbers(self) -> dict[str, int]:
        """The number that Creme gave to each kind of record: organisation, opportunity, quote."""
        return dict(json.loads(self._numbers.read_text(encoding="utf-8")))

    def command(self) -> list[str]:
        return [str(self.programs / "creme"), "runserver", "--noreload", f"{self.settings.host}:{self.port}"]

    def healthy(self) -> bool:
        return answers(f"{self.url}/creme_login")

    def session(self, login: str) -> CremeSession:
        """A person who is signed in. Raises EnvironmentFault."""
        return CremeSession(self.url, login, self.env[f"CREME_{login.upper()}_PASSWORD"])

    def _make_database(self) -> None:
        env = self.env
        admin = pymysql.connect(
            host=env["CREME_HOST"], port=int(env["CREME_PORT"]),
            user=env["DEMO_MARIADB_ADMIN_USER"], password=env["DEMO_MARIADB_ADMIN_PASSWORD"], autocommit=True,
        )  # fmt: skip
        with admin, admin.cursor() as cursor:
            # Whatever an interrupted first start left is half-made.
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
            cursor.execute(
                "CREATE OR REPLACE USER %s@'%%' IDENTIFIED BY %s",
                (env["CREME_OWNER_USER"], env["CREME_OWNER_PASSWORD"]),
            )
            cursor.execute(f"GRANT ALL ON {DATABASE}.* TO %s@'%%'", (env["CREME_OWNER_USER"],))


class CremeRefused(Exception):
    """A form that Creme did not take, with what it says of each field."""


class CremeSession:
    """One person's browser: it reads a form, fills it in and sends it."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False, follow_redirects=True)
        self._client.headers["Referer"] = f"{url}/"
        self._client.get("/creme_login")
        answer = self._send("/creme_login", {"username": login, "password": password})
        if answer.url.path.startswith("/creme_login"):
            raise EnvironmentFault(f"Creme does not let {login} in", remedy="see the log of creme")

    def fill(self, path: str, values: Mapping[str, object]) -> int:
        """Send the form at `path` with these values and what it has in its other fields. Returns the id of the record
        whose page comes next, 0 where none does. Raises CremeRefused.
        """
        is_popup = path.rstrip("/").endswith("add_multiple")
        headers = {"X-Requested-With": "XMLHttpRequest"} if is_popup else {}
        page = self._client.get(path, headers=headers)
        page.raise_for_status()
        form = _Form(page.text)
        answer = self._send(path, {**form.values, **{name: str(value) for name, value in values.items()}}, headers)
        errors = re.findall(r'class="errorlist[^"]*"[^>]*>(.*?)</ul>', answer.text, re.DOTALL)
        if answer.is_error or errors:
            texts = [re.sub(r"<[^>]+>|\s+", " ", error).strip() for error in errors]
            raise CremeRefused(f"{path}: {'; '.join(texts) or answer.status_code}")
        number = re.search(r"/(\d+)/?$", str(answer.url.path))
        return int(number[1]) if number and not is_popup else 0

    def press(self, path: str) -> None:
        """What a person does with a button. Raises CremeRefused."""
        answer = self._send(path, {})
        if answer.is_error:
            raise CremeRefused(f"{path}: {answer.status_code}")

    def choices(self, path: str, field: str) -> dict[str, str]:
        """Text → value of a list of choices of a form."""
        page = self._client.get(path)
        page.raise_for_status()
        return _Form(page.text).choices.get(field, {})

    def shown(self, path: str, field: str) -> str:
        """What a field of a form holds."""
        page = self._client.get(path)
        page.raise_for_status()
        return _Form(page.text).values.get(field, "")

    def links(self, path: str, pattern: str) -> list[int]:
        """Numbers of the records that a page links to."""
        page = self._client.get(path)
        page.raise_for_status()
        return sorted({int(number) for number in re.findall(pattern, page.text)})

    def close(self) -> None:
        self._client.close()

    def _send(self, path: str, data: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> httpx.Response:
        given = {**data, "csrfmiddlewaretoken": self._client.cookies["csrftoken"]}
        return self._client.post(path, data=given, headers=headers)


class _Form(HTMLParser):
    """The fields of a page's form: what each holds, and the choices of each list."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.choices: dict[str, dict[str, str]] = {}
        self._list = self._text = ""
        self._option: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") not in ("checkbox", "radio", "submit"):
            self.values[name] = given.get("value") or ""
        elif tag == "input" and name and "checked" in given:
            self.values[name] = given.get("value") or "on"
        elif tag == "textarea" and name:
            self._text, self.values[name] = name, ""
        elif tag == "select":
            self._list = name
            if name:
                self.choices[name] = {}
        elif tag == "option" and self._list:
            self._option = given.get("value") or ""
            if "selected" in given or self._list not in self.values:
                self.values[self._list] = self._option

    def handle_data(self, data: str) -> None:
        if self._text:
            self.values[self._text] = (self.values[self._text] + data).strip()
        elif self._option is not None and data.strip():
            self.choices[self._list][data.strip()] = self._option

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = ""
        elif tag == "option":
            self._option = None
        elif tag == "select":
            self._list = ""
