"""The pages of people: all people for admins, one's own account, and the personal data of one record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console import handling
from streams.console.guard import check_form
from streams.console.handling import ask, back, do, wanted_of
from streams.console.languages import translate
from streams.console.operation import read_wanted
from streams.console.operations import account, people, unmask
from streams.console.operations.people import NamedPerson, NewPerson, Nothing
from streams.console.passwords import SHORTEST
from streams.console.people import ROLES, Grant, Person, permissions_of
from streams.console.problems import NotFound, SignInNeeded
from streams.console.render import language_of, page
from streams.model.entities import ENTITIES


def list_people(request: Request) -> Response:
    """All people, for admins."""
    listed = ask(request, people.people_list, Nothing())
    return page(
        request, "people.html", calls=[(people.people_list, Nothing())], people=listed.people, choices=_choices(request)
    )


def one_person(request: Request) -> Response:
    """One person, with roles and tokens."""
    wanted = wanted_of(request, NamedPerson)
    listed = ask(request, people.people_list, Nothing()).people
    result = [person for person in listed if person.name == wanted.name]
    if not result:
        ask(request, people.person_tokens, wanted)
        raise NotFound(f"there is no person named {wanted.name}", remedy="the list has all people")
    tokens = ask(request, people.person_tokens, wanted).tokens
    calls = [(people.person_tokens, wanted)]
    return page(request, "person.html", calls=calls, one=result[0], tokens=tokens, choices=_choices(request))


async def add(request: Request) -> Response:
    """Add a person by the form, with one role."""
    form = await _form(request)
    grants = [Grant(form["role"])] if form.get("role") in ROLES else []  # type: ignore[arg-type]
    given = {name: [form[name]] for name in ("name", "full_name", "password") if form.get(name)}
    wanted = msgspec.structs.replace(read_wanted(NewPerson, given), grants=grants)
    await do(request, people.add_person, wanted)
    return back(request, "/people", done=_text(request, "{name} may sign in", name=wanted.name))


def _change(function: Callable[..., Any], wanted: type[msgspec.Struct], to: str) -> Callable[[Request], Any]:
    """A handler of a form that changes something, and goes back to the page `to`."""

    async def handler(request: Request) -> Response:
        wanted_change = await handling.read_form(request, wanted)
        done = await do(request, function, wanted_change)
        return back(request, to.format(**request.path_params), done=done.done)

    return handler


def me(request: Request) -> Response:
    """Who am I."""
    result = ask(request, account.who_am_i, Nothing())
    return page(
        request, "me.html", calls=[(account.who_am_i, Nothing())], me=result, made=None, choices=_choices(request)
    )


async def make_token(request: Request) -> Response:
    """Make a token of one's own, and show its secret once."""
    form = await _form(request)
    grants = [Grant(form["role"])] if form.get("role") in ROLES else []  # type: ignore[arg-type]
    given = {name: [form[name]] for name in ("token", "days") if form.get(name)}
    wanted = msgspec.structs.replace(read_wanted(account.OwnToken, given), grants=grants)
    made = await do(request, account.add_own_token, wanted)
    result = await do(request, account.who_am_i, Nothing())
    return page(
        request, "me.html", calls=[(account.add_own_token, wanted)], me=result, made=made, choices=_choices(request)
    )


def ask_why(request: Request) -> Response:
    """Ask why the personal data of a record is needed."""
    person: Person | None = request.state.person
    if person is None:
        raise SignInNeeded("nobody is signed in", remedy="sign in")
    return page(request, "unmask.html", id=str(request.path_params["id"]), shown=None, reason="")


async def show_plain(request: Request) -> Response:
    """Show it."""
    wanted = await handling.read_form(request, unmask.WantedPlain)
    shown = await do(request, unmask.unmask_record, wanted)
    return page(
        request, "unmask.html", calls=[(unmask.unmask_record, wanted)], id=wanted.id, shown=shown, reason=wanted.reason,
        marked=sorted(name for name, field in ENTITIES[shown.entity].fields.items() if field.pii),
    )  # fmt: skip


def _choices(request: Request) -> dict[str, object]:
    rights = {role: sorted(permissions_of(role)) for role in ROLES}
    systems = sorted(request.app.state.place.settings.systems)
    return {"roles": ROLES, "rights": rights, "systems": systems, "entities": sorted(ENTITIES), "shortest": SHORTEST}


async def _form(request: Request) -> dict[str, str]:
    form = await request.form()
    token = form.get("csrf")
    check_form(request, token if isinstance(token, str) else "")
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _text(request: Request, english: str, **values: object) -> str:
    return translate(language_of(request), english, **values)


_GRANT = people.ChangedGrant

ROUTES = [
    Route("/people", list_people, methods=["GET"]),
    Route("/people", add, methods=["POST"]),
    Route("/people/{name}", one_person, methods=["GET"]),
    Route("/people/{name}/grants", _change(people.grant_role, _GRANT, "/people/{name}"), methods=["POST"]),
    Route("/people/{name}/revoke", _change(people.revoke_role, _GRANT, "/people/{name}"), methods=["POST"]),
    Route("/people/{name}/password", _change(people.set_password, people.NewPassword, "/people/{name}"),
          methods=["POST"]),
    Route("/people/{name}/sign-out", _change(people.sign_out_person, NamedPerson, "/people/{name}"), methods=["POST"]),
    Route("/people/{name}/remove", _change(people.remove_person, NamedPerson, "/people"), methods=["POST"]),
    Route("/people/{name}/tokens/{id:int}/end", _change(people.remove_token, people.OldToken, "/people/{name}"),
          methods=["POST"]),
    Route("/me", me, methods=["GET"]),
    Route("/me/password", _change(account.change_own_password, account.ChangedPassword, "/me"), methods=["POST"]),
    Route("/me/sign-out-everywhere", _change(account.sign_out_everywhere, Nothing, "/sign-in"), methods=["POST"]),
    Route("/me/tokens", make_token, methods=["POST"]),
    Route("/me/tokens/{id:int}/end", _change(account.remove_own_token, account.TokenNumber, "/me"), methods=["POST"]),
    Route("/unmask/{id}", ask_why, methods=["GET"]),
    Route("/unmask/{id}", show_plain, methods=["POST"]),
]  # fmt: skip
