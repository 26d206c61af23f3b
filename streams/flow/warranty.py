"""Whether a piece was under warranty on a day, until when, and by what. Pure.

A piece is covered by its own warranty, and by each contract of its customer that names it, its product, or neither. A
draft and a cancelled contract promise nothing. Where several cover it, the one that lasts longest is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]

_NO_PROMISE = ("draft", "cancelled")
_ENDLESS = 10**9
"""Stands for the last day of a promise that has none."""


def warranty_of(
    day: int | None,
    item_id: str | None,
    item: Record | None,
    product_id: str | None,
    contracts: Iterable[tuple[str, Record]],
) -> dict[str, Any]:
    """The fields of a service case about warranty. `day`: days since 1970. `contracts`: (id, record) of all that the
    customer has.
    """
    promises: list[tuple[int, int, str, str | None]] = []  # (last day, first day, contract or "", its number)
    if item is not None and item.get("warranty_until") is not None:
        promises.append((item["warranty_until"], 0, "", None))
    for id, contract in contracts:
        if contract.get("status") not in _NO_PROMISE and _covers(contract, item_id, product_id):
            until, since = contract.get("valid_to"), contract.get("valid_from")
            if until is None and contract.get("status") == "expired":
                continue  # it is over, and nobody knows since when
            promises.append((_ENDLESS if until is None else until, since or 0, id, contract.get("number")))
    if day is None or not promises:
        return _fields("unknown", None)
    covering = [promise for promise in promises if promise[1] <= day <= promise[0]]
    if covering:
        return _fields("yes", max(covering, key=_lasts))
    return _fields("no", max((promise for promise in promises if promise[0] < day), key=_lasts, default=None))


def _covers(contract: Record, item_id: str | None, product_id: str | None) -> bool:
    if contract.get("installed_item_id") is not None:
        return bool(contract["installed_item_id"] == item_id)
    return contract.get("product_id") is None or bool(contract["product_id"] == product_id)


def _lasts(promise: tuple[int, int, str, str | None]) -> tuple[int, bool, str]:
    """The longest; of two that last as long the item's own, then by id."""
    return (promise[0], not promise[2], promise[2])


def _fields(warranty: str, promise: tuple[int, int, str, str | None] | None) -> dict[str, Any]:
    until, _, contract, number = promise or (None, 0, None, None)
    return {
        "warranty": warranty,
        "warranty_until": None if until == _ENDLESS else until,
        "warranty_by": None if contract is None else "contract" if contract else "item",
        "contract_id": contract or None,
        "contract_number": number,
    }
