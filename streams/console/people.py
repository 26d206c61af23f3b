"""Who may do what: roles and the permissions that each gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

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


def _covers(limit: str | None, named: str | None, anywhere: bool) -> bool:
    return limit is None or limit == named or (named is None and anywhere)
