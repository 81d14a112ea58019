"""`plumbline provider-balance`: what the provider holds beside what we say, its movements, its payouts, and reading them now."""

import click

from billing.payments.cash import holdings, movement_list, payout_list, sync
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_HELD = (
    "currency",
    "ours_minor",
    "theirs_minor",
    "available_minor",
    "pending_minor",
    "difference_minor",
    "unexplained_minor",
    "unexplained_count",
    "read_at",
)
_MOVED = (
    "id",
    "provider_id",
    "type",
    "created_at",
    "currency",
    "amount_minor",
    "fee_minor",
    "net_minor",
    "account_code",
    "payment_id",
    "refund_id",
    "taken_by_ref",
    "state",
    "reason",
)
_PAID_OUT = (
    "id",
    "provider_id",
    "state",
    "currency",
    "amount_minor",
    "is_automatic",
    "destination",
    "created_at",
    "arrives_on",
    "failure_code",
)


@click.group("provider-balance")
def provider_balance() -> None:
    """The balance at the payment provider."""


@provider_balance.command("sync")
@click.option("--all", "everything", is_flag=True, help="From the first movement on, not only what is new.")
@with_format
def sync_now(everything: bool, form: str) -> None:
    """Read what is new at every configured provider and explain it; exit 1 when one does not answer. Safe to repeat."""
    if everything:
        with context.database().transaction("jobs") as session:
            for name in context.providers():
                sync.read_anew(session, provider=name)
    try:
        done = sync.sync(context.database(), context.providers(), now=context.now())
    except sync.SyncFailed as failed:
        raise Failed(f"Not everything could be read: {failed}.") from None
    emit([{"done": done}], form, data={"done": done})


@provider_balance.command("show")
@with_format
def show(form: str) -> None:
    """Per currency: ours, the provider's, and the difference."""
    with context.database().reading("jobs") as session:
        rows = holdings.list_holdings(session)
    emit([{name: getattr(row, name) for name in _HELD} for row in rows], form, columns=_HELD)


@provider_balance.command("list")
@click.option("--state", type=click.Choice(movement_list.STATES), help="Only this state.")
@click.option("--type", "kind", help="Only this kind, such as charge or payout.")
@click.option("--currency", help="Only this currency.")
@click.option("--id", "text", help="Only movements that carry this id, of the provider or ours.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_movements(
    state: str | None, kind: str | None, currency: str | None, text: str | None, limit: int, form: str
) -> None:
    """Movements, newest first; `reason` says why one is not explained."""
    filters = movement_list.Filters(state=state, type=kind, currency=currency, text=text)
    with context.database().reading("jobs") as session:
        rows = movement_list.list_movements(session, filters, limit=limit)
    emit([{name: getattr(row, name) for name in _MOVED} for row in rows], form, columns=_MOVED)


@provider_balance.command("payouts")
@click.option("--state", type=click.Choice(payout_list.STATES), help="Only this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_payouts(state: str | None, limit: int, form: str) -> None:
    """Payouts to the bank, newest first."""
    with context.database().reading("jobs") as session:
        rows = payout_list.list_payouts(session, payout_list.Filters(state=state), limit=limit)
    emit([{name: getattr(row, name) for name in _PAID_OUT} for row in rows], form, columns=_PAID_OUT)
