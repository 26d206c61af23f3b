"""Who may do what: roles and the permissions that each gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from streams.errors import ConfigError

Role = Literal["viewer", "operator", "approver", "steward", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

Permission = Literal["see", "unmask", "operate", "approve", "decide", "administer"]
"""see: read all pages; unmask: see personal data; operate: retry, drop, pause, resume; approve: intents;
decide: conflicts, merges; administer: people, tokens, alert rules.
"""

_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"see"}),
    "operator": frozenset({"see", "operate"}),
    "approver": frozenset({"see", "unmask", "approve"}),
    "steward": frozenset({"see", "unmask", "decide"}),
    "admin": frozenset(get_args(Permission)),
}


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A role, everywhere or only for one system or one entity."""

    role: Role
    system: str | None = None
    entity: str | None = None


class Person(msgspec.Struct, frozen=True):
    """Who is at the page, or whose token calls the API."""

    name: str
    grants: Sequence[Grant] = ()
    is_local: bool = False
    """No sign-in is set up: whoever sits at this machine."""
    token: str | None = None
    """Name of the token by which a program acts for this person."""
    session: bytes | None = None
    """Hash of the browser's session."""
    plain_fields: frozenset[str] = frozenset()
    """`entity.field` of personal data that the settings let everybody see."""

    def may(
        self, permission: Permission, *, system: str | None = None, entity: str | None = None, anywhere: bool = True
    ) -> bool:
        """Whether a grant allows this. A grant for one system or entity allows it only there.

        `anywhere`: where no system or entity is named, a grant for any is enough. That suits reading a list. Without
        it, what belongs to no single system or entity needs a grant without that limit.
        """
        return any(
            permission in _PERMISSIONS[grant.role]
            and _covers(grant.system, system, anywhere)
            and _covers(grant.entity, entity, anywhere)
            for grant in self.grants
        )

    @property
    def roles(self) -> list[Role]:
        return [role for role in ROLES if any(grant.role == role for grant in self.grants)]

    def holds(self, grant: Grant) -> bool:
        """Whether this person has all that the grant would give: nobody gives more than they have."""
        return all(
            self.may(permission, system=grant.system, entity=grant.entity, anywhere=False)
            for permission in _PERMISSIONS[grant.role]
        )


def permissions_of(role: Role) -> frozenset[Permission]:
    """What a role allows."""
    return _PERMISSIONS[role]


def read_grant(text: str) -> Grant:
    """A grant from its text: `viewer`, `approver system=demo-erp`, `steward entity=customer`. Raises ConfigError."""
    role, *limits = text.split()
    given = dict(limit.partition("=")[::2] for limit in limits)
    if role not in ROLES or not all(given.values()) or given.keys() - {"system", "entity"}:
        raise ConfigError(
            f"{text!r} is no grant",
            remedy=f"a role ({', '.join(ROLES)}), then system=… or entity=… if it is for one only",
        )
    return Grant(role, given.get("system"), given.get("entity"))


def grant_text(grant: Grant) -> str:
    """As `read_grant` reads it."""
    limits = [f" {name}={value}" for name in ("system", "entity") if (value := getattr(grant, name))]
    return grant.role + "".join(limits)


def stored(grants: Iterable[Grant]) -> list[dict[str, str]]:
    """As the hub keeps them: in one order, each once."""
    return [msgspec.to_builtins(grant) for grant in sorted(set(grants), key=grant_text)]


def from_stored(grants: Iterable[Mapping[str, str]]) -> tuple[Grant, ...]:
    """What the hub keeps. A role that this version does not know gives nothing."""
    return tuple(msgspec.convert(grant, Grant) for grant in grants if grant.get("role") in ROLES)


def _covers(limit: str | None, named: str | None, anywhere: bool) -> bool:
    return limit is None or limit == named or (named is None and anywhere)
