"""Runs the console: refuses an unsafe address, writes its own into the state folder, serves until SIGTERM."""

from __future__ import annotations

import ipaddress
import json
import socket

import uvicorn

from streams.console.app import create_app
from streams.errors import ConfigError, EnvironmentFault
from streams.runtime.logs import set_up_logs
from streams.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ConfigError for an address that others can reach without sign-in."""
    host, port = settings.console_host, settings.console_port
    if not is_loopback(host):
        raise ConfigError(
            f"the console listens on {host}, which other machines can reach, and has no sign-in",
            remedy="OPSHUB_CONSOLE_HOST=127.0.0.1",
        )
    try:
        listener = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise EnvironmentFault(
            f"the console cannot listen on {host}:{port}: {error.strerror}",
            remedy="another port: OPSHUB_CONSOLE_PORT, or --port; 0 takes a free one",
        ) from error
    set_up_logs(settings, "console")
    address = f"http://{host}:{listener.getsockname()[1]}/"
    file = settings.state_dir / "run" / "console.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"address": address}), encoding="utf-8")
    print(f"The console is at {address}", flush=True)
    config = uvicorn.Config(
        create_app(settings), log_level="warning", access_log=False, lifespan="on", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run([listener])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
