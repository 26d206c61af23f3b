"""results/peers.json: `[{peer, work, events_per_s, cpu_us, equal_output}]`, ours among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parents[1] / "results" / "peers.json"


def note(rows: list[dict[str, Any]], *, anew: bool = False, path: Path = RESULT) -> None:
    """Write these rows; unless `anew`, in place of those of the same peers and work, and the others stay."""
    before = [] if anew or not path.exists() else json.loads(path.read_text(encoding="utf-8"))
    measured = {(row["peer"], row["work"]) for row in rows}
    stay = [row for row in before if (row["peer"], row["work"]) not in measured]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(stay + rows, indent=1) + "\n", encoding="utf-8")
