"""`plumbline payments`: payment sessions, ours beside the provider's, and bringing one to what the provider says."""

from typing import Any

import click

from billing.accounts import directory
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.recovery import cases, listing, session_list, unmatched
from billing.payments.recovery.comparison import Comparison
from billing.payments.recovery.session_list import Filters
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_COLUMNS = (
    *("id", "account_code", "provider", "channel", "purpose", "state", "failure", "amount_minor", "currency"),
    *("refunded_minor", "created_at", "received_at", "payment_id"),
)
_DETAIL = (
    *_COLUMNS,
    *("invoice_id", "object_id", "provider_payment_id", "transaction_id", "method_label"),
    *("updated_at", "looked_up_at", "correlation_id"),
)
_UNMATCHED = (
    *("id", "provider", "provider_payment_id", "kind", "state", "amount_minor", "currency", "reference"),
    *("account_name", "reason", "paid_at", "first_seen_at"),
)


@click.group()
def payments() -> None:
    """Payments and their recovery."""


@payments.command("list")
@click.option("--state", type=click.Choice(session_list.STATES), help="Only this state.")
@click.option("--account", help="Only this billing account, by its code.")
@click.option("--provider", help="Only this provider.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_payments(state: str | None, account: str | None, provider: str | None, limit: int, form: str) -> None:
    """The newest payment sessions first."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id if account else None
        filters = Filters(state=state, account_id=account_id, provider=provider)
        rows = session_list.list_sessions(session, filters, limit=limit)
    emit([_named(row, _COLUMNS) for row in rows], form, columns=_COLUMNS)


@payments.command("unmatched")
@click.option("--state", type=click.Choice(unmatched.STATES), default="open", show_default=True)
@click.option("--read", is_flag=True, help="Read the providers' own lists first.")
@with_format
def list_unmatched(state: str, read: bool, form: str) -> None:
    """Payments that a provider holds and that are credited to nobody here."""
    if read:
        listing.read_payments(context.database(), context.providers(), now=context.now())
    with context.database().reading("jobs") as session:
        rows = unmatched.list_rows(session, state=state, limit=10_000)
    emit([_named(row, _UNMATCHED) for row in rows], form, columns=_UNMATCHED)


@payments.command()
@click.argument("session_id", metavar="ID")
@click.option("--compare", is_flag=True, help="Ask the provider and show both sides.")
@with_format
def show(session_id: str, compare: bool, form: str) -> None:
    """One payment session by its id."""
    with context.database().reading("jobs") as session:
        row = session_list.get_session(session, session_id)
    found = _named(row, _DETAIL)
    if not compare:
        emit(
            [{"fact": name, "value": value} for name, value in found.items()],
            form,
            columns=("fact", "value"),
            data=found,
        )
        return
    compared = _asked(lambda: cases.look(context.database(), _provider(row.provider), session_id=row.id, role="jobs"))
    _emit_comparison(compared, form, {"session": found})


@payments.command()
@click.argument("session_id", metavar="ID")
@with_format
def recover(session_id: str, form: str) -> None:
    """Ask the provider again and take over what it says: a payment is credited once, however often this is done."""
    with context.database().reading("jobs") as session:
        row = session_list.get_session(session, session_id)
    done = _asked(
        lambda: cases.recover(
            context.database(),
            _provider(row.provider),
            now=context.now(),
            session_id=row.id,
            actor=context.actor(),
            role="jobs",
        )
    )
    _emit_comparison(done.comparison, form, {"has_changed": done.has_changed})


def _emit_comparison(compared: Comparison, form: str, more: dict[str, Any]) -> None:
    rows = [
        {"field": field.name, "ours": field.ours, "theirs": field.theirs, "same": field.is_same}
        for field in compared.fields
    ]
    data = more | {"verdict": compared.verdict, "fields": rows}
    emit(rows, form, columns=("field", "ours", "theirs", "same"), data=data)
    if form == "table":
        click.echo(f"verdict: {compared.verdict}")


def _asked(ask: Any) -> Any:
    try:
        return ask()
    except (OutcomeUnknown, ProviderRefused) as error:
        raise Failed(f"the provider gave no clear answer, nothing was changed: {error}") from None


def _provider(name: str) -> Provider:
    found = context.providers().get(name)
    if found is None:
        raise Failed(f"the provider {name} is not configured here: it cannot be asked.")
    return found


def _named(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
