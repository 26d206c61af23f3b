"""Dead letters as a person handles them: list, show, edit, drop. Each change leaves an entry in the audit.

In: the hub. Out: `StoredDeadLetter`s. `retry` (streams/dead_letters/retry.py) is the way back into the pipeline. All
functions raise EnvironmentFault while the hub does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.dead_letters.release import is_raw, release_keys
from streams.errors import ConfigError
from streams.hub import dead_letters as hub
from streams.hub.dead_letters import AuditEntry, Filter, StoredDeadLetter
from streams.hub.session import hub_session
from streams.model.dead_letter import OPEN, State
from streams.settings import Settings


class Details(msgspec.Struct, frozen=True):
    """One dead letter with its history."""

    dead_letter: StoredDeadLetter
    original: bytes | None
    """The value as it came, whatever it was edited to."""
    edited_by: str | None
    waiting_behind: int
    """Records of its key that are parked behind it."""
    audit: list[AuditEntry]


def find(settings: Settings, wanted: Filter, limit: int = 50) -> list[StoredDeadLetter]:
    """The oldest first, at most `limit`."""
    with hub_session(settings.hub) as connection:
        return hub.find_dead_letters(connection, wanted, limit)


def count(settings: Settings, wanted: Filter) -> int:
    """How many match, whatever a list shows of them."""
    with hub_session(settings.hub) as connection:
        return hub.count_dead_letters(connection, wanted)


def get(settings: Settings, dead_letter_id: int) -> StoredDeadLetter:
    """Raises ConfigError when there is no dead letter of that number."""
    dead_letters = find(settings, Filter(ids=(dead_letter_id,)), 1)
    if not dead_letters:
        raise ConfigError(f"there is no dead letter {dead_letter_id}", remedy="`opshub dlq list` shows their numbers")
    return dead_letters[0]


def show(settings: Settings, dead_letter_id: int) -> Details:
    """Raises ConfigError when there is no dead letter of that number."""
    dead_letter = get(settings, dead_letter_id)
    with hub_session(settings.hub) as connection:
        original = hub.original(connection, dead_letter_id)
        audit = hub.audit_entries(connection, dead_letter_id)
    return Details(dead_letter, original.value, original.edited_by, original.waiting_behind, audit)


def edit(settings: Settings, dead_letter_id: int, value: bytes, who: str) -> StoredDeadLetter:
    """Let the next retry use `value`; the original is kept.

    Raises ConfigError for a raw record that is not JSON, and for a dead letter that is settled.
    """
    dead_letter = get(settings, dead_letter_id)
    if dead_letter.state not in OPEN:
        raise ConfigError(
            f"dead letter {dead_letter_id} is {dead_letter.state} already",
            remedy="only open dead letters can be edited",
        )
    if is_raw(dead_letter):
        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"the edit is not JSON: {error}", remedy="edit what `opshub dlq show` prints as `value`"
            ) from error
    with hub_session(settings.hub) as connection:
        hub.save_edit(connection, dead_letter_id, value, who)
        hub.audit(connection, [dead_letter_id], who, "edit", f"{len(dead_letter.value or b'')} -> {len(value)} bytes")
    return get(settings, dead_letter_id)


def drop(
    settings: Settings, wanted: Filter, reason: str, who: str, *, limit: int = 1000, dry_run: bool = False
) -> list[StoredDeadLetter]:
    """Give dead letters up for good; the records that are parked behind them are processed.

    Raises ConfigError without a reason.
    """
    if not reason.strip():
        raise ConfigError("a dead letter is dropped for a reason", remedy="say --reason")
    chosen = choose(settings, wanted, OPEN, limit)
    if dry_run or not chosen:
        return chosen
    ids = [dead_letter.id for dead_letter in chosen]
    with hub_session(settings.hub) as connection:
        hub.set_state(connection, ids, "dropped")
        hub.audit(connection, ids, who, "drop", reason)
    # After the commit: the worker that gets the control record reads the states from the hub.
    release_keys(settings, chosen)
    return chosen


def choose(settings: Settings, wanted: Filter, states: Sequence[State], limit: int) -> list[StoredDeadLetter]:
    """Those that match, of these states where the filter names none."""
    return find(settings, wanted if wanted.states else msgspec.structs.replace(wanted, states=tuple(states)), limit)


def shown(dead_letter: StoredDeadLetter) -> dict[str, object]:
    """As JSON values; bytes that are not UTF-8 are shown as `hex:…`."""
    return msgspec.structs.asdict(dead_letter) | {"key": text_of(dead_letter.key), "value": text_of(dead_letter.value)}


def text_of(value: bytes | None) -> str | None:
    """Bytes as text, or as `hex:…` where they are not UTF-8."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"
