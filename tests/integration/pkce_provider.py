"""The OpenID Connect server of the tests, which also checks PKCE: `python -m tests.integration.pkce_provider --port N`.

oidc-provider-mock is made by Authlib's server and leaves PKCE out. Here Authlib's own extension for it (RFC 7636) is
added to the grant: a code that was asked for with a challenge is given out for the right verifier alone.
"""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import __main__ as command
from oidc_provider_mock import _app

_challenges: dict[str, tuple[str | None, str | None]] = {}
"""Code → challenge and method."""


class CheckedChallenge(CodeChallenge):  # type: ignore[misc]
    """Authlib's check, over challenges that are kept here."""

    def get_authorization_code_challenge(self, authorization_code: Any) -> str | None:
        return _challenges[authorization_code.code][0]

    def get_authorization_code_challenge_method(self, authorization_code: Any) -> str | None:
        return _challenges[authorization_code.code][1]


def _add_checks() -> None:
    register, save = AuthorizationServer.register_grant, _app.AuthorizationCodeGrant.save_authorization_code

    def register_grant(self: Any, grant: Any, extensions: Any = None) -> None:
        checks = [CheckedChallenge(required=True)] if grant is _app.AuthorizationCodeGrant else []
        register(self, grant, [*(extensions or []), *checks])

    def save_authorization_code(self: Any, code: str, request: Any) -> Any:
        asked = request.payload.data
        _challenges[code] = (asked.get("code_challenge"), asked.get("code_challenge_method"))
        return save(self, code, request)

    AuthorizationServer.register_grant = register_grant
    _app.AuthorizationCodeGrant.save_authorization_code = save_authorization_code  # type: ignore[method-assign]


if __name__ == "__main__":
    _add_checks()
    command.run()
