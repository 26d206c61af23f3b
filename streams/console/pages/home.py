"""Language and theme."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console.languages import LANGUAGES
from streams.console.render import THEMES

YEAR_S = 31_536_000


def choose(request: Request) -> Response:
    """Keep a choice of language or theme in a cookie, and go back to the page."""
    chosen = {
        "language": (request.query_params.get("language"), LANGUAGES),
        "theme": (request.query_params.get("theme"), THEMES),
    }
    target = request.query_params.get("page", "/")
    here = target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
    response = RedirectResponse(here, status_code=303)
    for name, (value, allowed) in chosen.items():
        if value is not None and value in allowed:
            response.set_cookie(name, value, max_age=YEAR_S, samesite="lax")
    return response


ROUTES = [Route("/choose", choose)]
