"""Which records of two systems are the same, by keys that both carry: a tax number, an e-mail domain with a name, an
article number.

In: records that this batch settled. Out: claims on the hub's table `match_key`, whose primary key decides between
workers; and from the hub's answer, links to send and conflicts to log.

The record whose system ranks first keeps its id, then the record with the smaller id, so a replay links the same way.
Two records of one system with one key are a conflict, which a person decides. It ends when one of them no longer has
the key, or when they are merged. A record that waits for a key is refreshed when the key's holder releases it.

A key that more records of one system carry than `match_limit` names nobody: it is shared, and links nothing any more.
Values that are known to stand for anybody are no key from the start: streams/mapping/placeholders.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from streams.hub.save import Claims, HeldKey, KeyClaim, OwnKey
from streams.hub.shared_keys import Carrier
from streams.identity.cache import Bounded
from streams.mapping.placeholders import CHECKED_FIELDS, says_nothing, stands_for_anybody
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import MATCHER, PEOPLE, changes_topic
from streams.model.state import Conflict, Contribution, EntityState
from streams.resolve.rules import Ownership
from streams.writeback.values import Fields

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


class Claimant(NamedTuple):
    """A master record that may carry match keys."""

    entity: EntityState
    aggregate_id: str
    check: bool
    """Ask the hub even if the cache knows the keys: a worker may have died before it sent the links, or another record
    released a key.
    """


class Round(NamedTuple):
    """Claims in which each key occurs once, with who claims it."""

    claims: Claims
    claimants: dict[tuple[str, str], Claimant]
    """(entity, match key) → the record that claims it."""


class ClaimedKeys(NamedTuple):
    """The claims of one batch. Two records of a batch with one key claim it in two rounds."""

    rounds: list[Round]
    signatures: dict[str, str]
    """entity id → what its claims depend on."""

    @property
    def claims(self) -> list[Claims]:
        return [step.claims for step in self.rounds]


NO_CLAIMS = ClaimedKeys([], {})


class _Wanted(NamedTuple):
    """One record that wants one key."""

    rank: int
    holder: str
    claimant: Claimant
    guard: str | None


def keys_of(entity: EntityState, ownership: Ownership) -> dict[str, str | None]:
    """Match key → its guard, from all contributions of a record.

    The guard of a weaker key is the strongest key of the record: two records with one e-mail domain and two tax numbers
    are two. The strongest key itself has no guard.
    """
    rules = ownership.entity(entity.entity).match
    if not rules:
        return {}
    weak: dict[str, bool] = {}
    guard = None
    for contribution in entity.contributions.values():
        if contribution.deleted or contribution.system == PEOPLE or not contribution.fields:
            continue
        for number, names in enumerate(rules):
            if number == 0 and guard is None:
                guard = _key(names, contribution.fields, _without_country)
            key = _key(names, contribution.fields, _normal)
            if key is not None:
                weak[key] = number > 0 and weak.get(key, True)
    return {key: guard if is_weak else None for key, is_weak in weak.items()}


def _key(names: Iterable[str], fields: Fields, form: Callable[[str, Fields], str]) -> str | None:
    values = [(name, form(name, fields)) for name in names]
    return "|".join(f"{name}={value}" for name, value in values) if all(value for _, value in values) else None


def _normal(name: str, fields: Fields) -> str:
    """One field of a match key in a form that does not depend on spelling; empty if it says nothing, or stands for
    anybody.
    """
    if name == "email_domain":
        domain = str(fields.get("email") or "").rpartition("@")[2].casefold()
        return "" if not domain or stands_for_anybody(name, domain) else domain
    value = fields.get(name)
    text = _alphanumeric(value)
    if not text or (stands_for_anybody(name, str(value)) if name in CHECKED_FIELDS else says_nothing(text)):
        return ""
    if name != "tax_id":
        return text
    if not _has_country(text):
        # Without its country a tax number names nobody: nine digits are one company in the United States and another in
        # Israel.
        country = _alphanumeric(fields.get("billing_country") or fields.get("shipping_country"))
        text = country + text if country else ""
    # Greek VAT numbers begin with EL, though the country's code is GR.
    return f"el{text[2:]}" if text.startswith("gr") and text[2:].isdigit() else text


_ALPHANUMERIC_NUMBERS = frozenset("at ch es fr gb xi".split())
"""Countries whose numbers may go on with a letter after those of the country: ATU13585627."""


def _has_country(tax_id: str) -> bool:
    """Whether a tax number begins with the letters of a country. That of Mexico begins with letters of the name."""
    return tax_id[:2].isalpha() and (tax_id[2:3].isdigit() or tax_id[:2] in _ALPHANUMERIC_NUMBERS)


def _without_country(name: str, fields: Fields) -> str:
    """As `_normal`, but a tax number without its country, which one of two systems may leave out."""
    if name != "tax_id":
        return _normal(name, fields)
    value = fields.get(name)
    text = _alphanumeric(value)
    if not text or stands_for_anybody(name, str(value)):
        return ""
    return text.lstrip("abcdefghijklmnopqrstuvwxyz") or text


def _alphanumeric(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # full-width letters are the same letters
    text = text.casefold()
    return text if text.isalnum() else _NOT_ALPHANUMERIC.sub("", text)


class Matching:
    """Match keys with a cache: a record whose keys did not change since this worker saw it costs no statement."""

    def __init__(self, ownership: Ownership, size: int = 60_000) -> None:
        self._ownership = ownership
        self._matched = {entity for entity in ENTITIES if ownership.entity(entity).match}
        self.limits = {entity: ownership.entity(entity).match_limit for entity in self._matched}
        self._seen = Bounded(size)
        """entity id → signature of its claims."""
        self._linked = Bounded(size)
        """entity id → the record that a link was sent for."""
        self.hits = 0
        self.misses = 0

    def forget(self) -> None:
        self._seen.clear()
        self._linked.clear()

    def claim(self, claimants: Iterable[Claimant], split_records: Container[str] = ()) -> ClaimedKeys:
        """The claims of these records.

        Records in `split_records` first release all their keys, then claim those that they still have: otherwise a key
        would still name the record that was taken out, and its system.
        """
        wanted: dict[tuple[str, str], list[_Wanted]] = {}
        signatures: dict[str, str] = {}
        own_keys: list[OwnKey] = []
        for claimant in claimants:
            entity = claimant.entity
            if entity.entity not in self._matched or entity.merged_into is not None:
                continue
            keys = keys_of(entity, self._ownership)
            rank = self._rank(entity)
            signature = f"{rank} {len(entity.contributions)} {' '.join(sorted(keys))}"
            is_split = entity.id in split_records
            if not claimant.check and not is_split and self._seen.get(entity.id) == signature:
                self.hits += 1
                continue
            self.misses += 1
            signatures[entity.id] = signature
            own_keys += [OwnKey(entity.id, key, is_split) for key in keys]
            for key, guard in keys.items():
                claim = _Wanted(rank, entity.id, claimant, guard)
                wanted.setdefault((entity.entity, key), []).append(claim)
        return ClaimedKeys(_rounds(wanted, list(signatures), own_keys, self.limits), signatures)

    def links_from(
        self,
        claimed: ClaimedKeys,
        holders: Sequence[Sequence[HeldKey]],
        shared_keys: Container[tuple[str, str]] = (),
    ) -> list[tuple[str, str, Change]]:
        """Links to send as (topic, key, change), from what the hub answered; none by a key that is shared now. Call it
        once the claims are committed.
        """
        links: list[tuple[str, str, Change]] = []
        for claimant, row in _answers(claimed, holders):
            if (row.entity, row.key) in shared_keys:
                continue
            for loser in row.linked:
                if loser == row.holder or (row.holder == claimant.entity.id and loser in claimant.entity.contributions):
                    continue
                if claimant.check or self._linked.get(loser) != row.holder:
                    self._linked.put(loser, row.holder)
                    link = Change("link", row.entity, loser, MATCHER, row.key, same_as=row.holder, target=row.holder)
                    links.append((changes_topic(ENTITIES[row.entity].aggregate), loser, link))
        for entity_id, signature in claimed.signatures.items():
            self._seen.put(entity_id, signature)
        return links

    def _rank(self, entity: EntityState) -> int:
        rank = self._ownership.rank(entity.entity)
        systems = {contribution.system for contribution in entity.contributions.values()} & set(rank)
        return min((rank.index(system) for system in systems), default=len(rank))


def _rounds(
    wanted: dict[tuple[str, str], list[_Wanted]],
    holders: list[str],
    own_keys: list[OwnKey],
    limits: Mapping[str, int],
) -> list[Round]:
    """The claims in rounds; the first one also says which records these are, and which keys they have."""
    rounds: list[Round] = []
    for (entity, key), claims in wanted.items():
        if len(claims) > limits[entity] and _most_of_one_system(claims) > limits[entity]:
            if not rounds:
                rounds.append(Round(Claims(), {}))
            rounds[0].claims.shared.append(_carrier(entity, key, claims[0]))
            # Nobody gets a shared key, so all can claim it at once.
            rounds[0].claims.wanted.extend(_key_claim(entity, key, claim) for claim in claims)
            continue
        claims.sort(key=lambda claim: claim[:2])
        for number, claim in enumerate(claims):
            if number == len(rounds):
                rounds.append(Round(Claims(), {}))
            rounds[number].claims.wanted.append(_key_claim(entity, key, claim))
            rounds[number].claimants[entity, key] = claim.claimant
    if holders:
        # Also without any key: these records release the keys that they had.
        if not rounds:
            rounds.append(Round(Claims(), {}))
        rounds[0].claims.holders.extend(holders)
        rounds[0].claims.own_keys.extend(own_keys)
    return rounds


def _most_of_one_system(claims: Iterable[_Wanted]) -> int:
    """The records of the system that has most of these."""
    return max(Counter(system for claim in claims for system in _systems(claim)).values(), default=0)


def _carrier(entity: str, key: str, claim: _Wanted) -> Carrier:
    """The one record of which it is said that it carries a key: that is enough, `most` is 1."""
    return Carrier(entity, key, claim.holder, _systems(claim), 1)


def _systems(claim: _Wanted) -> list[str]:
    contributions = claim.claimant.entity.contributions.values()
    return sorted({contribution.system for contribution in contributions if contribution.system != PEOPLE})


def _key_claim(entity: str, key: str, claim: _Wanted) -> KeyClaim:
    contributions = claim.claimant.entity.contributions
    merged = sorted(
        source
        for source, contribution in contributions.items()
        if source != claim.holder and contribution.system != PEOPLE
    )
    return KeyClaim(entity, key, claim.holder, claim.rank, _systems(claim), claim.guard, merged)


def _answers(claimed: ClaimedKeys, holders: Sequence[Sequence[HeldKey]]) -> Iterator[tuple[Claimant, HeldKey]]:
    """Each key that the hub answered for, with the record that claimed it."""
    # The last round may have claimed nothing and have no answer.
    for step, rows in zip(claimed.rounds, holders, strict=False):
        for row in rows:
            yield step.claimants[row.entity, row.key], row


def key_conflicts(claimed: ClaimedKeys, holders: Sequence[Sequence[HeldKey]]) -> list[Conflict]:
    """Keys that another record holds, which is not the same as the claimant, from what the hub answered."""
    return [
        _claimed_twice(claimant, row)
        for claimant, row in _answers(claimed, holders)
        if claimant.entity.id != row.holder and claimant.entity.id not in row.linked
    ]


def _claimed_twice(claimant: Claimant, row: HeldKey) -> Conflict:
    entity = claimant.entity
    systems = [contribution for contribution in entity.contributions.values() if contribution.system != PEOPLE]
    values: dict[str, object] = {contribution.system: contribution.key for contribution in systems}
    values["holder"] = row.holder
    return Conflict(
        claimant.aggregate_id,
        entity.entity,
        entity.id,
        row.key,
        "match_key",
        values,
        None,
        "two records claim one match key",
        "open",
        {contribution.system: _asserted(contribution) for contribution in systems},
    )


def _asserted(contribution: Contribution) -> tuple[str, int, str | None]:
    position = f"{contribution.epoch}/{contribution.major}/{contribution.minor}"
    return position, contribution.source_us, contribution.tx
