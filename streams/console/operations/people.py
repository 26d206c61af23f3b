"""People of the console and what they may do: for admins, and for `opshub people`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec

from streams.console.operation import Context, operation
from streams.console.passwords import check_password, hash_password
from streams.console.people import Grant, Person, Role, from_stored, grant_text, stored
from streams.console.problems import AlreadyDone, NotAllowed, NotFound, WrongInput
from streams.console.sign_in import digest_of, new_token
from streams.hub import people as hub_people
from streams.hub.people import PersonRow, TokenRow

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")
LONGEST_TOKEN_DAYS = 366

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Days = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_TOKEN_DAYS)]


class Nothing(msgspec.Struct, frozen=True):
    """No parameter."""


class Done(msgspec.Struct, frozen=True):
    """What was done, in a sentence."""

    done: str


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `grants`: given here; `claimed`: by the identity provider at the last sign-in."""

    name: str
    full_name: str
    has_password: bool
    provider: str | None
    grants: list[Grant]
    claimed: list[Grant]
    created_at: datetime
    signed_in_at: datetime | None
    sessions: int
    tokens: int


class PeopleList(msgspec.Struct, frozen=True):
    """All people."""

    people: list[PersonView]


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Without a password, the person can sign in once an admin sets one."""

    name: Name
    full_name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    grants: list[Grant] = []
    password: str | None = None


class NamedPerson(msgspec.Struct, frozen=True):
    """A person by name."""

    name: Name


class ChangedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A role of a person, everywhere or for one system or entity."""

    name: Name
    role: Role
    system: str | None = None
    entity: str | None = None


class NewPassword(msgspec.Struct, frozen=True):
    """A password that an admin sets."""

    name: Name
    password: str


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for a person. Without grants it gets the role viewer."""

    name: Name
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """What it is for, such as nightly-report."""
    days: Days = 90
    grants: list[Grant] = []


class MadeToken(msgspec.Struct, frozen=True):
    """The only time that the secret is shown."""

    id: int
    secret: str


class TokenList(msgspec.Struct, frozen=True):
    """The tokens of a person, without their secrets."""

    tokens: list[TokenRow]


class OldToken(msgspec.Struct, frozen=True):
    """A token of a person by its number."""

    name: Name
    id: int


@operation("GET", "/people", permission="administer", command="opshub people list")
def people_list(context: Context, wanted: Nothing) -> PeopleList:
    """List the people who may use the console, with their roles."""
    with context.place.hub() as hub:
        return PeopleList([_view(row) for row in hub_people.list_people(hub)])


@operation(
    "POST", "/people", permission="administer", secret=["password"],
    command=lambda wanted: f"opshub people add {wanted.name}{_flags(wanted.grants)}",
)  # fmt: skip
def add_person(context: Context, wanted: NewPerson) -> Done:
    """Add a person. The first one must be an admin, since from then on everybody signs in."""
    name = wanted.name.strip().lower()
    if not NAME.fullmatch(name):
        raise WrongInput(f"{wanted.name!r} is no name", remedy="letters, digits and . _ @ + -, such as anna.berg")
    if wanted.password is not None:
        check_password(wanted.password, name)
    _only_what_one_has(context, wanted.grants)
    hashed = None if wanted.password is None else hash_password(wanted.password)
    with context.place.hub() as hub:
        if not hub_people.has_people(hub) and (Grant("admin") not in wanted.grants or hashed is None):
            raise WrongInput(
                "the first person must be an admin with a password, or nobody could add others",
                remedy=f"`opshub people add {name} --role admin`",
            )
        if not hub_people.add_person(
            hub, name, full_name=wanted.full_name, password=hashed, grants=stored(wanted.grants)
        ):
            raise AlreadyDone(f"there is a person named {name}", remedy="take another name")
    return Done(f"{name} may sign in")


@operation(
    "POST", "/people/{name}/grants", permission="administer",
    command=lambda wanted: f"opshub people grant {wanted.name} {wanted.role}{_limits(wanted)}",
)  # fmt: skip
def grant_role(context: Context, wanted: ChangedGrant) -> Done:
    """Give a person a role, everywhere or for one system or entity."""
    grant = Grant(wanted.role, wanted.system, wanted.entity)
    _only_what_one_has(context, [grant])
    row = _person(context, wanted.name)
    _change(context, row, [*from_stored(row.grants), grant])
    return Done(f"{row.name} is {grant_text(grant)}")


@operation(
    "POST", "/people/{name}/revoke", permission="administer",
    command=lambda wanted: f"opshub people revoke {wanted.name} {wanted.role}{_limits(wanted)}",
)  # fmt: skip
def revoke_role(context: Context, wanted: ChangedGrant) -> Done:
    """Take a role from a person; it ends at once, also in open sessions and tokens."""
    grant = Grant(wanted.role, wanted.system, wanted.entity)
    row = _person(context, wanted.name)
    left = [item for item in from_stored(row.grants) if item != grant]
    if len(left) == len(row.grants):
        raise NotFound(f"{row.name} is not {grant_text(grant)}", remedy="`opshub people list` shows the roles")
    if grant == Grant("admin"):
        _keep_an_admin(context, row.name)
    _change(context, row, left)
    return Done(f"{row.name} is not {grant_text(grant)} any more")


@operation(
    "POST", "/people/{name}/password", permission="administer", secret=["password"],
    command=lambda wanted: f"opshub people password {wanted.name}",
)  # fmt: skip
def set_password(context: Context, wanted: NewPassword) -> Done:
    """Set a person's password, and end all sessions of that person."""
    row = _person(context, wanted.name)
    if row.issuer is not None:
        raise WrongInput(f"{row.name} signs in at {row.issuer}", remedy="change the password there")
    check_password(wanted.password, row.name)
    with context.place.hub() as hub:
        hub_people.change_password(hub, row.name, hash_password(wanted.password))
        hub_people.end_sessions(hub, row.name)
    return Done(f"{row.name} has a new password")


@operation(
    "POST", "/people/{name}/sign-out", permission="administer",
    command=lambda wanted: f"opshub people sign-out {wanted.name}",
)  # fmt: skip
def sign_out_person(context: Context, wanted: NamedPerson) -> Done:
    """End all sessions of a person. Tokens stay: `remove_token` ends them."""
    row = _person(context, wanted.name)
    with context.place.hub() as hub:
        count = hub_people.end_sessions(hub, row.name)
    return Done(f"{count} sessions of {row.name} are ended")


@operation(
    "DELETE", "/people/{name}", permission="administer", command=lambda wanted: f"opshub people remove {wanted.name}"
)
def remove_person(context: Context, wanted: NamedPerson) -> Done:
    """Remove a person, with all sessions and tokens. What that person did stays in the audit."""
    row = _person(context, wanted.name)
    if Grant("admin") in from_stored(row.grants):
        _keep_an_admin(context, row.name)
    with context.place.hub() as hub:
        hub_people.remove_person(hub, row.name)
    return Done(f"{row.name} is removed")


@operation("GET", "/people/{name}/tokens", permission="administer",
           command=lambda wanted: f"opshub people tokens {wanted.name}")  # fmt: skip
def person_tokens(context: Context, wanted: NamedPerson) -> TokenList:
    """List the tokens of a person."""
    with context.place.hub() as hub:
        return TokenList(hub_people.tokens_of(hub, wanted.name.lower()))


@operation(
    "POST", "/people/{name}/tokens", permission="administer", keeps_result=False,
    command=lambda wanted: (
        f"opshub people token {wanted.name} {wanted.token} --days {wanted.days}{_flags(wanted.grants)}"
    ),
)  # fmt: skip
def add_token(context: Context, wanted: NewToken) -> MadeToken:
    """Make a token for a program that calls the API as this person, with these rights or fewer."""
    return make_token(context, wanted)


@operation(
    "DELETE", "/people/{name}/tokens/{id}", permission="administer",
    command=lambda wanted: f"opshub people end-token {wanted.name} {wanted.id}",
)  # fmt: skip
def remove_token(context: Context, wanted: OldToken) -> Done:
    """End a token of a person."""
    with context.place.hub() as hub:
        name = hub_people.remove_token(hub, wanted.name.lower(), wanted.id)
    if name is None:
        raise NotFound(f"{wanted.name} has no token {wanted.id}", remedy=f"`opshub people tokens {wanted.name}`")
    return Done(f"the token {name} is ended")


def make_token(context: Context, wanted: NewToken) -> MadeToken:
    """For the operations of admins and of each person. Raises NotAllowed for more than the owner has."""
    if context.person.token is not None:
        raise NotAllowed("a token makes no tokens", remedy="sign in, or use the command line")
    row = _person(context, wanted.name)
    grants = wanted.grants or [Grant("viewer")]
    owner = Person(row.name, from_stored([*row.grants, *row.claimed]))
    for grant in grants:
        if not owner.holds(grant):
            raise NotAllowed(
                f"{row.name} is not {grant_text(grant)} and can have no token that is",
                remedy="give the person the role first, or the token less",
            )
    secret = new_token()
    with context.place.hub() as hub:
        number = hub_people.add_token(
            hub, row.name, wanted.token.strip(), digest_of(secret), grants=stored(grants), days=wanted.days
        )
    if number is None:
        raise AlreadyDone(f"{row.name} has a token named {wanted.token}", remedy="end it, or take another name")
    return MadeToken(number, secret)


def _view(row: PersonRow) -> PersonView:
    return PersonView(
        name=row.name, full_name=row.full_name, has_password=row.has_password, provider=row.issuer,
        grants=list(from_stored(row.grants)), claimed=list(from_stored(row.claimed)), created_at=row.created_at,
        signed_in_at=row.signed_in_at, sessions=row.sessions, tokens=row.tokens,
    )  # fmt: skip


def _person(context: Context, name: str) -> PersonRow:
    with context.place.hub() as hub:
        rows = hub_people.list_people(hub, name.strip().lower())
    if not rows:
        raise NotFound(f"there is no person named {name}", remedy="`opshub people list` shows all")
    return rows[0]


def _change(context: Context, row: PersonRow, grants: list[Grant]) -> None:
    with context.place.hub() as hub:
        if not hub_people.change_grants(hub, row.name, row.grants, stored(grants)):
            raise AlreadyDone(f"somebody else changed {row.name} just now", remedy="look again, then repeat")


def _only_what_one_has(context: Context, grants: list[Grant]) -> None:
    for grant in grants:
        if not context.person.holds(grant):
            raise NotAllowed(
                f"{context.person.name} cannot give {grant_text(grant)}", remedy="nobody gives more than they have"
            )


def _keep_an_admin(context: Context, name: str) -> None:
    """Raises AlreadyDone where nobody else is admin. At the keyboard that is allowed: there one can add another."""
    if context.via == "command":
        return
    with context.place.hub() as hub:
        rows = hub_people.list_people(hub)
    if not any(row.name != name and Grant("admin") in from_stored([*row.grants, *row.claimed]) for row in rows):
        raise AlreadyDone(f"{name} is the last admin", remedy="make somebody else admin first")


def _limits(wanted: ChangedGrant) -> str:
    return "".join(f" --{name} {value}" for name in ("system", "entity") if (value := getattr(wanted, name)))


def _flags(grants: list[Grant]) -> str:
    return "".join(f" --role '{text}'" if " " in (text := grant_text(grant)) else f" --role {text}" for grant in grants)
