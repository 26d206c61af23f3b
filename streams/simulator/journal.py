"""The journal of the simulated company: what was committed, and the facts that were planted for the checkers."""

from __future__ import annotations

import json
import time
from pathlib import Path

from streams.errors import EnvironmentFault
from streams.simulator.world import Fact, Transaction


class Journal:
    """Keeps facts in memory. With a file, it also writes them there, and each committed transaction (unless `commits`
    is False), one JSON object a line. Facts that an earlier run on the same databases wrote to the file are read first.

    A commit is `{"at": microseconds, "system": …, "operation": …, "rows": [[table, key, op], …]}`. A fact has `fact`:
    `shared` (crm, erp, by: reference | tax_id, conflicts: {field: [the CRM's, the ERP's]}), `lookalike` (crm, erp: not
    the same company), `changed_in_one` (system, crm, erp, field, value), `won` (opportunity, account, amount, lines),
    `order_for` (opportunity, order), `order_deleted` (order), `late_supplier` (supplier, purchase: it comes after the
    promised day), `shortage` (order, line: too little is in stock).
    """

    def __init__(self, path: Path | None = None, *, commits: bool = True) -> None:
        self.facts: list[Fact] = []
        self._file = None
        self._commits = commits
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists():
                    with path.open(encoding="utf-8") as earlier:
                        self.facts += [
                            json.loads(line) for line in earlier if line.startswith('{"fact"') and line[-1] == "\n"
                        ]
                self._file = path.open("a", encoding="utf-8", buffering=256 * 1024)
            except OSError as error:
                raise EnvironmentFault(
                    f"the journal {path} cannot be written: {error.strerror}", remedy="choose another file"
                ) from error

    def committed(self, transaction: Transaction) -> None:
        if transaction.facts:
            for fact in transaction.facts:
                self.planted(fact)
        if self._file is not None and self._commits:
            entry = {
                "at": time.time_ns() // 1000,
                "system": transaction.system,
                "operation": transaction.operation,
                "rows": transaction.touched,
            }
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def planted(self, fact: Fact) -> None:
        self.facts.append(fact)
        if self._file is not None:
            self._file.write(json.dumps(fact, separators=(",", ":"), ensure_ascii=False) + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
