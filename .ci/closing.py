"""Print one closing line, as pytest does, over the tiers whose results are in build/tiers/<tier>.xml.

Exit code 1 where a test failed or a tier left no result: it broke before it could count.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

RESULTS = Path("build/tiers")


def read_results(path: Path) -> tuple[Counter[str], float]:
    """(tests by outcome, seconds) of one tier."""
    counts: Counter[str] = Counter()
    seconds = 0.0
    if not path.exists():
        return Counter(error=1), seconds
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        counts["failed"] += number["failures"]
        counts["error"] += number["errors"]
        counts["skipped"] += number["skipped"]
        counts["passed"] += number["tests"] - number["failures"] - number["errors"] - number["skipped"]
        seconds += float(suite.get("time", 0))
    return counts, seconds


def closing_line(counts: Counter[str], seconds: float) -> str:
    """`= 3 failed, 2090 passed, 1 skipped in 61.00s (0:01:01) =`, with `errors` in the plural as pytest has it."""
    names = {"error": "error" if counts["error"] == 1 else "errors"}
    parts = [
        f"{counts[name]} {names.get(name, name)}" for name in ("failed", "passed", "skipped", "error") if counts[name]
    ]
    minutes, rest = divmod(round(seconds), 60)
    took = f"{seconds:.2f}s" + (f" ({minutes // 60}:{minutes % 60:02}:{rest:02})" if seconds >= 60 else "")
    return f" {', '.join(parts) or 'no tests ran'} in {took} ".center(80, "=")


def main(tiers: list[str]) -> int:
    total: Counter[str] = Counter()
    seconds = 0.0
    for tier in tiers:
        counts, took = read_results(RESULTS / f"{tier}.xml")
        total += counts
        seconds += took
        if counts["error"] and not (RESULTS / f"{tier}.xml").exists():
            print(f"error: the tier {tier} broke before it could count its tests")
    print(closing_line(total, seconds))
    return 1 if total["failed"] or total["error"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
