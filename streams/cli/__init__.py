"""The command `opshub`: verbs.py lists its verbs. The module of a verb is imported when the verb is called.

Exit codes: 0 ok, 1 it ran and failed or found differences, 2 the input or configuration is wrong, 3 the environment is.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; errors become a message with its remedy, and an exit code."""
    if sys.argv[1:2] == ["health"] and "--help" not in sys.argv:
        # Containers call it every few seconds: without typer it takes a tenth of the CPU.
        from streams.cli.probe import run_probe

        sys.exit(run_probe(sys.argv[2:]))
    from streams.cli.dispatch import run

    sys.exit(run(sys.argv[1:]))
