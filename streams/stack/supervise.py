"""The supervisor of one worker: starts it, and starts it again when it dies.

    python -m streams.stack.supervise <run folder> <record name> <log> -- <command…>

The pause before a restart grows from half a second to 30 s, and is short again after a minute of running.
The supervisor ends when the worker ends with exit code 0 or 2 (the configuration is wrong: another start would end the
same), and on SIGTERM. SIGTERM leaves the worker running: `stop_worker` stops the supervisor first, then the worker.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from streams.stack import processes

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
WRONG_CONFIGURATION = 2


class _Stopped(BaseException):
    """SIGTERM was received."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def next_pause(pause: float, ran: float) -> float:
    """Seconds to wait before the next start, after a pause of `pause` and a run of `ran` seconds."""
    return FIRST_PAUSE if ran >= STEADY_SECONDS else min(LONGEST_PAUSE, pause * 2)


def supervise(run: Path, name: str, log: Path, command: list[str]) -> int:
    """Keep one worker running until SIGTERM. Returns the exit code of this process."""
    signal.signal(signal.SIGTERM, _stop)
    pause = FIRST_PAUSE / 2
    try:
        while True:
            began = time.monotonic()
            record = processes.spawn(name, command, log=log, cwd=Path.cwd())
            processes.write_record(run, record)
            code = processes.wait_code(record)
            if code in (0, WRONG_CONFIGURATION):
                _log(log, f"{name} ended with exit code {code}; it is not started again")
                return code
            pause = next_pause(pause, time.monotonic() - began)
            _log(log, f"{name} (pid {record.pid}) ended with {code}; next start in {pause:g} s")
            time.sleep(pause)
    except _Stopped:
        return 0


def _log(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} supervisor: {text}\n")


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[sys.argv.index("--") + 1 :]))
