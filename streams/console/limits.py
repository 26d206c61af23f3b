"""Rate limits of one console, in memory: failed sign-ins by name and address, and requests by person or address."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from streams.console.problems import TooMany

MOST_KEYS = 50_000
"""Keys that are remembered; the one used longest ago goes first."""


class Bucket:
    """Lets each key through `burst` times at once, and `per_second` times in the long run."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str, amount: float = 1.0) -> None:
        """Raises TooMany, which says when to come back."""
        with self._lock:
            left = self._now(key)
            if left < amount:
                raise TooMany(
                    "too many requests in a short time",
                    remedy=f"try again in {(amount - left) / self._per_second:.0f} seconds",
                )
            self._keep(key, left - amount)

    def check(self, key: str) -> None:
        """As `take`, but nothing is counted."""
        self.take(key, 0.0 if self.left(key) >= 1 else 1.0)

    def left(self, key: str) -> float:
        with self._lock:
            return self._now(key)

    def spend(self, key: str) -> None:
        """Count one, also where nothing is left."""
        with self._lock:
            self._keep(key, max(0.0, self._now(key) - 1))

    def forget(self, key: str) -> None:
        with self._lock:
            self._left.pop(key, None)

    def _now(self, key: str) -> float:
        left, at = self._left.get(key, (self._burst, self._clock()))
        return min(self._burst, left + (self._clock() - at) * self._per_second)

    def _keep(self, key: str, left: float) -> None:
        self._left[key] = (left, self._clock())
        self._left.move_to_end(key)
        while len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)


class SignInLimits:
    """Failed sign-ins. Somebody who guesses is stopped; whose name it is can still sign in from elsewhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pair = Bucket(5, 5 / 900, clock)
        self._address = Bucket(20, 20 / 900, clock)
        self._name = Bucket(50, 50 / 3600, clock)

    def check(self, name: str, address: str) -> None:
        """Raises TooMany."""
        for bucket, key in self._keys(name, address):
            bucket.check(key)

    def failed(self, name: str, address: str) -> None:
        for bucket, key in self._keys(name, address):
            bucket.spend(key)

    def passed(self, name: str, address: str) -> None:
        self._pair.forget(f"{name}\n{address}")

    def _keys(self, name: str, address: str) -> list[tuple[Bucket, str]]:
        return [(self._pair, f"{name}\n{address}"), (self._address, address), (self._name, name)]
