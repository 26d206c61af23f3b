"""`opshub people`: who may use the console. Each verb runs the same operation as the page and the API."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.operations import run_here
from streams.cli.up import StateDir
from streams.console.operations import people
from streams.console.operations.people import NamedPerson, NewPassword, NewPerson, NewToken, Nothing, OldToken
from streams.console.passwords import random_password
from streams.console.people import Grant, grant_text, read_grant
from streams.console.problems import WrongInput

Name = Annotated[str, typer.Argument(help="The person's name, such as anna.berg.")]
System = Annotated[str | None, typer.Option(help="Only for this system.")]
Entity = Annotated[str | None, typer.Option(help="Only for this entity, such as sales_order.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and show it once.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role; again for another one.")]


def list_people(as_json: AsJson = False, state_dir: StateDir = None) -> None:
    """List the people who may use the console.

    Example: opshub people list
    """
    listed = run_here(load_settings(state_dir=state_dir), people.people_list, Nothing())
    if as_json:
        print(msgspec.json.encode(listed).decode())
        return
    for item in listed.people:
        roles = ", ".join(grant_text(grant) for grant in [*item.grants, *item.claimed]) or "no role"
        last = f"{item.signed_in_at:%Y-%m-%d %H:%M}" if item.signed_in_at else "never"
        print(f"{item.name}  {roles}  last sign-in: {last}" + (f"  by {item.provider}" if item.provider else ""))
    if not listed.people:
        print("nobody: the console needs no sign-in, and answers this machine only")


def add(
    name: Name,
    role: Roles = None,
    system: System = None,
    entity: Entity = None,
    full_name: Annotated[str, typer.Option(help="As shown in lists.")] = "",
    generate: Generate = False,
    state_dir: StateDir = None,
) -> None:
    """Add a person, and ask for the password. The first one must be an admin.

    Without a terminal, the password is the first line of standard input.

    Example: opshub people add anna.berg --role approver --system demo-erp
    """
    grants = [_grant(item, system, entity) for item in role or []]
    password = _password(generate)
    wanted = NewPerson(name=name, full_name=full_name, grants=grants, password=password)
    print(run_here(load_settings(state_dir=state_dir), people.add_person, wanted).done)
    _show(password, generate)


def grant(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, operator, approver, steward or admin.")],
    system: System = None,
    entity: Entity = None,
    state_dir: StateDir = None,
) -> None:
    """Give a person a role, everywhere or for one system or entity.

    Example: opshub people grant anna.berg steward --entity customer
    """
    print(run_here(load_settings(state_dir=state_dir), people.grant_role, _changed(name, role, system, entity)).done)


def revoke(
    name: Name,
    role: Annotated[str, typer.Argument(help="The role, as `people list` shows it.")],
    system: System = None,
    entity: Entity = None,
    state_dir: StateDir = None,
) -> None:
    """Take a role from a person; it ends at once.

    Example: opshub people revoke anna.berg steward --entity customer
    """
    print(run_here(load_settings(state_dir=state_dir), people.revoke_role, _changed(name, role, system, entity)).done)


def password(name: Name, generate: Generate = False, state_dir: StateDir = None) -> None:
    """Set a person's password, and end all sessions of that person.

    Example: opshub people password anna.berg --generate
    """
    text = _password(generate)
    print(run_here(load_settings(state_dir=state_dir), people.set_password, NewPassword(name, text)).done)
    _show(text, generate)


def sign_out(name: Name, state_dir: StateDir = None) -> None:
    """End all sessions of a person.

    Example: opshub people sign-out anna.berg
    """
    print(run_here(load_settings(state_dir=state_dir), people.sign_out_person, NamedPerson(name)).done)


def remove(name: Name, state_dir: StateDir = None) -> None:
    """Remove a person, with all sessions and tokens. The audit stays.

    Example: opshub people remove anna.berg
    """
    print(run_here(load_settings(state_dir=state_dir), people.remove_person, NamedPerson(name)).done)


def token(
    name: Name,
    purpose: Annotated[str, typer.Argument(help="What it is for, such as nightly-report.")],
    role: Roles = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="For how many days.")] = 90,
    state_dir: StateDir = None,
) -> None:
    """Make a token for a program that calls the API as this person, and show it once.

    Example: opshub people token anna.berg nightly-report --role "approver system=demo-erp" --days 30
    """
    wanted = NewToken(name=name, token=purpose, days=days, grants=[read_grant(item) for item in role or []])
    print(run_here(load_settings(state_dir=state_dir), people.add_token, wanted).secret)


def tokens(name: Name, as_json: AsJson = False, state_dir: StateDir = None) -> None:
    """List the tokens of a person.

    Example: opshub people tokens anna.berg
    """
    listed = run_here(load_settings(state_dir=state_dir), people.person_tokens, NamedPerson(name))
    if as_json:
        print(msgspec.json.encode(listed).decode())
        return
    for item in listed.tokens:
        print(f"{item.id}  {item.name}  until {item.expires_at:%Y-%m-%d}{'  over' if item.is_over else ''}")


def end_token(
    name: Name,
    number: Annotated[int, typer.Argument(help="As `people tokens` shows it.")],
    state_dir: StateDir = None,
) -> None:
    """End a token.

    Example: opshub people end-token anna.berg 3
    """
    print(run_here(load_settings(state_dir=state_dir), people.remove_token, OldToken(name, number)).done)


def _grant(role: str, system: str | None, entity: str | None) -> Grant:
    given = read_grant(role)
    return Grant(given.role, given.system or system, given.entity or entity)


def _changed(name: str, role: str, system: str | None, entity: str | None) -> people.ChangedGrant:
    given = _grant(role, system, entity)
    return people.ChangedGrant(name=name, role=given.role, system=given.system, entity=given.entity)


def _password(generate: bool) -> str:
    if generate:
        return random_password()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    text = getpass("Password: ")
    if getpass("The same again: ") != text:
        raise WrongInput("the two passwords differ", remedy="try again")
    return text


def _show(password: str, generate: bool) -> None:
    if generate:
        print(f"password: {password}")
