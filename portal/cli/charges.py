"""`plumbline charges` and `plumbline dunning`: saved methods that are charged by themselves, and what the calendar will do."""

import click

from billing.accounts import directory
from billing.controls.dunning import calendars, due, preview
from billing.invoicing import invoices
from billing.kernel import clock
from billing.payments.charges import history
from billing.storage.database import Session
from portal import charge_words
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_TRIES = (
    "id", "account", "trigger", "step", "invoice", "amount_minor", "currency", "outcome", "state", "decline_code", "next_try_on",
    "method", "created_at",
)  # fmt: skip
_DAYS = ("day", "what", "step", "account", "invoice", "open_minor", "currency", "state", "reason")


@click.group()
def charges() -> None:
    """Charges of saved methods without the customer."""


@charges.command("list")
@click.option("--account", help="Only this billing account, by its code.")
@click.option("--outcome", type=click.Choice(sorted(charge_words.OUTCOMES)), help="Only tries with this outcome.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_charges(account: str | None, outcome: str | None, limit: int, form: str) -> None:
    """The newest tries first, with the bank's word for a decline."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id if account else None
        rows = history.list_attempts(session, account_id=account_id, outcome=outcome, limit=limit)
    emit(
        [
            {
                "id": row.session_id,
                "account": row.account_code,
                "trigger": row.trigger,
                "step": row.step,
                "invoice": row.invoice_number,
                "amount_minor": row.amount_minor,
                "currency": row.currency,
                "outcome": row.outcome,
                "state": row.state,
                "decline_code": row.decline_code,
                "next_try_on": row.next_try_on.isoformat() if row.next_try_on else None,
                "method": row.method_label,
                "created_at": clock.to_rfc3339(row.created_at),
            }
            for row in rows
        ],
        form,
        columns=_TRIES,
    )


@charges.command()
def run() -> None:
    """Make the charges that are due now, as the job `charges` does. Safe to repeat."""
    done = due.run(context.database(), context.providers(), now=context.now())
    click.echo(f"{done} charged or asked for. `plumbline charges list` says what became of them.")


@click.group()
def dunning() -> None:
    """The calendar of charges and reminders of invoices that are not paid."""


@dunning.command("preview")
@click.option("--invoice", "number", help="What happens to this invoice, by its number or id.")
@click.option("--seller", help="What would happen this month to all of this seller, by its code.")
@with_format
def preview_days(number: str | None, seller: str | None, form: str) -> None:
    """What happens when, if nobody pays: to one invoice, or this month to everybody. Changes nothing."""
    if number is not None and seller is not None:
        raise click.UsageError("Name an invoice or a seller, not both.")
    with context.database().reading("jobs") as session:
        rows = _of_invoice(session, number) if number is not None else _of_month(session, seller)
    emit(rows, form, columns=_DAYS)


@dunning.command()
@click.option("--account", help="The calendar of this billing account, by its code; else all sellers'.")
@with_format
def show(account: str | None, form: str) -> None:
    """The calendars in force."""
    with context.database().reading("jobs") as session:
        if account is not None:
            found = directory.get_account_by_code(session, account)
            scopes = [(found.code, calendars.in_force(session, seller_id=found.seller_id, account_id=found.id))]
        else:
            sellers = calendars.list_sellers(session)
            scopes = [(one.code, calendars.in_force(session, seller_id=one.id)) for one in sellers]
    rows = [
        {
            "scope": code,
            "version": calendar.version,
            "is_own": calendar.is_own,
            "charges": charge_words.charge_days(calendar),
            "reminders": charge_words.reminder_days(calendar),
        }
        for code, calendar in scopes
    ]
    emit(rows, form, columns=("scope", "version", "is_own", "charges", "reminders"))


def _of_invoice(session: Session, number: str) -> list[dict[str, object]]:
    now, providers = context.now(), context.providers()
    header = invoices.get_invoice(session, now=now, key=number).row
    found = preview.of_invoice(session, now=now, invoice_id=header.id, providers=providers)
    return [
        {
            "day": event.on.isoformat(),
            "what": event.step.kind,
            "step": event.step.code,
            "account": found.account_code,
            "invoice": found.number,
            "open_minor": found.open_minor,
            "currency": found.currency,
            "state": event.state,
            "reason": event.reason,
        }
        for event in found.events
    ]


def _of_month(session: Session, seller: str | None) -> list[dict[str, object]]:
    now, providers = context.now(), context.providers()
    chosen = [one for one in calendars.list_sellers(session) if seller in (None, one.code)]
    if not chosen:
        raise Failed(f"There is no seller {seller!r}.")
    rows: list[dict[str, object]] = []
    for one in chosen:
        planned = preview.month(session, now=now, seller_id=one.id)
        asked = preview.with_reasons(session, planned, now=now, providers=providers)
        rows += [_planned(row) for row in asked]
    return rows


def _planned(row: preview.Planned) -> dict[str, object]:
    return {
        "day": row.on.isoformat(),
        "what": row.step.kind,
        "step": row.step.code,
        "account": row.account_code,
        "invoice": row.invoice.number,
        "open_minor": row.invoice.open_minor,
        "currency": row.invoice.currency,
        "state": "planned" if row.reason is None else "withheld",
        "reason": row.reason,
    }
