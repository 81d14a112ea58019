"""`plumbline provider-customers`: which customer at the payment provider is whose."""

import click

from billing.accounts import directory
from billing.payments.customers import acts, checking, links, listing
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_COLUMNS = ("account", "provider", "customer_id", "legacy_id", "linked_at", "gone_at")


@click.group("provider-customers")
def provider_customers() -> None:
    """Customers at the payment provider, and the billing accounts they belong to."""


@provider_customers.command("list")
@click.option(
    "--state", type=click.Choice(listing.STATES), help="Linked, gone at the provider, or known from an older system."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@with_format
def list_customers(state: str | None, limit: int, form: str) -> None:
    """Every account that has a customer, or an older system's id, by code."""
    provider = _provider()
    with context.database().reading("jobs") as session:
        rows = listing.list_links(session, provider=provider.name, state=state, limit=limit)
    emit(
        [{"account": row.account_code} | {name: getattr(row, name) for name in _COLUMNS[1:]} for row in rows],
        form,
        columns=_COLUMNS,
    )


@provider_customers.command()
@click.option("--account", required=True, help="Code of the billing account.")
@click.option("--customer", required=True, help="The customer's id at the provider, such as cus_ABC.")
@click.option("--later", is_flag=True, help="Only remember it: it is verified and adopted when the account first pays.")
@click.option("--reason", default="", help="Why it is linked now; required without --later.")
def link(account: str, customer: str, later: bool, reason: str) -> None:
    """Link a customer that exists at the provider already, such as an older system's. Verified there, and claimed for the account."""
    database = context.database()
    with database.transaction("jobs") as session:
        found = directory.get_account_by_code(session, account)
        if later:
            links.set_legacy_id(
                session, now=context.now(), account_id=found.id, customer_id=customer, actor=context.actor()
            )
    if later:
        click.echo(f"{account}: {customer} will be verified and adopted at the first payment")
        return
    try:
        acts.relink(
            database,
            _provider(),
            now=context.now(),
            account_id=found.id,
            customer_id=customer,
            reason=reason,
            actor=context.actor(),
            role="jobs",
        )
    except (OutcomeUnknown, ProviderRefused) as trouble:
        raise Failed(f"the payment provider could not be asked: {trouble}") from None
    click.echo(f"{account}: {customer}")


@provider_customers.command()
@click.option("--account", help="Only this billing account.")
@with_format
def check(account: str | None, form: str) -> None:
    """Ask the provider for every linked customer and say what differs. Exit 1 when something does, or could not be asked."""
    database, provider = context.database(), _provider()
    with database.reading("jobs") as session:
        if account is not None:
            account_ids = [directory.get_account_by_code(session, account).id]
        else:
            rows = listing.list_links(session, provider=provider.name, state="linked", limit=1_000_000)
            account_ids = [row.account_id for row in rows]
    differences = []
    for account_id in account_ids:
        found = checking.compare(database, provider, account_id=account_id, role="jobs")
        words = found.differences if found.trouble is None else ("provider_not_asked",)
        differences += [
            {"account": found.link.account_code, "customer_id": found.link.customer_id, "difference": word}
            for word in words
        ]
    data = {"checked": len(account_ids), "differences": differences}
    emit(differences, form, columns=("account", "customer_id", "difference"), data=data)
    if differences:
        raise Failed(f"{len(differences)} of {len(account_ids)} customers differ")


def _provider() -> Provider:
    """The provider that payments use here: Stripe where it is configured."""
    found = context.providers()
    if not found:
        raise Failed("no payment provider is configured")
    return next(iter(found.values()))
