"""People of the console, their sessions and tokens: a function for each statement of `sql/people.sql`.

Grants are JSON objects {role, system, entity} here; what a role allows is `streams/console/people.py`'s. Ids of
sessions and tokens come as their SHA-256 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import SQL, fetch_structs

StoredGrants = Sequence[dict[str, str]]


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person as admins see them. `grants`: given here; `claimed`: by the identity provider at the last sign-in."""

    name: str
    full_name: str
    has_password: bool
    issuer: str | None
    subject: str | None
    grants: list[dict[str, str]]
    claimed: list[dict[str, str]]
    created_at: datetime
    signed_in_at: datetime | None
    sessions: int
    tokens: int


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Whose session or token it is. `token_grants` is None for a session."""

    name: str
    full_name: str
    grants: list[dict[str, str]]
    claimed: list[dict[str, str]]
    token: str | None = None
    token_grants: list[dict[str, str]] | None = None


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in browser. `id`: the start of its hash, to name it in a list."""

    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str
    is_this: bool | None


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token of the API, without its secret, which only its maker has."""

    id: int
    person: str
    name: str
    grants: list[dict[str, str]]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    is_over: bool


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Id(msgspec.Struct, frozen=True):
    id: int


class _Password(msgspec.Struct, frozen=True):
    password: str | None


class _Exists(msgspec.Struct, frozen=True):
    has_people: bool


class _Data(msgspec.Struct, frozen=True):
    data: dict[str, Any]


def has_people(hub: Hub) -> bool:
    """Whether anybody is known: then the console needs sign-in."""
    return fetch_structs(hub, _Exists, "has_people")[0].has_people


def list_people(hub: Hub, name: str | None = None) -> list[PersonRow]:
    """All people by name, or the one of this name."""
    return fetch_structs(hub, PersonRow, "people", {"name": name})


def person_of_provider(hub: Hub, issuer: str, subject: str) -> str | None:
    """The name of the person who is this subject at the identity provider."""
    rows = fetch_structs(hub, _Name, "person_of_provider", {"issuer": issuer, "subject": subject})
    return rows[0].name if rows else None


def password_of(hub: Hub, name: str) -> str | None:
    """The hash of a password; None for somebody unknown, and for whoever signs in at the identity provider."""
    rows = fetch_structs(hub, _Password, "password_of", [name])
    return rows[0].password if rows else None


def add_person(
    hub: Hub,
    name: str,
    *,
    full_name: str = "",
    password: str | None = None,
    issuer: str | None = None,
    subject: str | None = None,
    grants: StoredGrants = (),
) -> bool:
    """False where the name, or the subject, is taken."""
    parameters = {
        "name": name, "full_name": full_name, "password": password, "issuer": issuer, "subject": subject,
        "grants": _json(grants),
    }  # fmt: skip
    return bool(fetch_structs(hub, _Name, "add_person", parameters))


def change_grants(hub: Hub, name: str, before: StoredGrants, grants: StoredGrants) -> bool:
    """False where somebody changed them meanwhile, or the person is gone."""
    parameters = {"name": name, "before": _json(before), "grants": _json(grants)}
    return bool(fetch_structs(hub, _Name, "change_grants", parameters))


def change_password(hub: Hub, name: str, password: str) -> bool:
    """`password` is the hash. False where there is no such person."""
    return bool(fetch_structs(hub, _Name, "change_password", {"name": name, "password": password}))


def person_signed_in(hub: Hub, name: str, *, claimed: StoredGrants | None = None, full_name: str | None = None) -> None:
    """Keep when; and what the identity provider says now."""
    parameters = {"name": name, "claimed": None if claimed is None else _json(claimed), "full_name": full_name}
    fetch_structs(hub, _Name, "person_signed_in", parameters)


def remove_person(hub: Hub, name: str) -> bool:
    """With all sessions and tokens. False where there is no such person."""
    return bool(fetch_structs(hub, _Name, "remove_person", [name]))


def begin_session(hub: Hub, digest: bytes, person: str, *, seconds: float, address: str, agent: str) -> None:
    """A browser signed in, for so many seconds at most."""
    parameters = {"hash": digest, "person": person, "seconds": seconds, "address": address, "agent": agent[:200]}
    hub.execute(SQL["begin_session"], parameters)


def use_session(hub: Hub, digest: bytes, *, idle_s: float) -> SignedIn | None:
    """Who is signed in by this; None where it is over, was not used for `idle_s`, or never was."""
    rows = fetch_structs(hub, SignedIn, "use_session", {"hash": digest, "idle": idle_s})
    return rows[0] if rows else None


def session_now(hub: Hub, digest: bytes, *, idle_s: float) -> SignedIn | None:
    """As `use_session`, without counting as use."""
    rows = fetch_structs(hub, SignedIn, "session_now", {"hash": digest, "idle": idle_s})
    return rows[0] if rows else None


def sessions_of(hub: Hub, person: str, *, idle_s: float, this: bytes | None = None) -> list[SessionRow]:
    """The signed-in browsers of a person, the one used last first."""
    return fetch_structs(hub, SessionRow, "sessions_of", {"person": person, "idle": idle_s, "hash": this})


def end_session(hub: Hub, digest: bytes) -> str | None:
    """Whose it was."""
    rows = fetch_structs(hub, _Name, "end_session", [digest])
    return rows[0].name if rows else None


def end_sessions(hub: Hub, person: str, *, keep: bytes | None = None) -> int:
    """End all sessions of a person but `keep`; how many."""
    return len(fetch_structs(hub, _Name, "end_sessions", {"person": person, "keep": keep}))


def add_token(hub: Hub, person: str, name: str, digest: bytes, *, grants: StoredGrants, days: int) -> int | None:
    """The token's number; None where the person has one of this name."""
    parameters = {"person": person, "name": name, "hash": digest, "grants": _json(grants), "days": days}
    rows = fetch_structs(hub, _Id, "add_token", parameters)
    return rows[0].id if rows else None


def use_token(hub: Hub, digest: bytes) -> SignedIn | None:
    """Whose token it is; None where it is over or never was."""
    rows = fetch_structs(hub, SignedIn, "use_token", {"hash": digest})
    return rows[0] if rows else None


def tokens_of(hub: Hub, person: str) -> list[TokenRow]:
    """All tokens of a person, also those that are over."""
    return fetch_structs(hub, TokenRow, "tokens_of", [person])


def remove_token(hub: Hub, person: str, number: int) -> str | None:
    """The name of the token, which ends with this; None where the person has none of this number."""
    rows = fetch_structs(hub, _Name, "remove_token", {"id": number, "person": person})
    return rows[0].name if rows else None


def begin_provider_sign_in(hub: Hub, digest: bytes, data: dict[str, Any]) -> None:
    """Keep what the callback needs, for ten minutes."""
    hub.execute(SQL["begin_provider_sign_in"], {"hash": digest, "data": msgspec.json.encode(data).decode()})


def end_provider_sign_in(hub: Hub, digest: bytes) -> dict[str, Any] | None:
    """What was kept; only once."""
    rows = fetch_structs(hub, _Data, "end_provider_sign_in", [digest])
    return rows[0].data if rows else None


def _json(grants: StoredGrants) -> str:
    return msgspec.json.encode(list(grants)).decode()
