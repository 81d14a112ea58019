"""`plumbline user` and `plumbline apikey`: who may sign in, and which machines may call."""

import secrets

import click

from billing.accounts import directory, keys, names, permissions, second_factor, users
from billing.kernel.errors import NotFound
from portal.cli import context


@click.group()
def user() -> None:
    """People who sign in."""


@user.command()
@click.argument("login")
@click.option("--name", help="Shown name; the part before @ by default.")
@click.option("--account", "code", help="Billing account whose tenant the person belongs to.")
@click.option("--role", default="owner", show_default=True, type=click.Choice(["owner", "billing", "viewer"]))
@click.option("--staff", type=click.Choice(["viewer", "maker", "approver", "admin"]), help="Role of an operator.")
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
        )
        if code is not None:
            account = directory.get_account_by_code(session, code)
            if account.tenant_id is None:
                raise NotFound(account=code)
            users.grant_membership(
                session, now=context.now(), user_id=created.id, tenant_id=account.tenant_id, role=role
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


@click.group()
def apikey() -> None:
    """Keys of machines."""


@apikey.command("create")
@click.option("--account", "code", help="Billing account whose tenant the key belongs to; without it, a service key.")
@click.option("--label", required=True, help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(permissions.SCOPES)))
def create_key(code: str | None, label: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it once; only its hash is kept."""
    with context.database().transaction("jobs") as session:
        tenant_id = directory.get_account_by_code(session, code).tenant_id if code else None
        _, plaintext = keys.create_key(
            session, now=context.now(), tenant_id=tenant_id, label=label, scopes=list(scopes)
        )
    click.echo(plaintext)
