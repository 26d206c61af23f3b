"""The addresses, roles and passwords of the stack, as `KEY=VALUE` lines in `<state_dir>/env` (mode 600).

`${env:NAME}` in any file of a connector (source.json, roles.sql) stands for a value from here. A variable of the
process wins over the file, so a container needs no file.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.errors import ConfigError, EnvironmentFault, OpshubError, ServerAway
from streams.paths import connectors_dir
from streams.settings import Settings
from streams.settings.secret_files import FOLDER_VARIABLE, secrets_from_files

_PLACEHOLDER = re.compile(r"\$\{env:([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_DEMO_ROLES = {
    "DEMO_CRM": {"ADMIN": "postgres", "CAPTURE": "opshub_capture", "WRITEBACK": "opshub_writeback", "APP": "crm_app"},
    "DEMO_ERP": {"ADMIN": "postgres", "CAPTURE": "opshub_capture", "WRITEBACK": "opshub_writeback", "APP": "erp_app"},
    "DEMO_MARIADB": {
        "ADMIN": "opshub_admin",
        "CAPTURE": "opshub_capture",
        "WRITEBACK": "opshub_writeback",
        "APP": "erp_app",
    },
}


def environment_file(settings: Settings) -> Path:
    """The file that `up` writes and every other verb reads."""
    return settings.state_dir / "env"


def read_environment(settings: Settings) -> dict[str, str]:
    """The values of the file, without the variables of this process; empty when there is no file.

    Raises ConfigError for a line that is not KEY=VALUE, EnvironmentFault when the file may not be read.
    """
    file = environment_file(settings)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EnvironmentFault(
            f"{file} cannot be read: {error.strerror}", remedy="run as the user that ran `opshub up`"
        ) from error
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.match(name.strip()):
            raise ConfigError(f"{file}, line {number}: not of the form KEY=VALUE", remedy="correct or delete the line")
        values[name.strip()] = value.strip()
    return values


ADDRESSES = ("hub_dsn", "bootstrap_servers", "registry_url", "connect_url")
"""Settings that say where the servers are."""


def servers_are_elsewhere(settings: Settings) -> bool:
    """Whether somebody else runs the servers: an address is set that `opshub up` did not write down here."""
    ours = read_environment(settings)
    return any(
        getattr(settings, name) and getattr(settings, name) != ours.get(f"OPSHUB_{name.upper()}") for name in ADDRESSES
    )


def remedy_here(error: OpshubError, settings: Settings) -> str:
    """The remedy of an error; `opshub up` is one only for servers that it started."""
    if isinstance(error, ServerAway) and not servers_are_elsewhere(settings):
        return f"{error.remedy}; `opshub up` starts the native stack"
    return error.remedy


def load_env(settings: Settings) -> dict[str, str]:
    """Every value that a `${env:NAME}` can stand for: variables of this process and files of secrets, then lines of the
    file. Raises ConfigError for a secret that has two values, or a file that cannot be read.
    """
    process = dict(os.environ)
    if settings.secrets_dir is not None:
        process[FOLDER_VARIABLE] = str(settings.secrets_dir)
    secrets = secrets_from_files(_secret_names(settings), process)
    return read_environment(settings) | process | secrets


def _secret_names(settings: Settings) -> set[str]:
    """Names that a file may have the value of: what the connectors' files ask for, and what the demo needs."""
    demo = {f"{prefix}_{role}_PASSWORD" for prefix, roles in _DEMO_ROLES.items() for role in roles}
    return demo | placeholder_names(connectors_dir(settings))


def resolve_placeholders(text: str, env: dict[str, str], file: str | Path = "") -> str:
    """`text` with each `${env:NAME}` replaced. Raises ConfigError that names an unknown NAME, the file and the line."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in env:
            line = text.count("\n", 0, match.start()) + 1
            where = f"{file}, line {line}" if file and "\n" in text else file or f"line {line}"
            raise ConfigError(
                f"{where}: ${{env:{name}}} stands for a variable that is not set",
                remedy=f"set {name} for this command and for Kafka Connect, or give it as a file: {name}_FILE",
            )
        return env[name]

    return _PLACEHOLDER.sub(value_of, text)


def placeholder_names(folder: Path) -> set[str]:
    """Every NAME that a `${env:NAME}` in the files of the systems below `folder` stands for."""
    files = [file for file in folder.glob("*/*") if file.is_file()]
    return {name for file in files for name in _PLACEHOLDER.findall(file.read_text(encoding="utf-8", errors="replace"))}


def write_environment(settings: Settings) -> dict[str, str]:
    """Write the file for these settings and return its values; passwords that the file has are kept."""
    old = read_environment(settings)

    def password(name: str) -> str:
        return old.get(name) or _password()

    host = settings.host
    hub_password = password("OPSHUB_HUB_PASSWORD")
    values = dict(old)
    values |= {
        "OPSHUB_HUB_DSN": f"postgresql://opshub:{hub_password}@{host}:{settings.hub_port}/opshub",
        "OPSHUB_HUB_PASSWORD": hub_password,
        "OPSHUB_HUB_ADMIN_USER": "postgres",
        "OPSHUB_HUB_ADMIN_PASSWORD": password("OPSHUB_HUB_ADMIN_PASSWORD"),
        "OPSHUB_REGISTRY_PASSWORD": password("OPSHUB_REGISTRY_PASSWORD"),
        "OPSHUB_BOOTSTRAP_SERVERS": f"{host}:{settings.kafka_port}",
        "OPSHUB_REGISTRY_URL": f"http://{host}:{settings.registry_port}/apis/ccompat/v7",
        "OPSHUB_CONNECT_URL": f"http://{host}:{settings.connect_port}",
    }
    for prefix, port, database in (
        ("DEMO_CRM", settings.demo_crm_port, "crm"),
        ("DEMO_ERP", settings.demo_erp_port, "erp"),
        ("DEMO_MARIADB", settings.demo_mariadb_port, "erp"),
    ):
        values |= {f"{prefix}_HOST": host, f"{prefix}_PORT": str(port), f"{prefix}_DATABASE": database}
        for role, user in _DEMO_ROLES[prefix].items():
            values[f"{prefix}_{role}_USER"] = user
            values[f"{prefix}_{role}_PASSWORD"] = password(f"{prefix}_{role}_PASSWORD")
    _write_values(environment_file(settings), values)
    return values


def add_to_environment(settings: Settings, values: Mapping[str, str], passwords: Sequence[str] = ()) -> dict[str, str]:
    """Write further values into the file, and a new password for each name that has none; all values of the file."""
    old = read_environment(settings)
    new = {name: old.get(name) or _password() for name in passwords}
    all_values = old | dict(values) | new
    if all_values != old:
        _write_values(environment_file(settings), all_values)
    return all_values


def _password() -> str:
    return secrets.token_urlsafe(18).replace("-", "x").replace("_", "y")


def _write_values(file: Path, values: Mapping[str, str]) -> None:
    text = "# Made by `opshub up`: addresses and passwords of the native stack. Keep it with the data.\n"
    text += "".join(f"{name}={value}\n" for name, value in values.items())
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        _write_private(file, text)


def _write_private(file: Path, text: str) -> None:
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        new.replace(file)
    except OSError as error:
        raise EnvironmentFault(
            f"{file} cannot be written: {error.strerror}",
            remedy="make the folder writable or choose another with OPSHUB_STATE_DIR",
        ) from error
