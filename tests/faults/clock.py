"""A clock that jumps, for processes that are started under it; made from clock.c where there is a C compiler."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


def compiler() -> str | None:
    return shutil.which("cc")


class Clock:
    """`environment` is for the processes that are to live by it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        library, self._file = folder / "clock.so", folder / "clock"
        if not library.exists():
            cc = compiler()
            assert cc is not None, "no C compiler"
            subprocess.run([cc, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        self._file.write_bytes(struct.pack("q", 0))
        self._file.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "OPSHUB_TEST_CLOCK": str(self._file)}

    def is_clock_of(self, pid: int) -> bool:
        """Whether that process lives by it: one that dropped the variable, or may not read the file, goes by the true
        time.
        """
        return any(
            line.endswith(f" {self._file}") for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
        )

    def jump(self, seconds: float) -> None:
        """From the true time; 0 is the true time."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", int(seconds * 1e9)))

    @contextmanager
    def over_children(self) -> Iterator[None]:
        """What this process starts meanwhile lives by it."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
