"""Sign-in at an OpenID Connect provider, by Authlib: authorization code with PKCE, state and nonce.

What belongs to a sign-in that is under way is kept in the hub for ten minutes, under the hash of its state; the browser
has the state in a cookie. The provider's keys and addresses are asked of it once, and again when a key is unknown.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from authlib.integrations.base_client import OAuthError

# Authlib takes httpx2 where it is installed, else httpx: whose errors come, only it knows.
from authlib.integrations.httpx_client._compat import httpx2
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool

from streams.console.people import Grant, from_stored, read_grant, stored
from streams.console.place import Place
from streams.console.problems import NotAllowed
from streams.console.sign_in import digest_of
from streams.errors import ConfigError, EnvironmentFault
from streams.hub import people as hub_people
from streams.settings import Settings

WAIT_S = 10
KEPT_FOR_S = 3600.0
"""The provider's addresses and keys are asked for again after this time."""


class Away(EnvironmentFault):
    """The identity provider does not answer."""


class Started(NamedTuple):
    """Where to send the browser, and what it must bring back."""

    url: str
    state: str


class Identity(NamedTuple):
    """Who the provider says it is. `to`: the page that was asked for before."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    to: str


async def begin(place: Place, callback: str, to: str) -> Started:
    """Begin a sign-in. Raises Away, ConfigError where no provider is set."""
    client = _client(place.settings)
    try:
        made = await client.create_authorization_url(callback)
    except (httpx2.HTTPError, ValueError, RuntimeError) as error:
        raise _away(place.settings, error) from error
    _check_issuer(place.settings, client)
    data = {"nonce": made["nonce"], "code_verifier": made["code_verifier"], "redirect_uri": callback, "to": to}

    def keep() -> None:
        with place.hub() as hub:
            hub_people.begin_provider_sign_in(hub, digest_of(made["state"]), data)

    await run_in_threadpool(keep)
    return Started(made["url"], made["state"])


async def end(place: Place, query: Mapping[str, str], state: str) -> Identity:
    """What the provider's answer proves. Raises NotAllowed for an answer that proves nothing, Away."""
    if "error" in query:
        raise NotAllowed(f"the identity provider refused: {query.get('error_description') or query['error']}")
    if not state or not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        raise NotAllowed("this sign-in was not begun in this browser", remedy="begin again")

    def take() -> dict[str, Any] | None:
        with place.hub() as hub:
            return hub_people.end_provider_sign_in(hub, digest_of(state))

    kept = await run_in_threadpool(take)
    if kept is None:
        raise NotAllowed("this sign-in took too long, or is over", remedy="begin again")
    client = _client(place.settings)
    try:
        token = await client.fetch_access_token(
            code=query.get("code", ""), redirect_uri=kept["redirect_uri"], code_verifier=kept["code_verifier"]
        )
        if not isinstance(token, dict) or "id_token" not in token:
            raise NotAllowed("the identity provider sent no id token", remedy="OPSHUB_OIDC_SCOPES must have `openid`")
        claims = dict(await client.parse_id_token(token, nonce=kept["nonce"]))
        if "userinfo_endpoint" in client.server_metadata:
            claims = await _with_userinfo(client, token, claims)
    except (OAuthError, JoseError, ValueError, KeyError) as error:
        raise NotAllowed(f"the identity provider's answer cannot be trusted: {error}", remedy="begin again") from error
    except httpx2.HTTPError as error:
        raise _away(place.settings, error) from error
    return Identity(str(claims["iss"]), str(claims["sub"]), claims, str(kept["to"]))


def person_of(place: Place, identity: Identity) -> str:
    """The name of the person, who is added or brought up to date. Raises NotAllowed without a role, or where the name
    is another's.
    """
    settings, claims = place.settings, identity.claims
    claimed = granted(settings, claims)
    name = name_of(settings, claims)
    with place.hub() as hub:
        known = hub_people.person_of_provider(hub, identity.issuer, identity.subject)
        given = from_stored(hub_people.list_people(hub, known)[0].grants) if known else ()
        if not claimed and not given:
            groups = ", ".join(_groups(settings, claims)) or "none"
            raise NotAllowed(
                f"{name} has no role here (groups: {groups})",
                remedy="OPSHUB_OIDC_ROLES gives groups roles; or an admin gives you one by name",
            )
        if known is None and not hub_people.add_person(
            hub, name, issuer=identity.issuer, subject=identity.subject, full_name=str(claims.get("name", ""))[:200]
        ):
            raise NotAllowed(
                f"the name {name} belongs to somebody else here",
                remedy=f"an admin removes that person, or sets OPSHUB_OIDC_NAME_CLAIM; now it is "
                f"{settings.oidc_name_claim}",
            )
        full_name = str(claims["name"])[:200] if "name" in claims else None
        hub_people.person_signed_in(hub, known or name, claimed=stored(claimed), full_name=full_name)
    return known or name


def granted(settings: Settings, claims: Mapping[str, Any]) -> list[Grant]:
    """What the person's groups give here. Raises ConfigError for a setting that is no grant."""
    return [
        read_grant(settings.oidc_roles[group]) for group in _groups(settings, claims) if group in settings.oidc_roles
    ]


def name_of(settings: Settings, claims: Mapping[str, Any]) -> str:
    """The person's name for lists: the claim that is set, else a proved mail address, else the id at the provider."""
    named = claims.get(settings.oidc_name_claim)
    if not named and claims.get("email_verified") is True:
        named = claims.get("email")
    return str(named or claims["sub"]).strip().lower()[:128]


def _groups(settings: Settings, claims: Mapping[str, Any]) -> list[str]:
    value: Any = claims
    for step in settings.oidc_roles_claim.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    groups = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [group for group in groups if isinstance(group, str)]


async def _with_userinfo(client: Any, token: Mapping[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with those that the provider gives only when asked; never those of another subject."""
    more = dict(await client.userinfo(token=token))
    return {**more, **claims} if more.get("sub") == claims["sub"] else claims


def _client(settings: Settings) -> Any:
    if not settings.oidc_issuer:
        raise ConfigError("no identity provider is set", remedy="OPSHUB_OIDC_ISSUER, or sign in by password")
    # The hour is part of the key: a client keeps what it once asked of the provider.
    return _client_of(
        settings.oidc_issuer.rstrip("/"), settings.oidc_client_id,
        settings.oidc_client_secret.get_secret_value(), settings.oidc_scopes,
        int(time.monotonic() // KEPT_FOR_S),
    )  # fmt: skip


@lru_cache(maxsize=4)
def _client_of(issuer: str, client_id: str, secret: str, scopes: str, hour: int) -> Any:
    return OAuth().register(
        "provider",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": scopes, "code_challenge_method": "S256", "timeout": WAIT_S},
    )


def _check_issuer(settings: Settings, client: Any) -> None:
    named = str(client.server_metadata.get("issuer", "")).rstrip("/")
    if named != settings.oidc_issuer.rstrip("/"):
        raise ConfigError(
            f"the identity provider calls itself {named}", remedy="set OPSHUB_OIDC_ISSUER to exactly that"
        )


def _away(settings: Settings, error: Exception) -> Away:
    return Away(
        f"the identity provider {settings.oidc_issuer} does not answer: {error or type(error).__name__}",
        remedy="try again later; local people can sign in by password",
    )
