"""`plumbline apikey`: which machines may call."""

from typing import Any

import click

from billing.accounts import directory, keys, permissions
from billing.accounts.keys import KeyRow
from billing.kernel import clock
from billing.kernel.errors import NotFound
from billing.storage.database import Session
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = ("id", "label", "begins_with", "scopes", "tenants", "state", "created", "created_by", "last_used", "expires")
_LIVES = {"never" if days is None else str(days): days for days in keys.LIVES_DAYS}


@click.group()
def apikey() -> None:
    """Keys of machines."""


@apikey.command("create")
@click.option("--account", "code", help="Billing account whose tenant the key belongs to; without it, a service key.")
@click.option(
    "--tenant", "tenants", multiple=True, help="A tenant that a service key may name, by code; again for more."
)
@click.option("--label", required=True, help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(permissions.SCOPE_WORDS)))
@click.option(
    "--days", type=click.Choice(list(_LIVES)), default="never", show_default=True, help="How long it is good."
)
def create(code: str | None, tenants: tuple[str, ...], label: str, scopes: tuple[str, ...], days: str) -> None:
    """Make a key and print it once; only its hash is kept."""
    is_everyones = code is None and not tenants and permissions.STAFF_SCOPES.issuperset(scopes)
    if (code is None) == (not tenants) and not is_everyones:
        raise click.UsageError("give either --account, or --tenant for a service key")
    with context.database().transaction("jobs") as session:
        _, plaintext = keys.create_key(
            session,
            now=context.now(),
            tenant_id=_tenant_of(session, code) if code is not None else None,
            label=label,
            scopes=list(scopes),
            actor=context.actor(),
            days=_LIVES[days],
            tenant_ids=[_tenant(session, name) for name in tenants],
        )
    click.echo(plaintext)


@apikey.command("list")
@click.option("--account", "code", help="Billing account whose tenant's keys are listed; without it, the service keys.")
@with_format
def list_keys(code: str | None, form: str) -> None:
    """Keys by what they begin with: their text is known to nobody."""
    with context.database().reading("jobs") as session:
        tenant_id = _tenant_of(session, code) if code is not None else None
        rows = [_row(key) for key in keys.list_keys(session, now=context.now(), tenant_id=tenant_id)]
    emit(rows, form, columns=_COLUMNS)


@apikey.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key with this id (see `plumbline apikey list`), at once and for good."""
    with context.database().transaction("jobs") as session:
        key = keys.revoke(session, now=context.now(), key_id=key_id, actor=context.actor())
    click.echo(f"{key.id} is revoked")


def _tenant_of(session: Session, code: str) -> str:
    tenant_id = directory.get_account_by_code(session, code).tenant_id
    if tenant_id is None:
        raise NotFound(account=code)
    return tenant_id


def _tenant(session: Session, name: str) -> str:
    tenant = directory.find_tenant(session, name)
    if tenant is None:
        raise NotFound(tenant=name)
    return tenant.id


def _row(key: KeyRow) -> dict[str, Any]:
    return {
        "id": key.id,
        "label": key.label,
        "begins_with": key.prefix,
        "scopes": " ".join(key.scopes),
        "tenants": " ".join(tenant_id for tenant_id, _ in key.tenants) or None,
        "state": key.state,
        "created": clock.to_rfc3339(key.created_at),
        "created_by": key.created_by,
        "last_used": clock.to_rfc3339(key.last_used_at) if key.last_used_at else None,
        "expires": clock.to_rfc3339(key.expires_at) if key.expires_at else None,
    }
