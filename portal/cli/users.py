"""`plumbline user`: who may sign in."""

import secrets
from typing import Any

import click

from billing.accounts import directory, invitations, links, names, permissions, roster, second_factor, users
from billing.accounts import staff as room
from billing.accounts.roster import Person
from billing.kernel import clock
from billing.kernel.errors import NotFound
from billing.storage.database import Session
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = ("login", "name", "staff", "tenants", "two_step", "state", "last_seen", "id")


@click.group()
def user() -> None:
    """People who sign in."""


@user.command()
@click.argument("login")
@click.option("--name", help="Shown name; the part before @ by default.")
@click.option("--account", "code", help="Billing account whose tenant the person belongs to.")
@click.option("--role", default="owner", show_default=True, type=click.Choice(permissions.MEMBER_ROLES))
@click.option("--staff", type=click.Choice(permissions.STAFF_ROLES), help="Role of an operator.")
@click.option("--password", help="A password; one is made and printed when it is left out.")
def create(login: str, name: str | None, code: str | None, role: str, staff: str | None, password: str | None) -> None:
    """Create a person who signs in with LOGIN, an e-mail address."""
    if (code is None) == (staff is None):
        raise click.UsageError("give either --account or --staff")
    chosen = password or secrets.token_urlsafe(12)
    with context.database().transaction("jobs") as session:
        created = users.create_user(
            session,
            now=context.now(),
            login=login,
            name=name or login.partition("@")[0],
            password=chosen,
            staff_role=staff,
            actor=context.actor(),
        )
        if code is not None:
            users.grant_membership(
                session,
                now=context.now(),
                user_id=created.id,
                tenant_id=_tenant_of(session, code),
                role=role,
                actor=context.actor(),
            )
    click.echo(f"{login}  {chosen}" if password is None else login)


@user.command("reset-mfa")
@click.argument("login")
def reset_mfa(login: str) -> None:
    """Turn off the two-step sign-in of LOGIN, who lost telephone and recovery codes, and end all their sign-ins.

    Make sure first that it is them who asks: by a way you knew before, not by the message that asks.
    """
    with context.database().transaction("jobs") as session:
        person = users.find_user_by_login(session, login)
        if person is None:
            raise NotFound(login=names.shown(login))
        was_on = second_factor.remove(session, user_id=person.id, now=context.now(), actor=context.actor())
    click.echo(f"{person.login}: " + ("two-step sign-in is off" if was_on else "two-step sign-in was off already"))


@user.command("list")
@click.option("--account", "code", help="Only the team of this billing account's tenant.")
@click.option("--staff", "is_staff", is_flag=True, help="Only operators.")
@with_format
def list_users(code: str | None, is_staff: bool, form: str) -> None:
    """Everybody who signs in, with what they may."""
    with context.database().reading("jobs") as session:
        tenant_id = _tenant_of(session, code) if code is not None else None
        rows = [_row(person) for person in roster.list_people(session, tenant_id=tenant_id, is_staff=is_staff)]
    emit(rows, form, columns=_COLUMNS)


@user.command()
@click.argument("login")
def disable(login: str) -> None:
    """Keep LOGIN from signing in, and end all their sign-ins."""
    _set_disabled(login, is_disabled=True)


@user.command()
@click.argument("login")
def enable(login: str) -> None:
    """Let LOGIN sign in again."""
    _set_disabled(login, is_disabled=False)


@user.command()
@click.argument("login")
@click.option("--account", "code", help="Billing account whose tenant's team they are invited to.")
@click.option("--role", default="owner", show_default=True, type=click.Choice(permissions.MEMBER_ROLES))
@click.option("--staff", type=click.Choice(permissions.STAFF_ROLES), help="Role of an operator.")
def invite(login: str, code: str | None, role: str, staff: str | None) -> None:
    """Invite LOGIN, an e-mail address; they choose their own password. The link goes by e-mail and is printed too."""
    if (code is None) == (staff is None):
        raise click.UsageError("give either --account or --staff")
    with context.database().transaction("jobs") as session:
        link_id = invitations.invite(
            session,
            now=context.now(),
            login=login,
            actor=context.actor(),
            tenant_id=_tenant_of(session, code) if code is not None else None,
            role=role if code is not None else None,
            staff_role=staff,
        )
    config = context.config()
    click.echo(f"{config.base_url}/invitation/{links.make_token(link_id, key=config.link_key)}")


def _set_disabled(login: str, *, is_disabled: bool) -> None:
    word = "disabled" if is_disabled else "enabled"
    with context.database().transaction("jobs") as session:
        room.lock(session)
        person = users.find_user_by_login(session, login)
        if person is None:
            raise NotFound(login=names.shown(login))
        was = person.is_disabled
        if was != is_disabled:
            room.set_disabled(session, now=context.now(), user=person, is_disabled=is_disabled, actor=context.actor())
    click.echo(f"{person.login} is {word}" if was != is_disabled else f"{person.login} was {word} already")


def _tenant_of(session: Session, code: str) -> str:
    tenant_id = directory.get_account_by_code(session, code).tenant_id
    if tenant_id is None:
        raise NotFound(account=code)
    return tenant_id


def _row(person: Person) -> dict[str, Any]:
    return {
        "login": person.login,
        "name": person.name,
        "staff": person.staff_role,
        "tenants": " ".join(f"{code}:{role}" for code, role in person.tenants) or None,
        "two_step": "on" if person.has_second_factor else "off",
        "state": "disabled" if person.is_disabled else "active",
        "last_seen": clock.to_rfc3339(person.last_seen_at) if person.last_seen_at else None,
        "id": person.id,
    }
