"""Statements of periodic maintenance: sweeps that are due, and the hub's clock."""

from __future__ import annotations

import msgspec

from streams.hub.store import HubStore


class DueSweep(msgspec.Struct, frozen=True):
    """A sweep to send: delete what the table of this topic reported before (epoch, major, minor) and not since."""

    topic: str
    epoch: int
    major: int
    minor: int


class HubTime(msgspec.Struct, frozen=True):
    """The hub's clock: its time, and by how many seconds the newest open row was created in its future (or less than
    0).
    """

    now_s: float
    created_ahead_s: float


async def take_due_sweeps(store: HubStore) -> list[DueSweep]:
    """Sweeps that are due; each is given to one caller only."""
    return [DueSweep(*row) for row in await store.rows("due_sweeps")]


async def hub_time(store: HubStore) -> HubTime:
    """What the hub's clock says."""
    (row,) = await store.rows("hub_clock")
    return HubTime(*row)


async def shift_waiting_rows(store: HubStore, seconds: float) -> None:
    """The hub's clock was set back by so many seconds: let rows that wait for a time wait that much less."""
    await store.rows("shift_after_clock_set_back", {"by": seconds})
