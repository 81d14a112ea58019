"""`plumbline accounts`: billing accounts and what their invoices say about them."""

import click

from billing.accounts import directory
from billing.catalog import onboarding
from portal.cli import context
from portal.cli.output import emit, with_format


@click.group()
def accounts() -> None:
    """Billing accounts."""


@accounts.command("list")
@with_format
def list_accounts(form: str) -> None:
    """All billing accounts of tenants."""
    with context.database().reading("jobs") as session:
        rows = [
            {
                "account": account.code,
                "name": account.name,
                "currency": account.currency,
                "zone": account.zone,
                "policy": account.policy,
                "id": account.id,
            }
            for account in directory.list_accounts(session)
        ]
    emit(rows, form, columns=("account", "name", "currency", "zone", "policy", "id"))


@accounts.command()
@click.argument("code")
@click.option("--name", help="Shown name; the code by default.")
@click.option("--currency", default="USD", show_default=True)
@click.option(
    "--zone", default="UTC", show_default=True, help="Time zone of the billing months, such as Europe/Berlin."
)
@click.option("--policy", type=click.Choice(["prepaid", "postpaid"]), default="postpaid", show_default=True)
@click.option("--prices-include-tax", is_flag=True, help="What is charged includes tax, for the life of the account.")
def create(code: str, name: str | None, currency: str, zone: str, policy: str, prices_include_tax: bool) -> None:
    """Open a tenant's billing account named CODE, on the default plan."""
    with context.database().transaction("jobs") as session:
        account = onboarding.open_account(
            session,
            now=context.now(),
            code=code,
            name=name,
            currency=currency,
            zone=zone,
            policy=policy,
            prices_include_tax=prices_include_tax,
        )
        click.echo(account.id)
