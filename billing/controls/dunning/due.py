"""Which charge of which invoice is due now, and the run that makes them: what the calendar says, and what was tried already."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import Seller
from billing.controls.dunning import calendar as values
from billing.controls.dunning import calendars
from billing.controls.dunning.calendar import Calendar, Step
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.clock import get_zone
from billing.payments.charges import acts
from billing.payments.charges.tables import AutomaticPayments, ChargeAttempt
from billing.payments.providers.port import Provider
from billing.payments.tables import PaymentSession
from billing.storage.database import Database

# Nobody's card is asked at night: from eight in the morning where the seller is, as reminders are sent.
FROM_HOUR = 8
_LOOKED_AT = timedelta(days=values.LATEST + 31)


@dataclass(frozen=True, kw_only=True)
class OpenInvoice:
    """An invoice that is not settled, with what its calendar needs. `is_agreed`: its account lets it be paid automatically."""

    id: str
    number: str
    account_id: str
    seller_id: str
    issued_on: date
    due_on: date
    open_minor: int
    currency: str
    is_agreed: bool
    calendar: Calendar


@dataclass(frozen=True, kw_only=True)
class DueCharge:
    """A charge to make now: the step of the calendar, and the day of the next one should this be declined."""

    account_id: str
    invoice_id: str
    step: Step
    next_try_on: date | None


def list_charges(session: Session, *, now: datetime) -> list[DueCharge]:
    """What is to be charged at `now`: the latest step reached, of invoices whose account agreed, unless it was tried already."""
    found: list[DueCharge] = []
    for seller in session.scalars(select(Seller).order_by(Seller.id)):
        here = now.astimezone(get_zone(seller.zone))
        if here.hour >= FROM_HOUR:
            found += _of_seller(session, seller.id, here.date())
    return found


def open_invoices(session: Session, *, seller_id: str, today: date, only_agreed: bool = False) -> Iterator[OpenInvoice]:
    """The seller's issued invoices with something open, each with its calendar, by due date."""
    settled = (
        select(func.coalesce(func.sum(InvoiceSettlement.amount_minor), 0))
        .where(InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .scalar_subquery()
    )
    query = (
        select(InvoiceHeader, settled, AutomaticPayments.is_paying)
        .outerjoin(AutomaticPayments, AutomaticPayments.billing_account_id == InvoiceHeader.billing_account_id)
        .where(
            InvoiceHeader.seller_id == seller_id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state == "issued",
            InvoiceHeader.due_on >= today - _LOOKED_AT,
            InvoiceHeader.payable_minor > settled,
        )
        .order_by(InvoiceHeader.due_on, InvoiceHeader.id)
    )
    if only_agreed:
        query = query.where(AutomaticPayments.is_paying)
    rows = session.execute(query).all()
    chosen = calendars.all_in_force(
        session, seller_id=seller_id, account_ids=sorted({row[0].billing_account_id for row in rows})
    )
    for header, settled_minor, is_paying in rows:
        if header.issued_on is None or header.due_on is None or header.number is None:
            continue
        yield OpenInvoice(
            id=header.id,
            number=header.number,
            account_id=header.billing_account_id,
            seller_id=seller_id,
            issued_on=header.issued_on,
            due_on=header.due_on,
            open_minor=header.payable_minor - int(settled_minor),
            currency=header.currency,
            is_agreed=bool(is_paying),
            calendar=chosen[header.billing_account_id],
        )


def run(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Make the charges that are due, and fill the wallets that are low, each on its own; how many were asked of a provider.

    Killed anywhere it can be run again: what was begun is an intent, and the same step is never begun twice.
    """
    with database.reading("jobs") as session:
        waiting = list_charges(session, now=now)
        low = accounts_topping_up(session)
    done = 0
    for one in waiting:
        done += was_asked(
            acts.charge_invoice(
                database,
                providers,
                now=now,
                account_id=one.account_id,
                invoice_id=one.invoice_id,
                step=one.step.code,
                next_try_on=one.next_try_on,
            )
        )
    for account_id in low:
        done += was_asked(acts.top_up(database, providers, now=now, account_id=account_id))
    return done


def was_asked(state: str) -> bool:
    """Whether that answer of an act means that a provider was asked."""
    return state in ("open", "paid", "failed", "unknown", "mismatch")


def accounts_topping_up(session: Session) -> list[str]:
    """Accounts whose wallet is filled automatically."""
    query = select(AutomaticPayments.billing_account_id).where(AutomaticPayments.is_topping_up)
    return list(session.scalars(query.order_by(AutomaticPayments.billing_account_id)))


def tried_steps(session: Session, invoice_ids: list[str]) -> set[tuple[str, str]]:
    """(invoice, step) of charges that a provider was, or may have been, asked for."""
    found: set[tuple[str, str]] = set()
    for place in range(0, len(invoice_ids), 500):
        rows = session.execute(
            select(PaymentSession.invoice_id, ChargeAttempt.step)
            .join(ChargeAttempt, ChargeAttempt.session_id == PaymentSession.id)
            .where(
                PaymentSession.invoice_id.in_(invoice_ids[place : place + 500]), ChargeAttempt.outcome != "never_sent"
            )
        )
        found |= {(str(invoice_id), step) for invoice_id, step in rows.all()}
    return found


def _of_seller(session: Session, seller_id: str, today: date) -> list[DueCharge]:
    made: list[DueCharge] = []
    for one in open_invoices(session, seller_id=seller_id, today=today, only_agreed=True):
        step = values.reached(one.calendar, "charge", issued_on=one.issued_on, due_on=one.due_on, today=today)
        if step is not None:
            following = values.following(
                one.calendar, "charge", issued_on=one.issued_on, due_on=one.due_on, after=today
            )
            made.append(DueCharge(account_id=one.account_id, invoice_id=one.id, step=step, next_try_on=following))
    tried = tried_steps(session, [one.invoice_id for one in made])
    return [one for one in made if (one.invoice_id, one.step.code) not in tried]
