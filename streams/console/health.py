"""The console's pages for probes: /healthz (it lives) and /readyz (and the hub answers it).

They stand before the guard: a probe comes by the address of a container, has no account, and learns nothing but this.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.console.place import Place
from streams.errors import EnvironmentFault


class HealthPages:
    """Answers the two pages, and passes everything else on."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self.app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in ("/healthz", "/readyz"):
            await self.app(scope, receive, send)
            return
        problem = await run_in_threadpool(self._away) if scope["path"] == "/readyz" else None
        status = 503 if problem else 200
        answer = PlainTextResponse((problem or "ok") + "\n", status, headers={"cache-control": "no-store"})
        await answer(scope, receive, send)

    def _away(self) -> str | None:
        try:
            with self._place.hub() as hub:
                hub.execute("SELECT 1")
        except EnvironmentFault as away:
            return str(away)
        return None
