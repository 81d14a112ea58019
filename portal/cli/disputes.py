"""`plumbline disputes`: what banks have asked back, and what became of it."""

import click

from billing.accounts import directory
from billing.payments.disputes import listing
from billing.payments.disputes.listing import Filters
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = (
    *("id", "account_code", "state", "funds", "amount_minor", "currency", "held_minor", "lost_minor", "reason"),
    *("invoice_number", "payment_id", "provider", "provider_dispute_id", "due_by", "opened_at", "ended_at", "finding"),
)
_EVENT_COLUMNS = ("seq", "type", "amount_minor", "currency", "source_id", "transaction_id", "occurred_at", "actor")


@click.group()
def disputes() -> None:
    """Disputes: payments that a cardholder's bank has asked back."""


@disputes.command("list")
@click.option("--account", help="Code of a billing account; without it those of all.")
@click.option("--state", type=click.Choice(listing.STATES), help="Only disputes in this state.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@with_format
def list_disputes(account: str | None, state: str | None, limit: int, form: str) -> None:
    """Those that wait for us first, by deadline."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id if account is not None else None
        filters = Filters(account_id=account_id, states=(state,) if state else ())
        rows = listing.list_disputes(session, filters, limit=limit, by_deadline=True)
    emit([{name: getattr(row, name) for name in _COLUMNS} for row in rows], form, columns=_COLUMNS)


@disputes.command()
@click.argument("dispute")
@with_format
def show(dispute: str, form: str) -> None:
    """What happened to one dispute, by our id or the provider's, in order."""
    with context.database().reading("jobs") as session:
        row = listing.get_dispute(session, key=dispute)
        happened = listing.list_history(session, row.id)
    emit([{name: getattr(one, name) for name in _EVENT_COLUMNS} for one in happened], form, columns=_EVENT_COLUMNS)
