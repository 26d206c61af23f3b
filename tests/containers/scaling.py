"""What 1, 2 and 4 workers of docker/compose.yaml take: `python -m tests.containers.scaling [--rate 1000] [--seconds 60]`.

For each number of workers the same load: with no worker running, the simulated company works at a rate and Debezium captures
it; then the workers start and work the backlog off. Writes benchmarks/results/containers.json: by number of workers, row changes
a second from the first one in the hub to the last, and the CPU of each service meanwhile, in cores. `others`: what the machine
did beside this stack.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import psycopg
from testcontainers.core.docker_client import DockerClient

from benchmarks.run import machine
from streams.monitor.lag import read_lags
from streams.provision.systems import System, load_systems
from streams.settings import Settings
from tests.containers.stack import ROOT, ContainerStack
from tests.waiting import wait_for

RESULT = ROOT / "benchmarks/results/containers.json"
WORKERS = (1, 2, 4)
WITHIN = 900.0


def cpu_seconds(stack: ContainerStack) -> dict[str, float]:
    """CPU seconds of each service since its containers started, and of the whole machine."""
    client = DockerClient().client.api
    used: dict[str, float] = defaultdict(float)
    for container in client.containers(filters={"label": f"com.docker.compose.project={stack.project}"}):
        figures = client.stats(container["Id"], stream=False, one_shot=True)
        used[container["Labels"]["com.docker.compose.service"]] += (
            figures["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        )
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, soft, *_ = map(int, file.readline().split()[1:])
    used["machine"] = (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
    return dict(used)


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
    began, cpu = time.monotonic(), cpu_seconds(stack)
    wait_for(lambda: not sum(read_lags(settings, systems).values()), WITHIN, pause=0.5)
    seconds, after = time.monotonic() - began, cpu_seconds(stack)
    cores = {name: round((used - cpu.get(name, 0.0)) / seconds, 2) for name, used in after.items()}
    all_cores = cores.pop("machine")
    return {
        "row_changes": made,
        "raw_records": seen[-1],
        "first_after_s": round(began - asked, 1),
        "seconds": round(seconds, 1),
        "row_changes_per_s": round(made / seconds),
        "cores": cores,
        "others": round(all_cores - sum(cores.values()), 2),
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
