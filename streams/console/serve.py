"""Runs the console: refuses an unsafe address, writes its own into the state folder, serves until SIGTERM."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import psycopg
import uvicorn

from streams.console.access import Access, access_of, is_loopback
from streams.console.app import create_app
from streams.console.installed import installed_rules, installed_systems
from streams.console.languages import LANGUAGES, texts_of
from streams.console.live import reader_of
from streams.console.place import Place
from streams.console.render import environment
from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.hub.people import has_people
from streams.runtime.logs import set_up_logs
from streams.settings import Settings

__all__ = ["is_loopback", "serve"]


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ConfigError for an address that others reach without sign-in and TLS."""
    access = access_of(settings)
    _refuse_without_people(settings, access)
    listener = listen(settings.console_host, settings.console_port)
    set_up_logs(settings, "console")
    app = create_app(settings)
    # Before the address is known: the first visit would wait for all this, and the picture with it.
    place: Place = app.state.place
    warm_up(place)
    place.open()
    reader_of(place).expect_listener()
    address = _address(settings, listener.getsockname()[1])
    file = settings.state_dir / "run" / "console.json"
    # In a container whose files are read only, nobody looks for the file: the address is known.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"address": address}), encoding="utf-8")
    print(f"The console is at {address}", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", server_header=False,
        timeout_graceful_shutdown=2, **_transport(settings, access),
    )  # fmt: skip
    uvicorn.Server(config).run([listener])


def warm_up(place: Place) -> None:
    """Compile what the first pages need, which would otherwise wait for it: dictionaries, templates, texts. A file that
    is wrong is left to the page that shows it.
    """
    for template in environment().list_templates():
        environment().get_template(template)
    for language in LANGUAGES:
        texts_of(language)
    with contextlib.suppress(OpshubError):
        installed_systems(place.settings)
        installed_rules(place.settings)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises EnvironmentFault where the address is taken or not ours."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise EnvironmentFault(
            f"the console cannot listen on {host}:{port}: {error.strerror}",
            remedy="another port: OPSHUB_CONSOLE_PORT, or --port; 0 takes a free one",
        ) from error
    # asyncio sets this only on sockets that it opened itself. Without it an answer in two writes, as every page is,
    # waits 40 ms for the browser's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _transport(settings: Settings, access: Access) -> dict[str, Any]:
    """uvicorn's options for TLS and for the proxy. Without a proxy, it believes no header: uvicorn's own default is to
    believe those of this machine.
    """
    made: dict[str, Any] = {"proxy_headers": bool(access.proxies), "forwarded_allow_ips": access.proxies or None}
    if settings.console_tls_cert is not None:
        made |= {"ssl_certfile": str(settings.console_tls_cert), "ssl_keyfile": str(settings.console_tls_key)}
    return made


def _address(settings: Settings, port: int) -> str:
    if settings.console_url:
        return settings.console_url.rstrip("/") + "/"
    host = f"[{settings.console_host}]" if ":" in settings.console_host else settings.console_host
    return f"{'https' if settings.console_tls_cert else 'http'}://{host}:{port}/"


def _refuse_without_people(settings: Settings, access: Access) -> None:
    """Raises ConfigError for a console that others can reach and nobody could sign in to. While the hub is away, it is
    started all the same: it lets nobody in.
    """
    if access.is_local or settings.oidc_issuer:
        return
    try:
        with psycopg.connect(settings.hub, connect_timeout=3, autocommit=True) as hub:
            is_anybody_known = has_people(hub)
    except psycopg.Error:
        return
    if not is_anybody_known:
        raise ConfigError(
            f"the console would listen on {settings.console_host}, which other machines reach, and nobody can sign in",
            remedy="`opshub people add NAME --role admin`, or an identity provider: OPSHUB_OIDC_ISSUER",
        )
