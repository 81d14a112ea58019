"""The intent to charge a saved method, stored and committed before anybody is asked; every reason not to is looked at under the lock."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.invoicing import availability, settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel import periods
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments.charges import live, notes, turning_off
from billing.payments.charges.tables import AutomaticPayments, ChargeAttempt
from billing.payments.customers.methods import MethodRow
from billing.payments.disputes import standing
from billing.payments.providers.ports.charges import ChargeRequest
from billing.payments.tables import PaymentSession
from billing.reference import provider_currencies
from billing.storage import audit, correlation

ACTOR = "job:charges"
# A charge that certainly never arrived is made again, under a key of its own, so often.
_NEVER_SENT_AGAIN = 3
# Somebody who is at the provider's page is left in peace so long.
_AT_THE_PAGE = timedelta(minutes=30)
_PAUSE_AFTER_DECLINE = timedelta(hours=24)
SOFT_DECLINES_IN_A_ROW = 4


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A charge that is ours to make: the intent is stored, and this is what the provider is asked."""

    session_id: str
    request: ChargeRequest


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Nothing is charged, and why; `checkout_id` is the page that stands in the way, if it is one that may be closed."""

    reason: str
    checkout_id: str | None = None


def for_invoice(
    session: Session,
    *,
    now: datetime,
    invoice_id: str,
    method: MethodRow,
    step: str,
    next_try_on: date | None,
) -> Opened | Skipped:
    """Store the intent to charge what is open on the invoice, once for each step of its calendar.

    Locks the account's head. Skipped with not_agreed, nothing_open, disputed, dispute_lost, under_way, at_the_page, tried, expired,
    method_refused, stopped or not_payable. Raises NotFound for anything but an issued invoice.
    """
    owner = session.execute(
        select(InvoiceHeader.billing_account_id).where(InvoiceHeader.id == invoice_id)
    ).scalar_one_or_none()
    if owner is None:
        raise NotFound(invoice_id=invoice_id[:60])
    heads.lock_one(session, owner)
    open_minor = settlement.open_minor(session, invoice_id)
    header = session.get_one(InvoiceHeader, invoice_id)
    why = why_not(session, now=now, header=header, open_minor=open_minor, method=method)
    if why is not None:
        return Skipped(reason=why)
    way = _in_the_way(session, now, invoice_id)
    if way is not None:
        return way
    key = _free_key(session, owner, f"auto_pay:{invoice_id}:{step}")
    if key is None:
        return Skipped(reason="tried")
    amount = Money(minor=open_minor, currency=header.currency)
    return _store(
        session,
        now=now,
        account_id=owner,
        purpose="invoice",
        trigger="auto_pay",
        invoice_id=invoice_id,
        amount=amount,
        form_key=key,
        method=method,
        step=step,
        title=f"Invoice {header.number}",
        next_try_on=next_try_on,
    )


def why_not(
    session: Session, *, now: datetime, header: InvoiceHeader, open_minor: int, method: MethodRow
) -> str | None:
    """What forbids to charge this method for that invoice at all, whatever the day; None where nothing does."""
    settings = session.get(AutomaticPayments, header.billing_account_id)
    if settings is None or not settings.is_paying:
        return "not_agreed"
    if open_minor <= 0:
        return "nothing_open"
    if standing.is_open(session, invoice_id=header.id):
        return "disputed"
    if standing.was_lost(session, invoice_id=header.id):
        return "dispute_lost"
    if stopped_by(session, header.id, method) is not None:
        return "stopped"
    return _unfit(session, now, method, Money(minor=open_minor, currency=header.currency))


def stopped_by(session: Session, invoice_id: str, method: MethodRow) -> ChargeAttempt | None:
    """The last try of the invoice, where it ended so that the calendar goes no further with this method."""
    last = session.scalars(
        select(ChargeAttempt)
        .join(PaymentSession, PaymentSession.id == ChargeAttempt.session_id)
        .where(PaymentSession.invoice_id == invoice_id, ChargeAttempt.verdict.is_not(None))
        .order_by(ChargeAttempt.session_id.desc())
        .limit(1)
    ).first()
    if last is None or last.verdict == "soft":
        return None
    return last if last.verdict == "request" or last.method_id == method.id else None


def is_refused(session: Session, account_id: str, method_id: str) -> bool:
    """Whether the bank said once that this method must not be asked again."""
    query = select(ChargeAttempt.session_id).where(
        ChargeAttempt.billing_account_id == account_id,
        ChargeAttempt.method_id == method_id,
        ChargeAttempt.verdict == "method",
    )
    return session.execute(query.limit(1)).first() is not None


def for_top_up(session: Session, *, now: datetime, account_id: str, method: MethodRow) -> Opened | Skipped:
    """Store the intent to fill the wallet, where it is below its threshold and the month's cap allows one more.

    Locks the account's head. Skipped with not_agreed, enough, under_way, disputed, dispute_lost (and turned off), waits, stopped (the
    bank wants the person), cap_reached (and the notice about it, once a month), expired, method_refused or not_payable.
    """
    heads.lock_one(session, account_id)
    settings = session.get(AutomaticPayments, account_id, populate_existing=True)
    if settings is None or not settings.is_topping_up or settings.amount_minor is None or settings.cap_minor is None:
        return Skipped(reason="not_agreed")
    if live.top_ups(session, account_id, since=now - _AT_THE_PAGE):
        return Skipped(reason="under_way")
    if not is_below(session, now=now, settings=settings):
        return Skipped(reason="enough")
    dispute = _dispute(session, now, settings)
    if dispute is not None:
        return Skipped(reason=dispute)
    last = last_top_up(session, account_id)
    is_fresh = last is not None and last.created_at > now - _PAUSE_AFTER_DECLINE
    if last is not None and is_fresh and last.outcome == "declined" and last.method_id == method.id:
        return Skipped(reason="waits")
    if last is not None and last.outcome == "action_required" and last.method_id == method.id:
        return Skipped(reason="stopped")
    amount = Money(minor=settings.amount_minor, currency=settings.currency)
    why = _unfit(session, now, method, amount)
    if why is not None:
        return Skipped(reason=why)
    month = periods.label_of(now, "month", directory.get_account(session, account_id).zone)
    spent_minor = counted_minor(session, account_id, month)
    if spent_minor + amount.minor > settings.cap_minor:
        notes.tell_cap_reached(session, now=now, settings=settings, month=month, spent_minor=spent_minor)
        return Skipped(reason="cap_reached")
    return _store(
        session,
        now=now,
        account_id=account_id,
        purpose="top_up",
        trigger="auto_top_up",
        invoice_id=None,
        amount=amount,
        form_key=f"auto_top_up:{new_id('atu')}",
        method=method,
        step=month,
        title="Automatic top-up",
        next_try_on=None,
    )


def _dispute(session: Session, now: datetime, settings: AutomaticPayments) -> str | None:
    """A wallet that is low because its last money is disputed is not filled from the same card; after a loss people agree anew."""
    if standing.holds_account(session, settings.billing_account_id):
        return "disputed"
    if not standing.was_lost_since(session, settings.billing_account_id, settings.updated_at):
        return None
    turning_off.turn_off(session, now=now, settings=settings, reason="dispute_lost", actor=ACTOR, facts={})
    return "dispute_lost"


def is_below(session: Session, *, now: datetime, settings: AutomaticPayments) -> bool:
    """Whether what is available, tax of pending usage counted in, is below the threshold."""
    held = availability.of_account(session, now=now, account_id=settings.billing_account_id, currency=settings.currency)
    return settings.threshold_minor is not None and held[0].available_minor < settings.threshold_minor


def counted_minor(session: Session, account_id: str, month: str) -> int:
    """What a month's cap has used up: automatic top-ups that were paid or may yet be, in minor units. Exact under the head."""
    query = (
        select(func.coalesce(func.sum(PaymentSession.amount_minor), 0))
        .join(ChargeAttempt, ChargeAttempt.session_id == PaymentSession.id)
        .where(
            PaymentSession.billing_account_id == account_id,
            PaymentSession.trigger == "auto_top_up",
            PaymentSession.state.in_((*live.STATES, "paid")),
            ChargeAttempt.step == month,
        )
    )
    return int(session.execute(query).scalar_one())


def last_top_up(session: Session, account_id: str) -> ChargeAttempt | None:
    """The newest automatic top-up of the account, whatever became of it."""
    return next(iter(_top_ups(session, account_id, 1)), None)


def soft_declines(session: Session, account_id: str) -> int:
    """How many automatic top-ups in a row, up to now, were declined."""
    count = 0
    for one in _top_ups(session, account_id, SOFT_DECLINES_IN_A_ROW):
        if one.outcome != "declined":
            break
        count += 1
    return count


def _top_ups(session: Session, account_id: str, limit: int) -> list[ChargeAttempt]:
    query = (
        select(ChargeAttempt)
        .join(PaymentSession, PaymentSession.id == ChargeAttempt.session_id)
        .where(ChargeAttempt.billing_account_id == account_id, PaymentSession.trigger == "auto_top_up")
        .order_by(ChargeAttempt.session_id.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def _unfit(session: Session, now: datetime, method: MethodRow, amount: Money) -> str | None:
    if method.is_expired(now.date()):
        return "expired"
    if is_refused(session, method.account_id, method.id):
        return "method_refused"
    if method.kind == "sepa_debit" and amount.currency != "EUR":
        return "not_payable"
    try:
        provider_currencies.require_payable(amount)
    except Invalid:
        return "not_payable"
    return None


def _in_the_way(session: Session, now: datetime, invoice_id: str) -> Skipped | None:
    for one in live.of_invoice(session, invoice_id):
        if one.channel == "off_session":
            return Skipped(reason="under_way")
        is_left = one.state == "open" and one.updated_at <= now - _AT_THE_PAGE
        return Skipped(reason="at_the_page", checkout_id=one.id if is_left else None)
    return None


def _free_key(session: Session, account_id: str, base: str) -> str | None:
    """The key of this step: its own, or a further one while all before certainly never reached the provider."""
    keys = [base] + [f"{base}:{number}" for number in range(2, _NEVER_SENT_AGAIN + 1)]
    query = (
        select(PaymentSession.form_key, ChargeAttempt.outcome)
        .outerjoin(ChargeAttempt, ChargeAttempt.session_id == PaymentSession.id)
        .where(PaymentSession.billing_account_id == account_id, PaymentSession.form_key.in_(keys))
    )
    used = session.execute(query).all()
    if any(outcome != "never_sent" for _key, outcome in used):
        return None
    return next((key for key in keys if key not in [one for one, _outcome in used]), None)


def _store(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    purpose: str,
    trigger: str,
    invoice_id: str | None,
    amount: Money,
    form_key: str,
    method: MethodRow,
    step: str,
    title: str,
    next_try_on: date | None,
) -> Opened:
    item = PaymentSession(
        id=new_id("pay"),
        billing_account_id=account_id,
        provider=method.provider,
        purpose=purpose,
        invoice_id=invoice_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        state="created",
        form_key=form_key,
        created_by=ACTOR,
        created_at=now,
        updated_at=now,
        correlation_id=correlation.current(),
        channel="off_session",
        trigger=trigger,
    )
    session.add(item)
    session.flush()  # the partial keys collide here: a second live charge never comes to a call
    session.add(
        ChargeAttempt(
            session_id=item.id,
            billing_account_id=account_id,
            step=step,
            method_id=method.id,
            provider_method_id=method.provider_method_id,
            customer_id=method.customer_id,
            method_kind=method.kind,
            method_label=method.label,
            outcome="pending",
            next_try_on=next_try_on,
            created_at=now,
        )
    )
    audit.record(
        session,
        now=now,
        actor=ACTOR,
        act="payment.charge",
        subject_type="payment_session",
        subject_id=item.id,
        billing_account_id=account_id,
        facts={
            "trigger": trigger,
            "step": step,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "invoice_id": invoice_id,
            "method_id": method.id,
        },
    )
    session.flush()
    return Opened(
        session_id=item.id,
        request=ChargeRequest(
            reference=item.id,
            customer_id=method.customer_id,
            method_id=method.provider_method_id,
            method_kind=method.kind,
            amount=amount,
            title=title,
            correlation_id=item.correlation_id,
        ),
    )
