"""Alerts arrive at a real SMTP server and a real HTTP server; each problem sends one alert when it starts and one when it ends."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr, ValidationError

from streams.monitor.alerts import AlertSender, Problem
from streams.monitor.sinks import configured_sinks, email, slack, webhook
from streams.settings import Settings
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


def test_each_problem_sends_one_alert_when_it_starts_and_one_when_it_ends(posted: tuple[str, list[Any]]) -> None:
    url, taken = posted
    alerts = AlertSender({"hook": webhook(url + "/hook"), "slack": slack(url + "/slack")}, clock=lambda: 0.0)
    alerts.send([LAG])
    alerts.send([LAG])
    alerts.send([LAG, SLOT])
    alerts.send([SLOT])
    hooks = [
        [(one["state"], one["problem"]["name"]) for one in body["alerts"]] for path, body in taken if path == "/hook"
    ]
    assert hooks == [[("firing", "lag")], [("firing", "capture-lost/demo-crm")], [("resolved", "lag")]]
    texts = [body["text"] for path, body in taken if path == "/slack"]
    assert (
        texts[0]
        == "FIRING lag: ingest is 12,000 records behind (since 1970-01-01 00:00:00 UTC)\nremedy: start another worker"
    )


def test_a_mail_names_the_first_problem_and_counts_the_others(posted: tuple[str, list[Any]]) -> None:
    mailbox = Mailbox()
    port = free_ports()["metrics_port"]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        alerts = AlertSender({"mail": email("127.0.0.1", port, "opshub@example.com", ["ops@example.com"])})
        alerts.send([LAG, SLOT])
        alerts.send([])
    finally:
        controller.stop()
    assert [message["Subject"] for message in mailbox.messages] == [
        "opshub: firing: lag and 1 more",
        "opshub: resolved: lag and 1 more",
    ]
    assert "start another worker" in mailbox.messages[0].get_payload()


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's, for 127.0.0.1, signed by itself; what trusts it is `folder/cert.pem`."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # it takes TLS from the first byte for none
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_arrives_where_one_must_log_in_and_nowhere_else(
    tls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, port = Mailbox(), free_ports()["metrics_port"]

    def who(server: Any, session: Any, envelope: Any, mechanism: str, said: LoginPassword) -> AuthResult:
        return AuthResult(success=(said.login, said.password) == (b"ops", b"s3cret"), handled=False)

    options: dict[str, Any] = {"authenticator": who, "auth_required": True, "auth_require_tls": tls == "starttls"}
    context = certificate(tmp_path)
    if tls == "tls":
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, ssl_context=context, **options)
    else:
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, tls_context=context, **options)

    def failures(password: str) -> dict[str, str]:
        settings = Settings(
            _env_file=None, alert_email_to=["ops@example.com"], alert_smtp_server=f"127.0.0.1:{port}", alert_smtp_tls=tls,
            alert_smtp_user="ops", alert_smtp_password=SecretStr(password),
        )  # type: ignore[call-arg]  # fmt: skip
        assert password not in repr(settings)
        alerts = AlertSender(configured_sinks(settings))
        alerts.send([LAG])
        return alerts.failures

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    controller.start()
    try:
        assert "Authentication" in failures("wrong")["email"]
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "CERTIFICATE_VERIFY_FAILED" in failures("s3cret")["email"], "it would send anybody its password"
        assert mailbox.messages == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert failures("s3cret") == {}
    finally:
        controller.stop()
    assert [message["Subject"] for message in mailbox.messages] == ["opshub: firing: lag"]


@pytest.mark.parametrize("wrong", ["mail:twentyfive", "a:b:c", ":25", "mail:"])
def test_an_address_of_a_mail_server_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="alert_smtp_server"):
        Settings(_env_file=None, alert_smtp_server=wrong)  # type: ignore[call-arg]


def test_a_sink_that_failed_gets_the_alert_at_the_next_check(posted: tuple[str, list[Any]]) -> None:
    url, taken = posted
    away = {"now": True}
    hook = webhook(url + "/hook")

    def flaky(sent: Any) -> None:
        if away["now"]:
            raise ConnectionRefusedError("nobody listens")
        hook(sent)

    alerts = AlertSender({"hook": flaky})
    assert alerts.send([LAG]) == []
    assert alerts.failures == {"hook": "nobody listens"}
    away["now"] = False
    assert [alert.state for alert in alerts.send([LAG])] == ["firing"]
    assert len(taken) == 1
