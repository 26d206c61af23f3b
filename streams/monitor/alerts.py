"""Tell people what is wrong, once, and once more when it is over.

In: the problems that there are now, each with a name that stays the same while it lasts. Out: one notice when a problem begins, one when
it is resolved, to every sink that is configured: a webhook (JSON), Slack (its payload), e-mail. A sink that fails is
tried again with the next look; what it was not told stays due. What was told can be kept (`told`, see notices.py) for whoever watches next.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from typing import Literal

import httpx
import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong now. `name` tells it from others and stays the same while it lasts."""

    name: str
    what: str
    remedy: str = ""


class Notice(msgspec.Struct, frozen=True):
    """What a sink is told."""

    state: Literal["firing", "resolved"]
    problem: Problem
    since: float
    """Seconds since 1970 at which it began."""


Sink = Callable[[list[Notice]], None]
"""Sends notices; raises OSError or httpx.HTTPError when they did not arrive."""


Told = dict[str, dict[str, Notice]]
"""Sink → name of the problem → what it was told, and not yet told the end of."""


class Alerts:
    """Call `look` with all present problems, again and again."""

    def __init__(self, sinks: dict[str, Sink], clock: Callable[[], float] = time.time) -> None:
        self._sinks = sinks
        self._clock = clock
        self.told: Told = {}
        self._since: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        """Sink → why it could not be reached at the last look."""

    def look(self, problems: Iterable[Problem], is_seen: Callable[[str], bool] = lambda _: True) -> list[Notice]:
        """Tell what is new and what is over; what was told to at least one sink comes back.

        `is_seen`: whether this look could tell, of a problem that is not there, that it is over.
        """
        now = {problem.name: problem for problem in problems}
        known = {name: notice.since for told in self.told.values() for name, notice in told.items()}
        since = {name: known.get(name, self._since.get(name, self._clock())) for name in now}
        sent: dict[tuple[str, str], Notice] = {}
        for sink, send in self._sinks.items():
            told = self.told.setdefault(sink, {})
            fresh = [Notice("firing", problem, since[name]) for name, problem in now.items() if name not in told]
            over = [
                Notice("resolved", notice.problem, notice.since)
                for name, notice in told.items()
                if name not in now and is_seen(name)
            ]
            if not fresh and not over:
                continue
            try:
                send(fresh + over)
            except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
                self.failures[sink] = str(error) or type(error).__name__
                continue
            self.failures.pop(sink, None)
            for notice in fresh:
                told[notice.problem.name] = notice
            for notice in over:
                del told[notice.problem.name]
            sent |= {(notice.problem.name, notice.state): notice for notice in fresh + over}
        self._since = since
        return list(sent.values())


def webhook(url: str) -> Sink:
    """POST `{"notices": [{state, since, problem: {name, what, remedy}}]}`."""

    def send(notices: list[Notice]) -> None:
        body = msgspec.json.encode({"notices": notices})
        httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=10).raise_for_status()

    return send


def slack(url: str) -> Sink:
    """POST to an incoming webhook of Slack, or of what takes its payload (Mattermost, Rocket.Chat)."""

    def send(notices: list[Notice]) -> None:
        httpx.post(url, json={"text": "\n".join(line(notice) for notice in notices)}, timeout=10).raise_for_status()

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
    """One message for each look that has news. With TLS the server must have a certificate that this machine trusts (SSL_CERT_FILE)."""

    def send(notices: list[Notice]) -> None:
        message = EmailMessage()
        firing = [notice for notice in notices if notice.state == "firing"]
        first = (firing or notices)[0]
        more = f" and {len(notices) - 1} more" if len(notices) > 1 else ""
        message["Subject"] = f"opshub: {first.state}: {first.problem.name}{more}"
        message["From"], message["To"] = sender, ", ".join(recipients)
        message.set_content("\n\n".join(line(notice) for notice in notices))
        with (
            smtplib.SMTP_SSL(host, port, timeout=10, context=ssl.create_default_context())
            if tls == "tls"
            else smtplib.SMTP(host, port, timeout=10)
        ) as connection:
            if tls == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if user:
                connection.login(user, password)
            connection.send_message(message)

    return send


def line(notice: Notice) -> str:
    """A notice for a person."""
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(notice.since))
    remedy = f"\nremedy: {notice.problem.remedy}" if notice.problem.remedy and notice.state == "firing" else ""
    return f"{notice.state.upper()} {notice.problem.name}: {notice.problem.what} (since {began}){remedy}"
