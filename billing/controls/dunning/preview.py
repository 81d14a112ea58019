"""What will happen, said beforehand: to one invoice, and to all in a month. The same rules as the run, asked without doing anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount, Seller
from billing.controls.dunning import calendar as values
from billing.controls.dunning import calendars, due
from billing.controls.dunning.calendar import Calendar, Step
from billing.controls.dunning.due import OpenInvoice
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel import periods
from billing.kernel.clock import get_zone
from billing.kernel.errors import NotFound
from billing.payments.charges import acts, history, intents
from billing.payments.charges.history import AttemptRow
from billing.payments.providers.port import Provider
from billing.storage.tables import OutboxMessage


@dataclass(frozen=True, kw_only=True)
class Event:
    """One day of an invoice. `state` is done, missed (the day passed without it), planned or withheld; `reason` says what forbids it.

    `attempt` is the charge that was made on that step.
    """

    on: date
    step: Step
    state: str
    reason: str | None = None
    attempt: AttemptRow | None = None


@dataclass(frozen=True, kw_only=True)
class InvoicePreview:
    """An invoice with its days. `why_not` is what keeps its account's method from being charged, None where nothing does."""

    invoice_id: str
    number: str
    account_id: str
    account_code: str
    account_name: str
    seller_id: str
    issued_on: date
    due_on: date
    open_minor: int
    currency: str
    calendar: Calendar
    why_not: str | None
    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One thing that would happen in the month. `reason` is what forbids the charge; only asked for the rows of a page."""

    on: date
    step: Step
    invoice: OpenInvoice
    account_code: str
    account_name: str
    reason: str | None = None


def of_invoice(
    session: Session, *, now: datetime, invoice_id: str, providers: Mapping[str, Provider]
) -> InvoicePreview:
    """What happened to an issued invoice and what will, if nobody pays. Raises NotFound for anything else."""
    header = session.get(InvoiceHeader, invoice_id)
    if header is None or header.number is None or header.issued_on is None or header.due_on is None:
        raise NotFound(invoice_id=invoice_id[:60])
    open_minor = settlement.open_minor(session, header.id)
    account = session.get_one(BillingAccount, header.billing_account_id)
    seller = session.get_one(Seller, header.seller_id)
    found = calendars.in_force(session, seller_id=seller.id, account_id=account.id)
    why = why_not(session, now=now, header=header, open_minor=open_minor, providers=providers)
    today = now.astimezone(get_zone(seller.zone)).date()
    return InvoicePreview(
        invoice_id=header.id,
        number=header.number,
        account_id=account.id,
        account_code=account.code,
        account_name=account.name,
        seller_id=seller.id,
        issued_on=header.issued_on,
        due_on=header.due_on,
        open_minor=open_minor,
        currency=header.currency,
        calendar=found,
        why_not=why,
        events=tuple(_events(session, header, found, today, open_minor, why)),
    )


def why_not(
    session: Session, *, now: datetime, header: InvoiceHeader, open_minor: int, providers: Mapping[str, Provider]
) -> str | None:
    """What forbids to charge the invoice now, as the run would find it; None where nothing does."""
    method = acts.default_method(session, header.billing_account_id, providers)
    if method is None:
        return "nothing_open" if open_minor <= 0 else "no_method"
    return intents.why_not(session, now=now, header=header, open_minor=open_minor, method=method)


def month(session: Session, *, now: datetime, seller_id: str) -> list[Planned]:
    """All charges and reminders of a seller's open invoices from today to the end of its month, by day. Reasons are not asked yet."""
    seller = session.get(Seller, seller_id)
    if seller is None:
        raise NotFound(seller_id=seller_id[:60])
    today = now.astimezone(get_zone(seller.zone)).date()
    last = _last_day(now, seller.zone)
    invoices = list(due.open_invoices(session, seller_id=seller_id, today=today))
    tried = due.tried_steps(session, [one.id for one in invoices])
    names = _names(session, {one.account_id for one in invoices})
    planned: list[Planned] = []
    for one in invoices:
        for kind in values.KINDS:
            if kind == "charge" and not one.is_agreed:
                continue
            for on, step in _ahead(one, kind, today):
                if on <= last and (kind != "charge" or (one.id, step.code) not in tried):
                    code, name = names[one.account_id]
                    planned.append(Planned(on=on, step=step, invoice=one, account_code=code, account_name=name))
    return sorted(planned, key=lambda row: (row.on, row.step.kind, row.account_code, row.invoice.number))


def with_reasons(
    session: Session, rows: Sequence[Planned], *, now: datetime, providers: Mapping[str, Provider]
) -> list[Planned]:
    """The rows, each charge with what forbids it now. Asks a few questions a row: for a page, not for a whole month."""
    found: dict[str, str | None] = {}
    for row in rows:
        if row.step.kind == "charge" and row.invoice.id not in found:
            header = session.get_one(InvoiceHeader, row.invoice.id)
            found[row.invoice.id] = why_not(
                session, now=now, header=header, open_minor=row.invoice.open_minor, providers=providers
            )
    return [
        Planned(
            on=row.on,
            step=row.step,
            invoice=row.invoice,
            account_code=row.account_code,
            account_name=row.account_name,
            reason=found.get(row.invoice.id) if row.step.kind == "charge" else None,
        )
        for row in rows
    ]


def last_month(session: Session, *, now: datetime, account_id: str) -> tuple[str, list[tuple[date, str, int, str]]]:
    """(the month before this one, (day, invoice number, minor units, currency) of what automatic payment would have charged in it).

    Each invoice on the first day of the calendar now in force, with what neither the wallet nor a credit note had settled; payments are
    left out, because they are what it would have replaced.
    """
    account = session.get_one(BillingAccount, account_id)
    first = periods.month_of(now, account.zone).start_at - timedelta(seconds=1)
    label = periods.label_of(first, "month", account.zone)
    found = calendars.in_force(session, seller_id=account.seller_id, account_id=account_id)
    rows = session.scalars(
        select(InvoiceHeader).where(
            InvoiceHeader.billing_account_id == account_id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state == "issued",
            InvoiceHeader.due_on >= date.fromisoformat(f"{label}-01") - timedelta(days=values.LATEST),
        )
    )
    made: list[tuple[date, str, int, str]] = []
    for header in rows:
        if header.issued_on is None or header.due_on is None:
            continue
        dated = values.days_of(found, "charge", issued_on=header.issued_on, due_on=header.due_on)
        if not dated or dated[0][0].isoformat()[:7] != label:
            continue
        settled = session.scalars(
            select(InvoiceSettlement.amount_minor).where(
                InvoiceSettlement.invoice_id == header.id, InvoiceSettlement.kind != "payment"
            )
        )
        open_minor = header.payable_minor - sum(settled)
        if open_minor > 0:
            made.append((dated[0][0], header.number or "", open_minor, header.currency))
    return label, sorted(made)


def _events(
    session: Session,
    header: InvoiceHeader,
    found: Calendar,
    today: date,
    open_minor: int,
    why: str | None,
) -> Iterable[Event]:
    if header.issued_on is None or header.due_on is None:
        return
    attempts = {one.step: one for one in history.list_attempts(session, invoice_id=header.id)}
    sent = set(
        session.scalars(
            select(OutboxMessage.dedup_key).where(OutboxMessage.dedup_key.like(f"invoice.reminder:{header.id}:%"))
        )
    )
    made: list[Event] = []
    for kind in values.KINDS:
        latest = values.reached(found, kind, issued_on=header.issued_on, due_on=header.due_on, today=today)
        for on, step in values.days_of(found, kind, issued_on=header.issued_on, due_on=header.due_on):
            attempt = attempts.get(step.code) if kind == "charge" else None
            is_done = attempt is not None or f"invoice.reminder:{header.id}:{step.day}" in sent
            if kind == "charge":
                is_done = attempt is not None
            if is_done:
                made.append(Event(on=on, step=step, state="done", attempt=attempt))
            elif on > today or step == latest:
                reason = "nothing_open" if open_minor <= 0 else why if kind == "charge" else None
                state = "withheld" if reason is not None else "planned"
                made.append(Event(on=max(on, today), step=step, state=state, reason=reason))
            else:
                made.append(Event(on=on, step=step, state="missed"))
    yield from sorted(made, key=lambda event: (event.on, event.step.kind))


def _ahead(one: OpenInvoice, kind: str, today: date) -> list[tuple[date, Step]]:
    """The step reached and not done yet, as today's, and those that follow."""
    dated = values.days_of(one.calendar, kind, issued_on=one.issued_on, due_on=one.due_on)
    ahead = [(on, step) for on, step in dated if on > today]
    latest = values.reached(one.calendar, kind, issued_on=one.issued_on, due_on=one.due_on, today=today)
    return ([(today, latest)] if latest is not None and kind == "charge" else []) + ahead


def _names(session: Session, account_ids: set[str]) -> dict[str, tuple[str, str]]:
    wanted, found = sorted(account_ids), dict[str, tuple[str, str]]()
    for place in range(0, len(wanted), 500):
        rows = session.execute(
            select(BillingAccount.id, BillingAccount.code, BillingAccount.name).where(
                BillingAccount.id.in_(wanted[place : place + 500])
            )
        )
        found |= {key: (code, name) for key, code, name in rows.all()}
    return found


def _last_day(now: datetime, zone: str) -> date:
    return (periods.month_of(now, zone).end_at - timedelta(seconds=1)).astimezone(get_zone(zone)).date()
