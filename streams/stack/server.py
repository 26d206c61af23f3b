"""The description of a server of the stack: its port, its command, its health check."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
from abc import ABC, abstractmethod
from pathlib import Path

import httpx

from streams.settings import Settings
from streams.stack.packages import java_program
from streams.stack.processes import OsUser

LOCAL_ADDRESSES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Server(ABC):
    """One server of the stack. It does nothing before `prepare`; native.py starts and stops it."""

    needs: tuple[str, ...] = ()
    """Names of servers that must be healthy before this one is started."""
    archives: tuple[str, ...] = ()
    """Sets of `artifacts.lock` that it needs."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    start_seconds: float = 90.0

    def __init__(self, name: str, settings: Settings, port_setting: str) -> None:
        self.name = name
        self.settings = settings
        self.port_setting = port_setting
        self.port: int = getattr(settings, port_setting)
        self.state = settings.state_dir.absolute()
        self.data = self.state / "data" / name
        self.log = self.state / "logs" / f"{name}.log"

    @property
    def other_ports(self) -> dict[str, int]:
        """Further ports that it listens on, by the name of their setting."""
        return {}

    @property
    def host(self) -> str:
        """Address at which clients of this machine reach it."""
        return LOCAL_ADDRESSES.get(self.settings.host, self.settings.host)

    @property
    def user(self) -> OsUser | None:
        """Another user to run as; None: the user that runs opshub."""
        return None

    @property
    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    @abstractmethod
    def prepare(self) -> None:
        """Write its configuration, and on the first start its data. Called with the server stopped."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def healthy(self) -> bool:
        """True when it answers requests like those of its clients. Quick, and never an exception."""

    def after_start(self) -> None:
        """Create what others need in it. Called after each start, before other servers and workers use it."""
        return

    def fingerprint_parts(self) -> list[str]:
        """Texts whose change means that a running server is out of date."""
        return [str(self.port), self.settings.host, *self.command()]

    def fingerprint(self) -> str:
        return hashlib.sha256("\0".join(self.fingerprint_parts()).encode()).hexdigest()[:16]


def java(heap: str, *options: str, classpath: str = "", main: str = "", arguments: tuple[str, ...] = ()) -> list[str]:
    """Command line of a Java server. It ends when memory runs out, instead of going on damaged."""
    return [
        str(java_program()),
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        *options,
        *(["-cp", classpath, main] if classpath else []),
        *arguments,
    ]


def answers(url: str, timeout: float = 2.0) -> bool:
    """True when a GET returns a status 2xx."""
    try:
        return httpx.get(url, timeout=timeout, trust_env=False, verify=False).is_success
    except httpx.HTTPError:
        return False


def listens(host: str, port: int) -> bool:
    """True when something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
        return True
    return False


def port_is_free(host: str, port: int) -> bool:
    """True when a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return not listens(LOCAL_ADDRESSES.get(host, host), port)


def write_config(file: Path, lines: dict[str, str]) -> str:
    """Write a Java properties file with one `key=value` for each entry; return its text."""
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return text
