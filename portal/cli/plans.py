"""`plumbline plans`, `subscriptions` and `overrides`: what accounts are on, and prices of their own."""

from datetime import datetime
from typing import Any, BinaryIO

import click

from billing.accounts import directory
from billing.catalog import overrides as override_room
from billing.catalog import plans as plan_room
from billing.catalog import subscriptions as subscription_room
from billing.catalog.plans import PlanRow
from billing.kernel import clock
from billing.rating import price_changes
from billing.storage.database import Session
from portal.cli import context, times
from portal.cli.output import emit, with_format
from portal.cli.prices import maker_of, text_of

_account = click.option("--account", "account_code", help="Only this billing account.")


@click.group()
def plans() -> None:
    """Plans: a price book and terms, in immutable versions."""


@plans.command("list")
@with_format
def list_(form: str) -> None:
    """All versions of all plans."""
    with context.database().reading("jobs") as session:
        rows = [_plan(row) for row in plan_room.list_versions(session)]
    emit(rows, form, columns=("plan", "version", "name", "book", "valid_from", "terms"))


@plans.command()
@click.argument("code")
@with_format
def show(code: str, form: str) -> None:
    """The versions of one plan with their terms."""
    with context.database().reading("jobs") as session:
        plan = plan_room.get_plan(session, code)
        rows = [_plan(row) for row in plan_room.list_versions(session, plan.code)]
    emit(rows, form, columns=("plan", "version", "name", "book", "valid_from", "terms"))


@plans.command()
@click.argument("file", type=click.File("rb"))
def load(file: BinaryIO) -> None:
    """Store the plan in FILE (TOML) as a new plan or a new version; refused where usage was rated by the old one already."""
    with context.database().transaction("jobs") as session:
        made = price_changes.load_plan(session, text_of(file), now=context.now(), actor=context.actor())
        click.echo(f"version {made.version} from {clock.to_rfc3339(made.valid_from)}, book {made.book_code}")


@click.group()
def subscriptions() -> None:
    """Which plan an account is on, from when on."""


@subscriptions.command("list")
@_account
@with_format
def list_subscriptions(account_code: str | None, form: str) -> None:
    """The history of one account, or everybody's."""
    with context.database().reading("jobs") as session:
        account_id = _account_id(session, account_code)
        codes = {account.id: account.code for account in directory.list_accounts(session, None)}
        rows = [
            {
                "account": codes[row.billing_account_id],
                "plan": row.plan_code,
                "from": clock.to_rfc3339(row.from_at),
                "until": clock.to_rfc3339(row.until_at) if row.until_at else None,
                "id": row.id,
            }
            for row in subscription_room.list_subscriptions(session, account_id)
        ]
    emit(rows, form, columns=("account", "plan", "from", "until", "id"))


@subscriptions.command()
@click.option("--account", "account_code", required=True, help="The billing account.")
@click.option("--plan", "plan_code", required=True, help="The plan it changes to.")
@click.option("--from", "from_at", required=True, callback=times.option, help="From this instant on.")
def change(account_code: str, plan_code: str, from_at: datetime) -> None:
    """Put an account on a plan; refused where usage from then on was rated by another price already."""
    with context.database().transaction("jobs") as session:
        account = directory.get_account_by_code(session, account_code)
        price_changes.subscribe(
            session,
            now=context.now(),
            account_id=account.id,
            plan_code=plan_code,
            valid_from=from_at,
            actor=context.actor(),
        )
    click.echo(f"{account_code} is on {plan_code} from {clock.to_rfc3339(from_at)}")


@subscriptions.command()
@click.option("--account", "account_code", required=True, help="The billing account.")
@click.option("--id", "subscription_id", required=True, help="The change to take back, as `list` prints it.")
def withdraw(account_code: str, subscription_id: str) -> None:
    """Take back a change of plan that has not begun: the account stays on what it is on."""
    with context.database().transaction("jobs") as session:
        account = directory.get_account_by_code(session, account_code)
        row = price_changes.withdraw(
            session,
            now=context.now(),
            account_id=account.id,
            subscription_id=subscription_id,
            actor=context.actor(),
        )
        began = clock.to_rfc3339(row.valid_from)
    click.echo(f"{account_code} does not change its plan on {began}")


@click.group()
def overrides() -> None:
    """Prices of an account's own."""


@overrides.command("list")
@_account
@with_format
def list_overrides(account_code: str | None, form: str) -> None:
    """What one account, or any, pays in place of its plan's prices."""
    with context.database().reading("jobs") as session:
        account_id = _account_id(session, account_code)
        codes = {account.id: account.code for account in directory.list_accounts(session, None)}
        rows = [
            {
                "account": codes[row.billing_account_id],
                "sku": row.sku_code,
                "from": clock.to_rfc3339(row.from_at),
                "model": row.price.model if row.price else None,
                "parameters": row.price.parameters if row.price else None,
                "reason": row.reason,
                "id": row.id,
            }
            for row in override_room.list_overrides(session, account_id)
        ]
    emit(rows, form, columns=("account", "sku", "from", "model", "parameters", "reason", "id"))


@overrides.command()
@click.option("--account", "account_code", required=True, help="The billing account.")
@click.option("--sku", required=True, help="What is sold.")
@click.option("--unit-price", help="Per priced unit, in major units; left out, the plan's price is back.")
@click.option("--from", "from_at", required=True, callback=times.option, help="From this instant on.")
@click.option("--until", "until_at", callback=times.option, help="The plan's price is back then.")
@click.option("--as", "login", required=True, help="Who asks: the address a member of the staff signs in with.")
@click.option("--reason", required=True, help="Why, and on what evidence.")
def ask(
    account_code: str,
    sku: str,
    unit_price: str | None,
    from_at: datetime,
    until_at: datetime | None,
    login: str,
    reason: str,
) -> None:
    """Ask a second person for an account's own price (see `approvals`)."""
    with context.database().transaction("jobs") as session:
        wanted = override_room.read(
            session,
            account_id=directory.get_account_by_code(session, account_code).id,
            sku_code=sku,
            model=None if unit_price is None else "per_unit",
            parameters={} if unit_price is None else {"unit_price": unit_price},
            from_at=from_at,
            until_at=until_at,
        )
        asked = override_room.request(
            session, now=context.now(), wanted=wanted, maker=maker_of(session, login), reason=reason
        )
    click.echo(f"asked for: {asked}")


def _plan(row: PlanRow) -> dict[str, Any]:
    return {
        "plan": row.code,
        "version": row.version,
        "name": row.name,
        "book": row.book_code,
        "valid_from": clock.to_rfc3339(row.valid_from),
        "terms": row.terms.content,
    }


def _account_id(session: Session, code: str | None) -> str | None:
    return None if code is None else directory.get_account_by_code(session, code).id
