"""A small CRM that has pages with forms only, as Django serves them: cookies, a token against forged requests, pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.serving import serving

PAGE = b"<!doctype html><html><body>a page for people</body></html>"
PASSWORD = "s3cr3t-of-the-form"


class FormCrm(ThreadingHTTPServer):
    """`references` by deal; `logins`: how often somebody came in; `forgets`: sessions end now."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.references: dict[str, str] = {}
        self.logins = 0
        self.tokens = 0
        self.refuses = False
        self.sessions: set[str] = set()

    def forget(self) -> None:
        self.sessions.clear()


class Handler(BaseHTTPRequestHandler):
    server: FormCrm

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(200, PAGE, cookies={"csrftoken": self._token()})

    def do_POST(self) -> None:
        crm = self.server
        fields = {k: v[0] for k, v in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
        cookies = {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
        token = fields.get("csrfmiddlewaretoken") or self.headers.get("X-CSRFToken")
        if not token or token != cookies.get("csrftoken"):
            self._answer(403, PAGE)
        elif self.path == "/login":
            if (fields.get("username"), fields.get("password")) != ("opshub", PASSWORD):
                self._answer(200, PAGE)
                return
            crm.logins += 1
            crm.sessions.add(session := f"session-{crm.logins}")
            self._answer(302, location="/", cookies={"sessionid": session, "csrftoken": self._token()})
        elif cookies.get("sessionid") not in crm.sessions:
            self._answer(302, location="/login")
        elif crm.refuses:
            self._answer(200, PAGE)
        else:
            crm.references[urlsplit(self.path).path.split("/")[2]] = fields["reference"]
            self._answer(200)

    def _token(self) -> str:
        self.server.tokens += 1
        return f"token-{self.server.tokens}"

    def _answer(
        self, status: int, body: bytes = b"", location: str | None = None, cookies: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (cookies or {}).items():
            self.send_header("Set-Cookie", f"{name}={value}; Path=/")
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def open_form_crm() -> Iterator[FormCrm]:
    with serving(FormCrm()) as server:
        yield server
