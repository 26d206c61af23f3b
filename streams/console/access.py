"""From where the console may be reached, and what that needs: the rules that keep an unsafe one from starting."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from streams.errors import ConfigError
from streams.settings import Settings

GUIDE = "docs/guides/console-sign-in.md"


class Access(NamedTuple):
    """How a console is reached."""

    is_local: bool
    """Only this machine reaches it: without people it needs no sign-in."""
    is_secure: bool
    """Browsers reach it by HTTPS: cookies are Secure."""
    hosts: frozenset[str]
    """The names in the Host header that are ours, lower case, without port."""
    proxies: str
    """Whose X-Forwarded-… headers are believed, as uvicorn takes it; empty: nobody's."""

    def cookie(self, name: str) -> str:
        """The name of a cookie: `__Host-` keeps other hosts of the domain from setting it."""
        return f"__Host-{name}" if self.is_secure else name


def access_of(settings: Settings) -> Access:
    """Raises ConfigError for a console that others could reach without TLS, or by an unknown address.

    In a container the console must listen on all addresses of its own, and the engine publishes the port on this
    machine: a `console_url` of this machine says so. Sign-in is needed there, and other hosts are refused.
    """
    host, url = settings.console_host, urlsplit(settings.console_url)
    has_tls = _has_tls(settings)
    proxies = _proxies(settings.console_proxy)
    if is_loopback(host) and not proxies:
        if url.hostname and not is_loopback(url.hostname):
            raise ConfigError(
                f"the console's address is {settings.console_url}, but it listens on {host} and knows of no proxy",
                remedy="name the proxy that passes requests on: OPSHUB_CONSOLE_PROXY=127.0.0.1",
            )
        return Access(True, has_tls, frozenset({"localhost", "127.0.0.1", "::1", host.lower()}), "")
    if not has_tls and not proxies and not is_loopback(url.hostname or ""):
        raise ConfigError(
            f"the console listens on {host}, which other machines can reach, without TLS",
            remedy="OPSHUB_CONSOLE_TLS_CERT and OPSHUB_CONSOLE_TLS_KEY; or OPSHUB_CONSOLE_PROXY with the proxy "
            "that does TLS; or OPSHUB_CONSOLE_HOST=127.0.0.1; or, in a container whose port is published on this "
            f"machine only, OPSHUB_CONSOLE_URL=http://localhost:18080. See {GUIDE}",
        )
    if not url.hostname:
        raise ConfigError(
            "other machines can reach the console, and it does not know its own address",
            remedy="OPSHUB_CONSOLE_URL=https://… as people type it: requests for other hosts are refused",
        )
    if url.scheme != "https" and not is_loopback(url.hostname):
        raise ConfigError(
            f"the console's address {settings.console_url} is not HTTPS: passwords could be read on their way",
            remedy="OPSHUB_CONSOLE_URL=https://…",
        )
    hosts = {url.hostname.lower()} | ({"localhost", "127.0.0.1", "::1"} if is_loopback(url.hostname) else set())
    return Access(False, url.scheme == "https", frozenset(hosts), proxies)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _has_tls(settings: Settings) -> bool:
    files = {"CERT": settings.console_tls_cert, "KEY": settings.console_tls_key}
    if (files["CERT"] is None) != (files["KEY"] is None):
        missing = next(name for name, path in files.items() if path is None)
        raise ConfigError(f"OPSHUB_CONSOLE_TLS_{missing} is missing", remedy="set both, certificate and key")
    for name, path in files.items():
        if path is not None and not path.is_file():
            raise ConfigError(f"OPSHUB_CONSOLE_TLS_{name} is {path}, which is no file", remedy="name a PEM file")
    return files["CERT"] is not None


def _proxies(text: str) -> str:
    if text.strip().lower() == "yes":
        return "*"
    names = [name.strip() for name in text.split(",") if name.strip()]
    networks: list[str] = []
    for name in names:
        try:
            networks.append(
                str(ipaddress.ip_network(name, strict=False)) if "/" in name else str(ipaddress.ip_address(name))
            )
        except ValueError as error:
            raise ConfigError(
                f"OPSHUB_CONSOLE_PROXY names {name}, which is no address",
                remedy="its address (10.0.0.7), its network (10.0.0.0/24), or `yes` where only it reaches the console",
            ) from error
    return ",".join(networks)
