"""What can be wrong in a YAML file that a person writes: `Problem`, one for each mistake, and `DictionaryError` for
all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from streams.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a dictionary: where it is, what is wrong, and what would be right."""

    file: Path
    line: int
    field: str
    what: str
    right: str = ""
    path: tuple[str | int, ...] = dataclasses.field(default=(), compare=False)
    """`field`, step by step; empty where the problem has no place among the file's values (the file cannot be read)."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.what}" + (f"\n    {self.right}" if self.right else "")


class DictionaryError(ConfigError):
    """A dictionary is wrong; `problems` holds every mistake, in the order of their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        ordered = sorted(problems, key=lambda p: (str(p.file), p.line, p.field))
        super().__init__("\n".join(map(str, ordered)), remedy="correct these lines, then run `opshub map check`")
        self.problems = ordered
