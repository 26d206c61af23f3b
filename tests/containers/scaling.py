"""What 1, 2 and 4 workers of docker/compose.yaml take.

    python -m tests.containers.scaling [--rate 1000] [--seconds 60]

For each number of workers the same load: with no worker running, the simulated company works at a rate and Debezium
captures it; then the workers start and work the backlog off. Writes benchmarks/results/containers.json: by number of
workers, row changes a second from the first one in the hub to the last, and the seconds until the first one.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.run import machine
from streams.monitor.lag import read_lags
from streams.provision.systems import System, load_systems
from streams.settings import Settings
from tests.containers.stack import ROOT, ContainerStack
from tests.waiting import wait_for

RESULT = ROOT / "benchmarks/results/containers.json"
WORKERS = (1, 2, 4)
WITHIN = 900.0


def counted(stack: ContainerStack) -> int:
    """Raw records that the hub has an account of."""
    with psycopg.connect(stack.hub) as hub:
        row = hub.execute("SELECT coalesce(sum(upto), 0) FROM raw_account").fetchone()
    return int(row[0]) if row else 0


def measure(
    stack: ContainerStack, settings: Settings, systems: list[System], workers: int, load: tuple[str, ...]
) -> dict[str, Any]:
    stack.compose("stop", "worker")
    made = json.loads(stack.compose("run", "--rm", "--no-deps", "traffic", "demo", "traffic", "--json", *load))[
        "row_changes"
    ]
    seen = [-1, read_lags(settings, systems)["ingest"]]
    while seen[-1] != seen[-2]:  # until Debezium has captured all of it
        time.sleep(5)
        seen.append(read_lags(settings, systems)["ingest"])
    before, asked = counted(stack), time.monotonic()
    stack.compose("up", "--detach", "--no-deps", "--scale", f"worker={workers}", "worker")
    wait_for(lambda: counted(stack) > before, WITHIN)
    began = time.monotonic()
    wait_for(lambda: not sum(read_lags(settings, systems).values()), WITHIN, pause=0.5)
    seconds = time.monotonic() - began
    return {
        "row_changes": made,
        "raw_records": seen[-1],
        "first_after_s": round(began - asked, 1),
        "seconds": round(seconds, 1),
        "row_changes_per_s": round(made / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="1000")
    parser.add_argument("--seconds", default="60")
    asked = parser.parse_args()
    load = ("--rate", asked.rate, "--seconds", asked.seconds)
    with ContainerStack("opshub-scaling") as stack:
        settings = Settings(bootstrap_servers=stack.kafka)
        systems = load_systems(settings)
        measure(stack, settings, systems, 1, load)  # warms Java, and gives the company customers to work with
        trials = {str(number): measure(stack, settings, systems, number, load) for number in WORKERS}
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": load,
        "workers": trials,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
