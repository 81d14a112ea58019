"""Reminders of invoices that are due soon or overdue (IV7): each step once per invoice, none for what is paid meanwhile.

What follows when reminders do not help (retries, restrictions) is the controls' matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import Seller
from billing.invoicing import events, settlement
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.clock import get_zone
from billing.storage import outbox
from billing.storage.tables import OutboxMessage

TOPIC = "invoice.reminder"
# Days after the due date; below zero before it. Usual for invoices between companies, and no more than five mails in all. The
# controls keep calendars of their own for sellers and accounts, and hand their days in.
STEPS_DAYS = (-3, 1, 7, 14, 30)
_EARLIEST_DAYS, _LATEST_DAYS = -30, 120
# Nothing is said ahead of an invoice that was issued less than a week before it is due.
_LEAST_TERM = timedelta(days=7)
_LONGEST = timedelta(days=60)
_GRACE = timedelta(days=30)
_FROM_HOUR = 8

DaysOf = Callable[[Session, str, list[str]], dict[str, tuple[int, ...]]]
"""{account: days after the due date} of a seller's accounts; an account that is missing has STEPS_DAYS."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A reminder that is to be sent: of which invoice, and its step."""

    invoice_id: str
    step_days: int


def find_step(*, issued_on: date, due_on: date, today: date, days: tuple[int, ...] = STEPS_DAYS) -> int | None:
    """The step that an open invoice has reached, the latest one; None before the first, and two months after the due date.

    `days` rise. Where the last one is later than a month, nothing is said a month after it.
    """
    if not days or today > due_on + max(_LONGEST, timedelta(days=days[-1]) + _GRACE):
        return None
    reached = [step for step in days if today >= due_on + timedelta(days=step)]
    if not reached or (reached[-1] < 0 and due_on - issued_on < _LEAST_TERM):
        return None
    return reached[-1]


def list_due(session: Session, *, now: datetime, days_of: DaysOf | None = None) -> list[Due]:
    """Reminders to send at `now`: of open invoices whose latest step was not sent yet. From eight in the morning in the seller's zone.

    `days_of` gives the days of each account's calendar; without it all have STEPS_DAYS.
    """
    made: list[Due] = []
    for seller in session.scalars(select(Seller).order_by(Seller.id)):
        here = now.astimezone(get_zone(seller.zone))
        if here.hour < _FROM_HOUR:
            continue
        made += [
            Due(invoice_id=invoice_id, step_days=step)
            for invoice_id, step in _open_steps(session, seller.id, here.date(), days_of)
        ]
    sent = _sent(session, [_key(one.invoice_id, one.step_days) for one in made])
    return [one for one in made if _key(one.invoice_id, one.step_days) not in sent]


def send(session: Session, *, now: datetime, due: Due, actor: str = "job:reminders") -> bool:
    """Queue one reminder with what is open now; False where it was paid or reminded meanwhile. Locks the account's head."""
    header = session.get_one(InvoiceHeader, due.invoice_id)
    heads.lock_one(session, header.billing_account_id)
    open_minor = settlement.open_minor(session, header.id)
    if open_minor <= 0 or header.due_on is None or header.issued_on is None:
        return False
    is_queued = outbox.enqueue(
        session,
        now=now,
        topic=TOPIC,
        dedup_key=_key(header.id, due.step_days),
        payload={
            "invoice_id": header.id,
            "number": header.number,
            "total_minor": header.payable_minor,
            "open_minor": open_minor,
            "currency": header.currency,
            "issued_on": header.issued_on.isoformat(),
            "due_on": header.due_on.isoformat(),
            "days_late": max(0, due.step_days),
        },
        billing_account_id=header.billing_account_id,
    )
    if is_queued:
        facts = {"step_days": due.step_days, "open_minor": open_minor, "currency": header.currency}
        events.record(session, header, now=now, type="reminded", actor=actor, facts=facts)
        session.flush()  # the next look must find it
    return is_queued


def _open_steps(session: Session, seller_id: str, today: date, days_of: DaysOf | None) -> list[tuple[str, int]]:
    """(invoice, step) of the seller's invoices that are not settled in full."""
    settled = (
        select(func.coalesce(func.sum(InvoiceSettlement.amount_minor), 0))
        .where(InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(InvoiceHeader.id, InvoiceHeader.billing_account_id, InvoiceHeader.issued_on, InvoiceHeader.due_on)
        .where(
            InvoiceHeader.seller_id == seller_id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state == "issued",
            InvoiceHeader.due_on >= today - timedelta(days=_LATEST_DAYS) - _GRACE,
            InvoiceHeader.due_on <= today - timedelta(days=_EARLIEST_DAYS),
            InvoiceHeader.payable_minor > settled,
        )
        .order_by(InvoiceHeader.due_on, InvoiceHeader.id)
    ).all()
    account_ids = sorted({row.billing_account_id for row in rows})
    chosen = days_of(session, seller_id, account_ids) if days_of is not None else {}
    found = [
        (
            row.id,
            find_step(
                issued_on=row.issued_on,
                due_on=row.due_on,
                today=today,
                days=chosen.get(row.billing_account_id, STEPS_DAYS),
            ),
        )
        for row in rows
    ]
    return [(invoice_id, step) for invoice_id, step in found if step is not None]


def _sent(session: Session, keys: list[str]) -> set[str]:
    found: set[str] = set()
    for place in range(0, len(keys), 500):
        wanted = keys[place : place + 500]
        found |= set(session.scalars(select(OutboxMessage.dedup_key).where(OutboxMessage.dedup_key.in_(wanted))))
    return found


def _key(invoice_id: str, step_days: int) -> str:
    return f"{TOPIC}:{invoice_id}:{step_days}"
