"""Instructions of the pure stages, by callgrind: a busy machine does not change them, as it does times.

    python -m benchmarks.instructions FILE                        # a recording: see benchmarks/recording.py
    python -m benchmarks.instructions FILE --tree ../opshub-before --sample 8000
    python -m benchmarks.instructions FILE --stages assemble200 --last 15000 --leave-out 'erp.(po_|gr_|pr_)'

`--tree` measures another checkout with this one's changes and raw records, so that both settle and map the same; a
checkout from before columns had types maps without them, as its workers did. Needs valgrind, its headers and a C
compiler (Debian: `valgrind`, `gcc`). Prints, for each stage, the units measured and the instructions of one.
`assemble200` is all of assemble but its hub, in batches of 200: decode is left out, what aggregates send each other is
settled, too, and records are encoded. It takes all changes, for a sample would tear a purchase from its orders.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

STAGES = ("settle2000", "settle200", "decode", "map")
_SWITCH = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; CALLGRIND_TOGGLE_COLLECT; }
void stop(const char *name) { CALLGRIND_TOGGLE_COLLECT; CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""
_Output = namedtuple("_Output", "topic key")


def main() -> None:
    given = argparse.ArgumentParser(description="Instructions of the pure stages, by callgrind.")
    given.add_argument("file", type=Path)
    given.add_argument("--tree", type=Path, default=Path.cwd())
    given.add_argument("--stages", default=",".join(STAGES))
    given.add_argument("--sample", type=int, default=4000, help="changes, in whole aggregates, and rows to measure")
    given.add_argument("--last", type=int, help="only so many raw records, the last ones")
    given.add_argument("--leave-out", help="no raw records of topics that match this expression")
    given.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = given.parse_args()
    if options.measure:
        _measure(options.file, options.stages.split(","), options.sample, options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "switch.c").write_text(_SWITCH)
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", here / "switch.so", here / "switch.c"], check=True)
        _export(options.file, here / "input", options.last, options.leave_out)
        command = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no",
            f"--callgrind-out-file={here / 'out'}", sys.executable, "-P", __file__, str(here / "input"),
            "--stages", options.stages, "--sample", str(options.sample), "--measure", str(here / "switch.so"),
        ]  # fmt: skip
        tree = options.tree.resolve()
        env = os.environ | {"PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
        ended = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(ended.stderr[-2000:])
        for number, line in enumerate(ended.stdout.splitlines(), 1):
            stage, units = line.split()
            total = re.search(r"^totals: (\d+)", (here / f"out.{number}").read_text(), re.MULTILINE)
            assert total is not None
            print(f"{stage:12} {int(units):8,} {int(total[1]) // int(units):10,} instructions each")


def _export(recording: Path, into: Path, last: int | None, leave_out: str | None) -> None:
    """What is measured, in a form that any checkout reads: the changes in the order in which they are settled."""
    from benchmarks.recording import load
    from benchmarks.stages import Corpus, typed_systems
    from streams.paths import connectors_dir
    from streams.resolve.ownership import load_ownership
    from streams.settings import Settings

    settings = Settings()
    raws, types = load(recording)
    raws = raws[-last:] if last else raws
    raws = [raw for raw in raws if not leave_out or not re.search(leave_out, raw.topic())]
    corpus = Corpus(raws, typed_systems(settings, types), load_ownership(connectors_dir(settings) / "ownership.yaml"))
    changes = [
        (output.topic, output.key, msgspec.structs.asdict(change))
        for output, change in zip(corpus.said_outputs, corpus.said, strict=True)
    ]
    rows = [(raw.topic(), raw.key(), raw.value()) for raw in raws if raw.value()]
    into.write_bytes(msgspec.msgpack.encode({"changes": changes, "rows": rows, "types": types}))


def _measure(data_file: Path, stages: list[str], sample: int, switch: Path) -> None:
    """Within valgrind, in the checkout that is measured: each stage twice to warm it, then once counted."""
    from streams.runtime.startup import calm_collector

    counter = ctypes.CDLL(str(switch))
    data = msgspec.msgpack.decode(data_file.read_bytes())
    works = {name: _work(name, data, sample) for name in stages}
    calm_collector()
    for name, (units, work) in works.items():
        for _ in range(2):
            work()
        gc.collect()
        counter.start()
        work()
        counter.stop(name.encode())
        print(name, units, flush=True)


def _work(stage: str, data: dict[str, Any], sample: int) -> tuple[int, Callable[[], object]]:
    """(changes or rows, what a stage does with them)."""
    from benchmarks import stages as of_tree
    from streams.model.change import Change
    from streams.paths import connectors_dir
    from streams.provision.systems import load_systems
    from streams.resolve.ownership import load_ownership
    from streams.settings import Settings

    settings = Settings()
    if stage.startswith("assemble"):
        from streams.emit.wire import output_maker

        whole: Any = SimpleNamespace(
            said=[Change(**fields) for *_, fields in data["changes"]],
            said_outputs=[_Output(topic, key) for topic, key, _ in data["changes"]],
            ownership=load_ownership(connectors_dir(settings) / "ownership.yaml"),
        )
        size, message = int(stage.removeprefix("assemble")), output_maker(of_tree.schema_ids())
        return of_tree.assemble_all(whole, size, message), lambda: of_tree.assemble_all(whole, size, message)
    if stage.startswith("settle"):
        order: dict[bytes, int] = {}
        for _, key, _ in data["changes"]:
            order.setdefault(key, len(order))
        every = max(1, len(data["changes"]) // sample)
        chosen = [change for change in data["changes"] if order[change[1]] % every == 0]
        known = Change.__struct_fields__
        said = [Change(**{name: value for name, value in fields.items() if name in known}) for *_, fields in chosen]
        corpus: Any = SimpleNamespace(
            said=said,
            said_outputs=[_Output(topic, key) for topic, key, _ in chosen],
            ownership=load_ownership(connectors_dir(settings) / "ownership.yaml"),
        )
        size = int(stage.removeprefix("settle"))
        return len(said), lambda: of_tree.settle_all(corpus, size)
    if importlib.util.find_spec("streams.provision.column_types") is None:
        systems = load_systems(settings)
    else:
        systems = of_tree.typed_systems(settings, data["types"])
    routes = of_tree.routes_of(systems)
    rows = [(routes[topic], topic, key, value) for topic, key, value in data["rows"] if topic in routes]
    rows = rows[:: max(1, len(rows) // sample)]
    if stage == "decode":
        return len(rows), lambda: [route.decode(topic, key, value) for route, topic, key, value in rows]
    decoded = [(route.map, change) for route, *row in rows if (change := route.decode(*row)) is not None]
    return len(rows), lambda: [map_row(change) for map_row, change in decoded]


if __name__ == "__main__":
    main()
