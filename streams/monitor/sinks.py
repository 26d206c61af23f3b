"""Where alerts go: a webhook (JSON), Slack, e-mail, and always the watcher's log."""

from __future__ import annotations

import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Literal

import httpx
import msgspec
from mode.utils.logging import get_logger

from streams.monitor.alerts import Alert, Sink
from streams.settings import Settings

logger = get_logger(__name__)

TIMEOUT_S = 10
"""For a sink to answer: the watcher waits for it, and checks nothing meanwhile."""


def configured_sinks(settings: Settings) -> dict[str, Sink]:
    """The sinks that the settings name, and the log: without any setting, problems are in the watcher's log."""
    sinks: dict[str, Sink] = {"log": log}
    if settings.alert_webhook_url:
        sinks["webhook"] = webhook(settings.alert_webhook_url)
    if settings.alert_slack_url:
        sinks["slack"] = slack(settings.alert_slack_url)
    if settings.alert_email_to:
        host, _, port = settings.alert_smtp_server.partition(":")
        sinks["email"] = email(
            host,
            int(port or "25"),
            settings.alert_email_from,
            settings.alert_email_to,
            user=settings.alert_smtp_user,
            password=settings.alert_smtp_password.get_secret_value(),
            tls=settings.alert_smtp_tls,
        )
    return sinks


def log(alerts: list[Alert]) -> None:
    """One line for each alert in the log of the worker that watches."""
    for alert in alerts:
        problem = alert.problem
        logger.warning("%s: %s: %s; remedy: %s", alert.state, problem.name, problem.what, problem.remedy)


def webhook(url: str) -> Sink:
    """POST `{"alerts": [{state, since, problem: {name, what, remedy}}]}`."""

    def send(alerts: list[Alert]) -> None:
        body = msgspec.json.encode({"alerts": alerts})
        headers = {"content-type": "application/json"}
        httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S).raise_for_status()

    return send


def slack(url: str) -> Sink:
    """POST to an incoming webhook of Slack, or of what takes the same JSON (Mattermost, Rocket.Chat)."""

    def send(alerts: list[Alert]) -> None:
        text = "\n".join(alert_text(alert) for alert in alerts)
        httpx.post(url, json={"text": text}, timeout=TIMEOUT_S).raise_for_status()

    return send


def email(
    host: str,
    port: int,
    sender: str,
    recipients: list[str],
    *,
    user: str = "",
    password: str = "",
    tls: Literal["off", "starttls", "tls"] = "off",
) -> Sink:
    """One message for all alerts of a check. With TLS this machine must trust the server's certificate
    (SSL_CERT_FILE).
    """

    def send(alerts: list[Alert]) -> None:
        message = EmailMessage()
        # The subject names a problem that has started, if there is one: an end is no reason to get up.
        first = next((alert for alert in alerts if alert.state == "firing"), alerts[0])
        more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
        message["Subject"] = f"opshub: {first.state}: {first.problem.name}{more}"
        message["From"], message["To"] = sender, ", ".join(recipients)
        message.set_content("\n\n".join(alert_text(alert) for alert in alerts))
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
            if tls == "tls"
            else smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        ) as connection:
            if tls == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if user:
                connection.login(user, password)
            connection.send_message(message)

    return send


def alert_text(alert: Alert) -> str:
    """An alert for a person: what, since when, and what to do."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.since))
    remedy = f"\nremedy: {alert.problem.remedy}" if alert.problem.remedy and alert.state == "firing" else ""
    return f"{alert.state.upper()} {alert.problem.name}: {alert.problem.what} (since {since}){remedy}"
