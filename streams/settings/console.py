"""The settings of the console: its address, TLS, sign-in and the identity provider."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ConsoleSettings(BaseSettings):
    """The part of `Settings` that only the console reads."""

    console: Literal["on", "off"] = Field(
        default="on", description="Whether `opshub up` and `opshub demo` start the console, too."
    )
    console_host: str = Field(
        default="127.0.0.1",
        description="Address on which the console listens. Any but this machine's own needs sign-in, and TLS or a "
        "proxy (`docs/guides/console-sign-in.md`).",
    )
    console_port: int = Field(default=18080, description="Port of the console. 0 takes a free port.")
    console_url: str = Field(
        default="",
        pattern=r"^(https?://[^/\s?#]+/?)?$",
        description="Address at which people reach the console, such as `https://ops.example.com`. Needed where it is "
        "not this machine's own; requests for any other host are refused.",
    )
    console_tls_cert: Path | None = Field(
        default=None, description="File with the console's certificate and its chain, PEM. With it, it serves HTTPS."
    )
    console_tls_key: Path | None = Field(default=None, description="File with the key of `console_tls_cert`, PEM.")
    console_proxy: str = Field(
        default="",
        description="The proxy before the console, which does TLS: its address or network, several with commas, or "
        "`yes` for any. X-Forwarded-For and X-Forwarded-Proto are believed from it only.",
    )
    console_plain_fields: list[str] = Field(
        default=["customer.name", "customer.legal_name"],
        description="Fields of personal data (`docs/model.md`) that the console masks for nobody, as `entity.field`; a "
        "JSON list. The default suits customers that are companies; `[]` where they are people.",
    )
    console_idle_hours: float = Field(
        default=8.0, gt=0, description="Hours without a request after which a person must sign in again."
    )
    console_session_hours: float = Field(
        default=72.0, gt=0, description="Hours after which a person must sign in again in any case."
    )
    oidc_issuer: str = Field(
        default="",
        description="Issuer of the OpenID Connect provider at which people sign in, such as "
        "`https://login.example.com/realms/company`.",
    )
    oidc_client_id: str = Field(default="", description="The console's client id at the provider.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="The client's secret at the provider.")
    oidc_scopes: str = Field(default="openid profile email", description="What is asked of the provider.")
    oidc_name_claim: str = Field(
        default="preferred_username", description="Claim that holds a person's name for lists and the audit."
    )
    oidc_roles_claim: str = Field(
        default="groups", description="Claim that holds a person's groups; a dot leads into it: `realm_access.roles`."
    )
    oidc_roles: dict[str, str] = Field(
        default={},
        description='Group at the provider → role here, as JSON: `{"opshub-admins": "admin", "sales": "approver '
        'system=demo-erp"}`. Somebody without a role cannot sign in.',
    )
    audit_days: float | None = Field(default=None, gt=0, description="Days that the audit is kept. Default: for ever.")
