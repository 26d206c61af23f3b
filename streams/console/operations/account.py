"""One's own account: who am I, password, sessions, tokens. The page /me."""

from __future__ import annotations

from typing import Annotated, get_args

import msgspec

from streams.console.operation import Context, operation
from streams.console.operations.people import Days, Done, MadeToken, NewToken, Nothing, make_token
from streams.console.passwords import check_password, hash_password, is_password
from streams.console.people import Grant, Permission, permissions_of
from streams.console.problems import NotAllowed, NotFound
from streams.hub import people as hub_people
from streams.hub.people import SessionRow, TokenRow

HOUR_S = 3600


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what that person may do."""

    name: str
    is_local: bool
    """Nobody signs in here: whoever sits at this machine may do everything."""
    token: str | None
    """The token that asks, if it is one."""
    grants: list[Grant]
    permissions: list[Permission]
    has_password: bool
    sessions: list[SessionRow]
    tokens: list[TokenRow]


class ChangedPassword(msgspec.Struct, frozen=True):
    """The password as it was, and as it will be."""

    old: str
    new: str


class OwnToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token of one's own. Without grants it gets the role viewer."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """What it is for, such as nightly-report."""
    days: Days = 90
    grants: list[Grant] = []


class TokenNumber(msgspec.Struct, frozen=True):
    """A token by its number."""

    id: int


@operation("GET", "/me", permission="see")
def who_am_i(context: Context, wanted: Nothing) -> Me:
    """Show who is signed in, with roles, sessions and tokens."""
    person = context.person
    allowed = {item for grant in person.grants for item in permissions_of(grant.role)}
    sessions: list[SessionRow] = []
    tokens: list[TokenRow] = []
    has_password = False
    if not person.is_local:
        idle_s = context.place.settings.console_idle_hours * HOUR_S
        with context.place.hub() as hub:
            sessions = hub_people.sessions_of(hub, person.name, idle_s=idle_s, this=person.session)
            tokens = hub_people.tokens_of(hub, person.name)
            has_password = hub_people.password_of(hub, person.name) is not None
    return Me(
        name=person.name, is_local=person.is_local, token=person.token, grants=list(person.grants),
        permissions=[item for item in get_args(Permission) if item in allowed],
        has_password=has_password, sessions=sessions, tokens=tokens,
    )  # fmt: skip


@operation("POST", "/me/password", permission="see", secret=["old", "new"])
def change_own_password(context: Context, wanted: ChangedPassword) -> Done:
    """Change one's own password; all other sessions end."""
    name = _signed_in(context)
    with context.place.hub() as hub:
        hashed = hub_people.password_of(hub, name)
    if not is_password(hashed, wanted.old):
        raise NotAllowed("the old password is wrong", remedy="an admin can set a new one")
    check_password(wanted.new, name)
    with context.place.hub() as hub:
        hub_people.change_password(hub, name, hash_password(wanted.new))
        hub_people.end_sessions(hub, name, keep=context.person.session)
    return Done("the password is changed, and all other sessions are ended")


@operation("POST", "/me/sign-out-everywhere", permission="see")
def sign_out_everywhere(context: Context, wanted: Nothing) -> Done:
    """End all of one's own sessions, this one too."""
    name = _signed_in(context)
    with context.place.hub() as hub:
        count = hub_people.end_sessions(hub, name)
    return Done(f"{count} sessions are ended")


@operation("POST", "/me/tokens", permission="see", keeps_result=False)
def add_own_token(context: Context, wanted: OwnToken) -> MadeToken:
    """Make a token for a program that calls the API as oneself, with fewer rights or the same."""
    name = _signed_in(context)
    return make_token(context, NewToken(name=name, token=wanted.token, days=wanted.days, grants=wanted.grants))


@operation("DELETE", "/me/tokens/{id}", permission="see")
def remove_own_token(context: Context, wanted: TokenNumber) -> Done:
    """End one of one's own tokens."""
    name = _signed_in(context)
    with context.place.hub() as hub:
        token = hub_people.remove_token(hub, name, wanted.id)
    if token is None:
        raise NotFound(f"you have no token {wanted.id}", remedy="the page /me lists them")
    return Done(f"the token {token} is ended")


def _signed_in(context: Context) -> str:
    """The name of whoever signed in. Raises NotAllowed for a token, and where nobody signs in."""
    if context.person.is_local or context.person.token is not None:
        raise NotAllowed("this needs somebody who signed in at a page", remedy="sign in; or `opshub people`")
    return context.person.name
