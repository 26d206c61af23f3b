"""Retry dead letters, each key in order.

The worker that owns the partition of a raw record retries it, from the bytes in the hub, in order with all parked
records of its key: `retry` marks it and sends that worker a control record. A message between aggregates
(`changes.…`) parks nothing: `retry` produces it again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.dead_letters.release import is_raw, produce_again, release_keys
from streams.dead_letters.store import choose, count, find
from streams.errors import EnvironmentFault
from streams.hub import dead_letters as hub
from streams.hub.dead_letters import Filter, StoredDeadLetter
from streams.hub.session import hub_session
from streams.model.dead_letter import OPEN
from streams.settings import Settings

MOST_TRIES = 5
"""A dead letter that failed as often as this is retried only by force: nothing that a retry changes seems to help
it.
"""


def retry(
    settings: Settings, wanted: Filter, who: str, *, limit: int = 1000, force: bool = False, dry_run: bool = False
) -> list[StoredDeadLetter]:
    """Retry dead letters; those that were chosen come back. One that failed `MOST_TRIES` times is skipped, but by
    `force`.

    Raises EnvironmentFault while the hub or Kafka does not answer.
    """
    chosen = choose(settings, wanted, ("dead", "retry"), limit)
    if not force:
        chosen = [dead_letter for dead_letter in chosen if dead_letter.tried < MOST_TRIES]
    if dry_run or not chosen:
        return chosen
    raw = [record for record in chosen if is_raw(record)]
    messages = [record for record in chosen if not is_raw(record)]
    with hub_session(settings.hub) as connection:
        hub.set_state(connection, [dead_letter.id for dead_letter in raw], "retry")
        hub.audit(connection, [dead_letter.id for dead_letter in chosen], who, "retry", "by force" if force else "")
    if not ((not raw or release_keys(settings, raw)) and (not messages or produce_again(settings, messages))):
        raise EnvironmentFault(
            f"Kafka at {settings.kafka} did not acknowledge the retries",
            remedy="they stay marked, and workers retry them; `opshub dlq list --state retry` shows them",
        )
    if messages:
        with hub_session(settings.hub) as connection:
            hub.set_state(connection, [dead_letter.id for dead_letter in messages], "retried")
    return chosen


def explain_skipped(
    settings: Settings, wanted: Filter, chosen: Iterable[StoredDeadLetter], *, force: bool = False
) -> list[str]:
    """Why `retry` did not choose dead letters that match, as sentences."""
    chosen_ids = {dead_letter.id for dead_letter in chosen}
    if not wanted.ids:
        matching = count(settings, msgspec.structs.replace(wanted, states=("dead", "retry")))
        if matching <= len(chosen_ids):
            return []
        by_force = "" if force else f" (--force takes those, too, that failed {MOST_TRIES} times)"
        return [f"{matching - len(chosen_ids):,} more match: a larger --limit takes them{by_force}"]
    known = {dead_letter.id: dead_letter for dead_letter in find(settings, Filter(ids=wanted.ids), len(wanted.ids))}
    reasons = []
    for dead_letter_id in wanted.ids:
        dead_letter = known.get(dead_letter_id)
        if dead_letter is None:
            reasons.append(f"there is no dead letter {dead_letter_id}")
        elif dead_letter.state == "parked":
            reasons.append(f"record {dead_letter_id} is parked behind another of its key, and is retried with that")
        elif dead_letter.state not in OPEN:
            reasons.append(f"dead letter {dead_letter_id} is {dead_letter.state} already")
        elif dead_letter_id not in chosen_ids and dead_letter.tried >= MOST_TRIES and not force:
            reasons.append(
                f"dead letter {dead_letter_id} failed {dead_letter.tried} times: mend the cause first, then say --force"
            )
    return reasons
