"""Who is at the console: sign-in by password, sessions of browsers, tokens of programs.

A session's id and a token are random texts of 256 bits. Only browser and program have them; the hub keeps their
SHA-256.
Every sign-in makes a new id, so nobody can prepare one for somebody else.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from streams.cli.context import who
from streams.console.limits import SignInLimits
from streams.console.passwords import hash_password, is_outdated, is_password
from streams.console.people import Grant, Person, from_stored
from streams.console.place import Place
from streams.console.problems import NotAllowed, SignInNeeded
from streams.errors import EnvironmentFault
from streams.hub import people as hub_people
from streams.hub.audit import begin_audit, end_audit
from streams.hub.people import SignedIn
from streams.settings import Settings

TOKEN_PREFIX = "opshub_"
"""So that people and scanners for secrets see what it is."""

HOUR_S = 3600
KNOWN_FOR_S = 1.0
AWAY_FOR_S = 5.0


class From(NamedTuple):
    """Where somebody signs in."""

    address: str
    agent: str


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class SignIn:
    """Sign-ins and sessions of one console. `is_local`: only this machine reaches it."""

    def __init__(self, place: Place, *, is_local: bool) -> None:
        self._place = place
        self._settings: Settings = place.settings
        self._is_local = is_local
        self._limits = SignInLimits()
        self._plain = frozenset(place.settings.console_plain_fields)
        self._known: tuple[float, bool] | None = None
        # Remembers, while the hub is away, that people were known: then nobody is let in without asking it.
        self._marker = Path(place.settings.state_dir) / "run" / "console-people"

    @property
    def has_provider(self) -> bool:
        return bool(self._settings.oidc_issuer)

    @property
    def idle_s(self) -> float:
        return self._settings.console_idle_hours * HOUR_S

    def needs_sign_in(self) -> bool:
        """Whether a request without session or token is nobody's. Raises EnvironmentFault where only the hub knows."""
        if not self._is_local or self.has_provider:
            return True
        if self._known is not None and time.monotonic() - self._known[0] < KNOWN_FOR_S:
            return self._known[1]
        try:
            with self._place.hub() as hub:
                is_needed = hub_people.has_people(hub)
        except EnvironmentFault:
            if self._marker.exists() or (self._known is not None and self._known[1]):
                raise
            # Each try waits for seconds: while the hub is away, not every request makes one.
            self._known = (time.monotonic() + AWAY_FOR_S, False)
            return False
        if is_needed and not self._marker.exists():
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.touch()
        elif not is_needed:
            self._marker.unlink(missing_ok=True)
        self._known = (time.monotonic(), is_needed)
        return is_needed

    def person(self, *, session: str | None, token: str | None) -> Person | None:
        """Whose request it is; None: nobody's. Raises SignInNeeded for a token that is none, EnvironmentFault."""
        if token is not None:
            return self._of_token(token)
        if session:
            digest = digest_of(session)
            with self._place.hub() as hub:
                signed_in = hub_people.use_session(hub, digest, idle_s=self.idle_s)
            if signed_in is not None:
                return Person(signed_in.name, _grants(signed_in), session=digest, plain_fields=self._plain)
        if self.needs_sign_in():
            return None
        return Person(who(), (Grant("admin"),), is_local=True, plain_fields=self._plain)

    def stands(self, person: Person) -> bool:
        """Whether the person of an open stream is still signed in, with the same rights. True while the hub is away."""
        try:
            if person.session is None:
                return person.is_local and not self.needs_sign_in()
            with self._place.hub() as hub:
                now = hub_people.session_now(hub, person.session, idle_s=self.idle_s)
        except EnvironmentFault:
            return True
        return now is not None and _grants(now) == person.grants

    def _of_token(self, token: str) -> Person:
        signed_in = None
        if token.startswith(TOKEN_PREFIX):
            with self._place.hub() as hub:
                signed_in = hub_people.use_token(hub, digest_of(token))
        if signed_in is None:
            raise SignInNeeded(
                "the token is unknown, or over", remedy="make one: `opshub people token`, or the page /me"
            )
        owner = Person(signed_in.name, _grants(signed_in))
        # A token never has more than its person has now.
        grants = tuple(grant for grant in from_stored(signed_in.token_grants or ()) if owner.holds(grant))
        return Person(signed_in.name, grants, token=signed_in.token, plain_fields=self._plain)

    def by_password(self, name: str, password: str, where: From, *, before: str | None = None) -> str:
        """Sign in, and return the new session's id; the session `before` of this browser ends.

        Raises NotAllowed, which is the same for an unknown name and for a wrong password, and TooMany.
        """
        name = name.strip().lower()
        self._limits.check(name, where.address)
        with self._place.hub() as hub:
            hashed = hub_people.password_of(hub, name)
        is_right = is_password(hashed, password)
        if not is_right or hashed is None:
            self._limits.failed(name, where.address)
            # A name that nobody has may be a password in the wrong field: it is not written down.
            known = name if hashed is not None else "somebody unknown"
            self.audit(known, where, failed="the name or the password is wrong")
            raise NotAllowed("the name or the password is wrong", remedy="an admin can set a new password")
        self._limits.passed(name, where.address)
        if is_outdated(hashed):
            with self._place.hub() as hub:
                hub_people.change_password(hub, name, hash_password(password))
        with self._place.hub() as hub:
            hub_people.person_signed_in(hub, name)
        return self.begin(name, where, before=before)

    def begin(self, name: str, where: From, *, before: str | None = None) -> str:
        """A new session of somebody whose identity is proved."""
        secret = secrets.token_urlsafe(32)
        with self._place.hub() as hub:
            if before:
                hub_people.end_session(hub, digest_of(before))
            hub_people.begin_session(
                hub, digest_of(secret), name, seconds=self._settings.console_session_hours * HOUR_S,
                address=where.address, agent=where.agent,
            )  # fmt: skip
        self.audit(name, where)
        return secret

    def end(self, session: str) -> None:
        """Sign a browser out."""
        with self._place.hub() as hub:
            name = hub_people.end_session(hub, digest_of(session))
            if name:
                end_audit(
                    hub, begin_audit(hub, who=name, what="sign_out", via="page", wanted={}, about=name), result={}
                )

    def audit(self, name: str, where: From, *, failed: str | None = None) -> None:
        """Write a sign-in to the audit, or that one failed."""
        with self._place.hub() as hub:
            entry = begin_audit(
                hub, who=name, what="sign_in", via="page", about=name, wanted={"address": where.address}
            )
            end_audit(hub, entry, result=None if failed else {}, failed=failed)


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def _grants(signed_in: SignedIn) -> tuple[Grant, ...]:
    return from_stored([*signed_in.grants, *signed_in.claimed])
