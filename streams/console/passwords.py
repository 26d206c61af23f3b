"""Passwords: argon2id hashes, and what a password must be."""

from __future__ import annotations

import secrets
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from streams.console.problems import WrongInput

SHORTEST = 12
LONGEST = 256
"""Characters. Longer ones would only cost time."""

_hasher = PasswordHasher()
# Each hash takes 64 MiB: a flood of sign-ins must not take the machine's memory.
_at_once = BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """argon2id, with the parameters in the text."""
    with _at_once:
        return _hasher.hash(password)


def is_password(hashed: str | None, password: str) -> bool:
    """Whether this is the password. Takes the same time where there is none, so that nobody learns who is known."""
    with _at_once:
        try:
            return _hasher.verify(hashed or _nobodys(), password[: LONGEST + 1]) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(hashed: str) -> bool:
    """Whether the parameters have become stronger since."""
    return _hasher.check_needs_rehash(hashed)


def check_password(password: str, name: str) -> None:
    """Raises WrongInput for a password that is too easy."""
    wrong = ""
    if not SHORTEST <= len(password) <= LONGEST:
        wrong = f"a password has {SHORTEST} to {LONGEST} characters"
    elif len(set(password)) < 5:
        wrong = "the password has fewer than five different characters"
    elif name.lower() in password.lower() or "opshub" in password.lower():
        wrong = "the password contains your name or ours"
    if wrong:
        raise WrongInput(
            wrong, remedy="take four words that do not belong together, or let a password manager make one"
        )


def random_password() -> str:
    """Four groups of five characters that are easy to read aloud."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())
