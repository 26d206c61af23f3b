"""`opshub health`: asks the page of a worker or the console, for the probes of Docker and Kubernetes.

It runs every few seconds in every container, so it imports next to nothing: no settings model, no HTTP client. It reads
OPSHUB_METRICS_PORT, OPSHUB_CONSOLE_PORT and their like from the environment and from ./opshub.env.
"""

from __future__ import annotations

import os
import re
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes longer to import than the rest
    from typing import Any

WELL, NOT_WELL, WRONG_USE, NO_ANSWER = 0, 1, 2, 3

USAGE = "usage: opshub health [worker|console] [--ready] [--host HOST] [--port PORT] [--timeout SECONDS]"

LARGEST_ANSWER = 64 * 1024

LISTENS_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def run_probe(arguments: list[str]) -> int:
    """Print what the page says, and return the exit code: 0 well, 1 not well, 2 wrong options, 3 no answer."""
    try:
        values = _parse(arguments)
    except ValueError as error:
        print(f"error: {error}\n{USAGE}", file=sys.stderr)
        return WRONG_USE
    code, text = probe(**values)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


def _parse(arguments: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    left = list(arguments)
    while left:
        word, equals, value = left.pop(0).partition("=")
        if word in ("worker", "console") and "process" not in values:
            values["process"] = word
        elif word == "--ready" and not equals:
            values["ready"] = True
        elif word in ("--host", "--port", "--timeout"):
            if not equals and not left:
                raise ValueError(f"{word} needs a value")
            value = value if equals else left.pop(0)
            kind = {"--host": str, "--port": int, "--timeout": float}[word]
            try:
                values[word[2:]] = kind(value)
            except ValueError:
                raise ValueError(f"{word} {value} is no number") from None
        else:
            raise ValueError(f"{word} is not understood")
    return values


def probe(
    process: str = "worker", ready: bool = False, host: str = "", port: int = 0, timeout: float = 3.0
) -> tuple[int, str]:
    """(exit code, sentence) about the process that listens at `host:port`; by default where the settings have it."""
    variables = _variables()
    name = "METRICS" if process == "worker" else "CONSOLE"
    host = host or variables.get(f"OPSHUB_{name}_HOST", "") or variables.get("OPSHUB_HOST", "")
    host = LISTENS_EVERYWHERE.get(host, host)
    port = port or _port(process, variables)
    if not port:
        return NO_ANSWER, f"no {process} has written its port into the state folder: it has not started, or give --port"
    secure = process == "console" and bool(variables.get("OPSHUB_CONSOLE_TLS_CERT"))
    try:
        status, body = _get(host, port, "/readyz" if ready else "/healthz", timeout, secure)
    except (OSError, ValueError) as error:
        return NO_ANSWER, f"the {process} does not answer at {host}:{port}: {error}"
    return (WELL if status == 200 else NOT_WELL), body.strip() or f"HTTP {status}"


def _variables() -> dict[str, str]:
    """The settings that say where the pages are; a variable wins over a line of opshub.env."""
    values: dict[str, str] = {}
    try:
        with open("opshub.env", encoding="utf-8") as file:
            for line in file:
                if match := re.match(r"\s*(?:export\s+)?(OPSHUB_\w+)\s*=\s*(.*?)\s*$", line, re.IGNORECASE):
                    values[match[1].upper()] = match[2].strip("\"'")
    except OSError:
        pass
    return values | {name.upper(): value for name, value in os.environ.items()}


def _port(process: str, variables: dict[str, str]) -> int:
    """The port by the settings; where they ask for a free one (0), that which the process has written down."""
    given = variables.get("OPSHUB_METRICS_PORT" if process == "worker" else "OPSHUB_CONSOLE_PORT")
    port = int(given) if given and given.isdecimal() else {"worker": 19100, "console": 18080}[process]
    if port:
        return port
    from json import loads
    from pathlib import Path

    run = Path(variables.get("OPSHUB_STATE_DIR") or ".opshub") / "run"
    try:
        if process == "console":
            address = str(loads((run / "console.json").read_text(encoding="utf-8"))["address"])
            return int(address.rstrip("/").rpartition(":")[2])
        file = run / f"worker-{variables.get('OPSHUB_WORKER_NAME') or socket.gethostname()}.port"
        return int(loads(file.read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError):
        return 0


def _get(host: str, port: int, path: str, timeout: float, secure: bool) -> tuple[int, str]:
    """(status, body) of a GET. The certificate is not checked: the page is asked on its own machine."""
    with socket.create_connection((host, port), timeout) as plain:
        connection = plain
        if secure:
            import ssl

            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(plain)
        # HTTP/1.0: the server closes at the end of the body, so nothing has to be decoded.
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < LARGEST_ANSWER and (received := connection.recv(8192)):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    match = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if match is None:
        raise ValueError("the answer is not HTTP")
    return int(match[1]), body.decode(errors="replace")
