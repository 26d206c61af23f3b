"""A workload: what the simulated company does, at which rate, for how long. Open loop: arrivals are on a schedule.

In: a YAML file. Out: a `Workload`. Raises ConfigError that names the file, the field, and what would be right.

    name: mixed
    history: {customers: 500, orders: 1000}
    workers: 1
    seed: 1
    probe_every: 0.05        # seconds between two rows whose way is followed
    mix: {edit_account: 20, run_campaign: 0}    # weights of operations in place of the usual ones: streams/simulator/stream.py
    skew: 0.99               # Zipf's exponent: a few customers, deals and orders are worked on all the time (0: all alike)
    batch_rows: [40, 160]    # rows of one transaction of the jobs, fewest and most
    order_lines: [1, 7]      # lines of an order, in the history too
    phases:
      - {name: warm, rate: 500, seconds: 10}
      - {name: ramp, rate: [500, 4000], seconds: 30}   # from, to
      - {name: burst, rate: 8000, seconds: 5}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from streams.errors import ConfigError
from streams.simulator.stream import OPERATIONS
from streams.simulator.world import Habits

Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    customers: int = 500
    orders: int = 1000


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate` is row changes a second over both databases; a pair is a ramp. `counted` says whether its latencies
    are.
    """

    seconds: float
    rate: float | tuple[float, float]
    name: str = ""
    counted: bool = True

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds: {self.seconds:g}, where a phase lasts")
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        if min(rates) < 0 or max(rates) <= 0:
            raise ValueError(
                f"rate: {self.rate}, where something is to be written; leave a phase out in which nothing is"
            )

    def steps(self) -> Iterator[tuple[float, float]]:
        """(rate, seconds) of pieces of a constant rate."""
        if not isinstance(self.rate, tuple):
            yield self.rate, self.seconds
            return
        first, last = self.rate
        pieces = max(1, round(self.seconds))
        for number in range(pieces):
            yield first + (last - first) * (number + 0.5) / pieces, self.seconds / pieces


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    phases: list[Phase]
    history: History = History()
    workers: int = 1
    seed: int = 1
    probe_every: float = 0.05
    mix: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    skew: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    batch_rows: tuple[Count, Count] = (40, 160)
    order_lines: tuple[Count, Count] = (1, 7)

    def __post_init__(self) -> None:
        unknown = sorted(self.mix.keys() - OPERATIONS)
        if unknown:
            raise ValueError(f"no such operation: {', '.join(unknown)}; there are: {', '.join(sorted(OPERATIONS))}")
        if OPERATIONS <= self.mix.keys() and not any(self.mix.values()):
            raise ValueError("mix: all weights are 0")
        for name in ("batch_rows", "order_lines"):
            fewest, most = getattr(self, name)
            if fewest > most:
                raise ValueError(f"{name}: the fewest, {fewest}, are more than the most, {most}")

    @property
    def start(self) -> dict[str, Any]:
        """What the company of a `site` is to have behind it, and how it came about."""
        return {"customers": self.history.customers, "orders": self.history.orders, "habits": self.habits}

    @property
    def habits(self) -> Habits:
        """How the company is to work."""
        return Habits(tuple(sorted(self.mix.items())), self.skew, self.batch_rows, self.order_lines)


def load_workload(path: Path) -> Workload:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Workload)
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", remedy="see benchmarks/workloads/") from None
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}", remedy="see the head of benchmarks/workload.py") from error


def scaled(workload: Workload, minutes: float) -> Workload:
    """The same shape, stretched to last so long in all."""
    factor = minutes * 60 / sum(phase.seconds for phase in workload.phases)
    return msgspec.structs.replace(
        workload, phases=[msgspec.structs.replace(p, seconds=p.seconds * factor) for p in workload.phases]
    )
