"""What supply and service cost assemble: the same records with these tables in the mix, and without, in instructions.

    python -m benchmarks.recording FILE                # of a running stack, such as `opshub demo --rate 300 --keep`
    python -m benchmarks.supply_mix FILE               # writes results/supply-mix.json

Both sides are measured in one run by `benchmarks.instructions`, stage `assemble200`. Throughput is the inverse of the
instructions that a message of assemble costs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.run import machine, versions
from streams.simulator.supply_statements import SUPPLY_INSERTS

RESULT = Path(__file__).with_name("results") / "supply-mix.json"
STAGE = "assemble200"
NEW = r"\.erp\.(" + "|".join(sorted(SUPPLY_INSERTS)) + ")$"
"""Topics of the tables of supply and service."""


def main() -> None:
    given = argparse.ArgumentParser(description="Assemble with and without supply and service, in instructions.")
    given.add_argument("file", type=Path)
    given.add_argument("--last", type=int, default=15_000, help="raw records, the last ones of the recording")
    options = given.parse_args()
    command = [sys.executable, "-m", "benchmarks.instructions", str(options.file), "--stages", STAGE, "--last", str(options.last)]  # fmt: skip
    sides: dict[str, dict[str, int]] = {}
    for name, more in (("without", ["--leave-out", NEW]), ("with", [])):
        printed = subprocess.run([*command, *more], check=True, capture_output=True, text=True).stdout
        found = re.search(rf"^{STAGE} +([\d,]+) +([\d,]+) instructions", printed, re.MULTILINE)
        assert found is not None, printed
        sides[name] = dict(
            zip(("messages", "instructions"), (int(n.replace(",", "")) for n in found.groups()), strict=True)
        )
        print(name, sides[name], flush=True)
    slower = sides["with"]["instructions"] / sides["without"]["instructions"] - 1
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "versions": versions(), "stage": STAGE,
        "raw_records": options.last, "sides": sides, "throughput_falls_by": round(1 - 1 / (1 + slower), 3),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"throughput of assemble falls by {result['throughput_falls_by']:.1%}")


if __name__ == "__main__":
    main()
