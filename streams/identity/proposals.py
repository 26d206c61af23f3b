"""Customers that may be one, by name, address and how to reach them. Reads the hub only; a person decides."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import psycopg
from rapidfuzz import fuzz

from streams.hub.identity import ComparedCustomer, customers_to_compare, separate_pairs

LEAST_SCORE = 88.0
"""Of 100: a lower score is not proposed unless the caller asks for it."""

COMPARED = 1_000_000
"""Pairs that are compared in one place. In a larger place, only customers whose names are neighbours are compared."""

_LEAST_NAME = 70
"""Of 100: names that differ more are not compared any further."""

_UNKNOWN_STREET = 60.0
"""Score of two streets when one is not known: it neither proves nor excludes."""


class Proposal(msgspec.Struct):
    """Two records that may be one."""

    score: float
    loser: str
    winner: str
    entity: str
    reason: str
    names: tuple[str, str] = ("", "")
    """What the two are called, the loser first."""


class Proposals(msgspec.Struct):
    """Proposals, the likeliest first, and what was not compared."""

    proposals: list[Proposal]
    not_compared: dict[str, int]
    """Postal code or town → pairs of its customers that were not compared, since it has so many and their names are far
    off.
    """


class _Candidate(msgspec.Struct, frozen=True):
    """A customer in the order of its name."""

    words: str
    """The words of its name, sorted and without case: 'Müller Bau' is like 'Bau Müller'."""
    id: str
    customer: ComparedCustomer


def propose(
    connection: psycopg.Connection, *, least: float = LEAST_SCORE, limit: int = 50, compared: int = COMPARED
) -> Proposals:
    """Customers whose name, town and address are alike, without those that a person keeps separate.

    They are compared within a postal code or a town, and never where both have a tax number and these differ.
    """
    separate = separate_pairs(connection)
    by_place: dict[str, list[_Candidate]] = defaultdict(list)
    for customer in customers_to_compare(connection):
        words = " ".join(sorted(customer.name.casefold().split()))
        by_place[customer.place].append(_Candidate(words, customer.id, customer))
    proposals: list[Proposal] = []
    not_compared: dict[str, int] = {}
    for place, candidates in by_place.items():
        candidates.sort(key=lambda candidate: (candidate.words, candidate.id))
        window = max(1, compared // len(candidates))
        for number, left in enumerate(candidates):
            for right in candidates[number + 1 : number + 1 + window]:
                proposal = _compare(left, right, least)
                if proposal is not None and not (separate and _are_separate(left, right, separate)):
                    proposals.append(proposal)
        left_out = len(candidates) - 1 - window
        if left_out > 0:
            not_compared[place] = left_out * (left_out + 1) // 2
    proposals.sort(key=lambda proposal: (-proposal.score, proposal.loser))
    return Proposals(proposals[:limit], not_compared)


def _compare(left: _Candidate, right: _Candidate, least: float) -> Proposal | None:
    """A proposal, if the two score at least so much."""
    one_side, other_side = left.customer, right.customer
    if one_side.tax_id and other_side.tax_id and one_side.tax_id != other_side.tax_id:
        return None
    name = fuzz.ratio(left.words, right.words, score_cutoff=_LEAST_NAME)
    if name < _LEAST_NAME:
        return None
    street = _UNKNOWN_STREET
    if one_side.street and other_side.street:
        street = fuzz.ratio(one_side.street.casefold(), other_side.street.casefold())
    equal = [
        label
        for label, value, other in (
            ("e-mail", one_side.email, other_side.email),
            ("phone", one_side.phone, other_side.phone),
        )
        if value and value == other
    ]
    score = min(100.0, 0.7 * name + 0.3 * street + 5 * len(equal))
    if score < least:
        return None
    winner, loser = sorted((one_side, other_side), key=lambda customer: customer.id)
    reason = f"names {name:.0f}, streets {street:.0f} of 100" + "".join(f", same {label}" for label in equal)
    return Proposal(round(score, 1), loser.id, winner.id, "customer", reason, (loser.name, winner.name))


def _are_separate(left: _Candidate, right: _Candidate, separate: set[frozenset[str]]) -> bool:
    return any(
        frozenset((mine, theirs)) in separate
        for mine in (left.id, *left.customer.sources)
        for theirs in (right.id, *right.customer.sources)
    )
