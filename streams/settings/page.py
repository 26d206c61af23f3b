"""The page docs/settings.md, made from the model: variable, default, description of every setting."""

from __future__ import annotations

import json

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streams.settings import PREFIX, SECRETS, Settings
from streams.settings.console import ConsoleSettings

SECTIONS = {
    "state_dir": "Folders and systems",
    "host": "Addresses of the native stack",
    "bootstrap_servers": "Servers elsewhere",
    "app_id": "Workers and topics",
    "order_within_seconds": "Business rules and data quality",
    "approvers": "Approvals",
    "alert_webhook_url": "Where alerts go",
    "alert_parked_keys": "When an alert is sent",
    "console": "The console",
    "oidc_issuer": "Sign-in at an identity provider",
    "audit_days": "Audit",
}
"""First setting of each section → its title."""

_HEAD = """# Settings

This page is made from `streams/settings/` by `make settings`; do not edit it.

A command-line flag wins over an environment variable, a variable over a line of `opshub.env` in the current folder, a
line over the default. An `OPSHUB_…` name that is not on this page is an error, which names the nearest setting.

A setting that is marked *secret* can come from a file, as `OPSHUB_…_FILE=/path` or as a file with the variable's name
in `OPSHUB_SECRETS_DIR`; so can each `${env:NAME}` of a connector's files
([secrets in containers](guides/containers.md)). A value that is given twice is an error.
"""


def settings_page() -> str:
    """The whole page as Markdown, one table for each section."""
    lines = [_HEAD]
    # A subclass has the fields of its base first; the page has them last.
    fields = sorted(Settings.model_fields.items(), key=lambda named: named[0] in ConsoleSettings.model_fields)
    for name, field in fields:
        if name in SECTIONS:
            lines += [f"\n## {SECTIONS[name]}", "", "| variable | default | meaning |", "| --- | --- | --- |"]
        secret = " *Secret.*" if name in SECRETS else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_description(field)}{secret} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    return f"`{json.dumps(value) if isinstance(value, list | dict) else value}`"


def _description(field: FieldInfo) -> str:
    text = field.description or ""
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        text += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    return text
