"""Alerts arrive at a real SMTP server and a real HTTP server; each problem is told once, and once more when it is over."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from streams.repair.alerts import Alerts, Problem, email, slack, webhook
from tests.conftest import free_ports

LAG = Problem("lag", "ingest is 12,000 records behind", "start another worker")
SLOT = Problem("capture-lost/demo-crm", "the slot is gone")


class Mailbox:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
def posted() -> Iterator[tuple[str, list[Any]]]:
    taken: list[Any] = []

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_problem_is_told_once_and_when_it_is_over(posted: tuple[str, list[Any]]) -> None:
    url, taken = posted
    alerts = Alerts({"hook": webhook(url + "/hook"), "slack": slack(url + "/slack")}, clock=lambda: 0.0)
    alerts.look([LAG])
    alerts.look([LAG])
    alerts.look([LAG, SLOT])
    alerts.look([SLOT])
    hooks = [
        [(one["state"], one["problem"]["name"]) for one in body["notices"]] for path, body in taken if path == "/hook"
    ]
    assert hooks == [[("firing", "lag")], [("firing", "capture-lost/demo-crm")], [("resolved", "lag")]]
    texts = [body["text"] for path, body in taken if path == "/slack"]
    assert (
        texts[0]
        == "FIRING lag: ingest is 12,000 records behind (since 1970-01-01 00:00:00 UTC)\nremedy: start another worker"
    )


def test_a_mail_arrives(posted: tuple[str, list[Any]]) -> None:
    mailbox = Mailbox()
    port = free_ports()["console_port"]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        alerts = Alerts({"mail": email("127.0.0.1", port, "opshub@example.com", ["ops@example.com"])})
        alerts.look([LAG, SLOT])
        alerts.look([])
    finally:
        controller.stop()
    assert [message["Subject"] for message in mailbox.messages] == [
        "opshub: firing: lag and 1 more",
        "opshub: resolved: lag and 1 more",
    ]
    assert "start another worker" in mailbox.messages[0].get_payload()


def test_a_sink_that_is_away_is_told_later(posted: tuple[str, list[Any]]) -> None:
    url, taken = posted
    away = {"now": True}
    hook = webhook(url + "/hook")

    def flaky(notices: Any) -> None:
        if away["now"]:
            raise ConnectionRefusedError("nobody listens")
        hook(notices)

    alerts = Alerts({"hook": flaky})
    assert alerts.look([LAG]) == []
    assert alerts.failures == {"hook": "nobody listens"}
    away["now"] = False
    assert [notice.state for notice in alerts.look([LAG])] == ["firing"]
    assert len(taken) == 1
