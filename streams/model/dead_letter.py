"""The states that a dead letter can be in."""

from __future__ import annotations

OPEN = ("dead", "parked", "retry")
"""Not settled yet: it failed, it waits behind one of its key that failed, or it waits to be retried."""

SETTLED = ("retried", "dropped")

STATES = (*OPEN, *SETTLED)
