"""Which records of two systems are one, by keys that both carry: a tax number, an e-mail domain with a name, an article number.

In: records that were settled in this batch. Out: what to claim of the hub's `match_key`, whose primary key decides between workers, and,
from its answer, links to send and conflicts to log. The record that keeps its id is that of the system that ranks first, then the one with
the smaller id, so a replay finds the same. Two records of one system that carry one key are a conflict: a person decides. It ends when
one of them carries it no more, or they are one; who waits for a key is told when its holder gives it up.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

from streams.hub.store import Claims
from streams.identity.cache import Bounded
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import MATCHER, PEOPLE, changes_topic
from streams.model.state import Conflict, EntityState
from streams.resolve.rules import Ownership

_EVERYBODYS = frozenset((
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com", "aol.com", "gmx.de",
    "gmx.net", "web.de", "t-online.de", "freenet.de", "mail.ru", "qq.com", "163.com", "126.com", "proton.me", "protonmail.com",
))  # fmt: skip
"""Domains at which anybody has an address: they say nothing of a company."""


class Claimant(NamedTuple):
    member: EntityState
    aggregate_id: str
    again: bool
    """No cache is asked: it was known to the position, and a crash may have come before its links were sent; or it was told to read itself
    again, as one is whose key was given up by another."""


class Claimed(NamedTuple):
    """Claims of one batch, in rounds: within a round each key is there once."""

    rounds: list[Claims]
    claimants: list[dict[tuple[str, str], Claimant]]
    signatures: dict[str, str]


def keys_of(member: EntityState, ownership: Ownership) -> dict[str, str | None]:
    """Match key → its guard (the strongest key, where this is a weaker one), over all that is said of a record."""
    rules = ownership.entity(member.entity).match
    if not rules:
        return {}
    found: dict[str, str | None] = {}
    strongest = None
    for said in member.contributions.values():
        if said.deleted or said.system == PEOPLE or not said.fields:
            continue
        for number, parts in enumerate(rules):
            if number == 0 and strongest is None:
                strongest = _key(parts, said.fields, _bare)
            key = _key(parts, said.fields, _normal)
            if key is not None and number == 0:
                found[key] = None
            elif key is not None:
                found.setdefault(key, "")
    return {key: (strongest if guard == "" else None) for key, guard in found.items()}


def _key(parts: Iterable[str], fields: dict[str, Any], form: Callable[[str, dict[str, Any]], str]) -> str | None:
    values = [(part, form(part, fields)) for part in parts]
    return "|".join(f"{part}={value}" for part, value in values) if all(value for _, value in values) else None


def _normal(part: str, fields: dict[str, Any]) -> str:
    if part == "email_domain":
        domain = str(fields.get("email") or "").rpartition("@")[2].casefold()
        return "" if domain in _EVERYBODYS else domain
    text = _letters(fields.get(part))
    if part != "tax_id" or not text:
        return text
    if not text[:2].isalpha():
        # Nine digits are one company in the United States and another in Israel.
        country = _letters(fields.get("billing_country") or fields.get("shipping_country"))
        text = country + text if country else ""
    return f"el{text[2:]}" if text.startswith("gr") else text


def _bare(part: str, fields: dict[str, Any]) -> str:
    """As `_normal`, but a tax number without its country, which one of two systems may not say."""
    if part != "tax_id":
        return _normal(part, fields)
    text = _letters(fields.get(part))
    return text.lstrip("abcdefghijklmnopqrstuvwxyz") or text


def _letters(value: Any) -> str:
    return "" if value is None else "".join(letter for letter in str(value).casefold() if letter.isalnum())


class Matching:
    """Claims with a cache: a record whose keys did not change since it was seen here costs no look-up."""

    def __init__(self, ownership: Ownership, size: int = 60_000) -> None:
        self._ownership = ownership
        self._rules = {entity for entity in ENTITIES if ownership.entity(entity).match}
        self._seen = Bounded(size)
        self._linked = Bounded(size)
        self.hits = 0
        self.misses = 0

    def forget(self) -> None:
        self._seen.clear()
        self._linked.clear()

    def claim(self, claimants: Iterable[Claimant], parted: Container[str] = ()) -> Claimed:
        """What to ask of the hub for these records. Those in `parted` let all their keys go and claim what they still have: a key would
        go on naming what was taken out of them, and its system.
        """
        asked: dict[tuple[str, str], list[tuple[int, str, Claimant, str | None]]] = {}
        signatures: dict[str, str] = {}
        holders: list[str] = []
        has: list[dict[str, Any]] = []
        for one in claimants:
            member = one.member
            if member.entity not in self._rules or member.merged_into is not None:
                continue
            mine = keys_of(member, self._ownership)
            rank = self._rank(member)
            signature = f"{rank} {len(member.contributions)} {' '.join(sorted(mine))}"
            again = one.again or member.id in parted
            if not again and self._seen.get(member.id) == signature:
                self.hits += 1
                continue
            self.misses += 1
            signatures[member.id] = signature
            holders.append(member.id)
            has += [{"holder": member.id, "key": key, "reclaims": member.id in parted} for key in mine]
            for key, guard in mine.items():
                asked.setdefault((member.entity, key), []).append((rank, member.id, one, guard))
        rounds: list[Claims] = []
        claimants_of: list[dict[tuple[str, str], Claimant]] = []
        for name, wanting in asked.items():
            wanting.sort(key=lambda claim: claim[:2])
            for number, (rank, holder, one, guard) in enumerate(wanting):
                if number == len(rounds):
                    rounds.append(Claims([], [], []))
                    claimants_of.append({})
                systems = sorted({said.system for said in one.member.contributions.values() if said.system != PEOPLE})
                parts = sorted(
                    source
                    for source, said in one.member.contributions.items()
                    if source != holder and said.system != PEOPLE
                )
                rounds[number].wanted.append(
                    {
                        "entity": name[0], "key": name[1], "holder": holder, "rank": rank,
                        "systems": systems, "guard": guard, "parts": parts,
                    }
                )  # fmt: skip
                claimants_of[number][name] = one
        if holders:
            if not rounds:
                rounds.append(Claims([], [], []))
                claimants_of.append({})
            rounds[0].holders, rounds[0].has = holders, has
        return Claimed(rounds, claimants_of, signatures)

    def settle(
        self, claimed: Claimed, held: list[list[tuple[str, str, str, list[str]]]]
    ) -> list[tuple[str, str, Change]]:
        """From what the hub answered, once that is committed: links to send as (topic, key, change)."""
        links: list[tuple[str, str, Change]] = []
        for claimants, rows in zip(claimed.claimants, held, strict=False):
            for entity, key, holder, linked in rows:
                one = claimants[entity, key]
                for loser in linked:
                    if holder == one.member.id and loser in one.member.contributions:
                        continue
                    if loser != holder and (one.again or self._linked.get(loser) != holder):
                        self._linked.put(loser, holder)
                        link = Change("link", entity, loser, MATCHER, key, same_as=holder, target=holder)
                        links.append((changes_topic(ENTITIES[entity].aggregate), loser, link))
        for entity_id, signature in claimed.signatures.items():
            self._seen.put(entity_id, signature)
        return links

    def _rank(self, member: EntityState) -> int:
        rank = self._ownership.rank(member.entity)
        systems = {said.system for said in member.contributions.values()} & set(rank)
        return min((rank.index(system) for system in systems), default=len(rank))


def disputes(claimed: Claimed, held: list[list[tuple[str, str, str, list[str]]]]) -> list[Conflict]:
    """From what the hub answered: keys that the record of another holds, which is not the same."""
    return [
        _claimed_twice(one, key, holder)
        for claimants, rows in zip(claimed.claimants, held, strict=False)
        for entity, key, holder, linked in rows
        if (one := claimants[entity, key]).member.id != holder and one.member.id not in linked
    ]


def _claimed_twice(one: Claimant, key: str, holder: str) -> Conflict:
    member = one.member
    values: dict[str, Any] = {said.system: said.key for said in member.contributions.values() if said.system != PEOPLE}
    said_of = {
        said.system: (f"{said.epoch}/{said.major}/{said.minor}", said.source_us, said.tx)
        for said in member.contributions.values()
        if said.system != PEOPLE
    }
    values["holder"] = holder
    return Conflict(
        one.aggregate_id,
        member.entity,
        member.id,
        key,
        "match_key",
        values,
        None,
        "two records claim one match key",
        "open",
        said_of,
    )
