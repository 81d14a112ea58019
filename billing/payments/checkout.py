"""Our intent to be paid: made and committed before anybody is sent to a provider, and what the provider said to it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, heads
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel import money
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments import sessions
from billing.payments.charges import live
from billing.payments.errors import AmountOutOfRange, NotPayable
from billing.payments.providers.port import CheckoutFacts
from billing.payments.sessions import SessionRow
from billing.payments.tables import PaymentSession
from billing.reference import provider_currencies
from billing.storage import audit, correlation

_MAX_MAJOR = 100_000
_UNSETTLED = ("created", "unknown")


def limits(currency: str) -> tuple[Money, Money]:
    """The smallest and the largest top-up in that currency: 1 (100 where there are no decimals) to 100,000 (10,000,000)."""
    exponent = money.exponent(currency)
    least = 100 if exponent <= 2 else 10**exponent
    return Money(minor=least, currency=currency), Money(minor=least * _MAX_MAJOR, currency=currency)


def open_intent(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    provider: str,
    purpose: str,
    amount: Money,
    form_key: str,
    actor: str,
    invoice_id: str | None = None,
) -> SessionRow:
    """Store that `account_id` means to pay, or give back what this form stored before: two clicks are one intent.

    `purpose` is top_up or invoice (then at most what is open on `invoice_id`). Locks the account's head. Raises
    AmountOutOfRange, NotPayable, NotFound, Invalid for a currency that is not that of the account's invoices or cannot be charged,
    Conflict when the form's key was used for something else.
    """
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    heads.lock_one(session, account_id)
    known = session.execute(
        select(PaymentSession).where(
            PaymentSession.billing_account_id == account_id, PaymentSession.form_key == form_key
        )
    ).scalar_one_or_none()
    asked = (purpose, invoice_id, amount.minor, amount.currency)
    if known is not None:
        if (known.purpose, known.invoice_id, known.amount_minor, known.currency) != asked:
            raise Conflict(payment_session_id=known.id, reason="form_key_reused")
        return sessions.row_of(session, known)
    _check_amount(session, account_id, purpose, amount, invoice_id)
    item = PaymentSession(
        id=new_id("pay"),
        billing_account_id=account_id,
        provider=provider,
        purpose=purpose,
        invoice_id=invoice_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        state="created",
        form_key=form_key,
        created_by=actor,
        created_at=now,
        updated_at=now,
        correlation_id=correlation.current(),
    )
    session.add(item)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="payment.start",
        subject_type="payment_session",
        subject_id=item.id,
        billing_account_id=account_id,
        facts={"purpose": purpose, "amount_minor": amount.minor, "currency": amount.currency, "invoice_id": invoice_id},
    )
    session.flush()  # the keys must collide here, inside the act
    return sessions.row_of(session, item)


def title_of(session: Session, row: SessionRow) -> str:
    """What the provider's page calls it; the same for every repeat of the request."""
    if row.invoice_id is None:
        return "Add funds"
    number = session.execute(select(InvoiceHeader.number).where(InvoiceHeader.id == row.invoice_id)).scalar_one()
    return f"Invoice {number}"


def record_opened(session: Session, *, now: datetime, session_id: str, facts: CheckoutFacts) -> SessionRow:
    """The provider has a checkout for the intent. A state that is already further stays."""
    item = lock_session(session, session_id)
    if item.state in _UNSETTLED:
        item.state = "open"
        item.provider_session_id = facts.id
        item.redirect_url = facts.url
        item.failure = None
        item.updated_at = now
        session.flush()
    return sessions.row_of(session, item)


def record_refused(session: Session, *, now: datetime, session_id: str, reason: str) -> SessionRow:
    """The provider certainly has no checkout for the intent: it has failed."""
    return _record(session, now, session_id, "failed", reason)


def record_unknown(session: Session, *, now: datetime, session_id: str) -> SessionRow:
    """Whether the provider has a checkout for the intent is not known: recovery will look it up."""
    return _record(session, now, session_id, "unknown", None)


def lock_session(session: Session, session_id: str) -> PaymentSession:
    """The payment session, its account's head locked first, read anew. Raises NotFound."""
    account_id = session.execute(
        select(PaymentSession.billing_account_id).where(PaymentSession.id == session_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise NotFound(payment_session_id=session_id)
    heads.lock_one(session, account_id)
    query = select(PaymentSession).where(PaymentSession.id == session_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one()


def _record(session: Session, now: datetime, session_id: str, state: str, failure: str | None) -> SessionRow:
    item = lock_session(session, session_id)
    if item.state in _UNSETTLED:
        item.state, item.failure, item.updated_at = state, failure, now
        session.flush()
    return sessions.row_of(session, item)


def _check_amount(session: Session, account_id: str, purpose: str, amount: Money, invoice_id: str | None) -> None:
    account = directory.get_account(session, account_id)
    provider_currencies.require_payable(amount)
    if purpose == "top_up":
        expected = currencies.invoice_currency_of(account)
        if amount.currency != expected:
            raise Invalid(field="currency", value=amount.currency, expected=expected, reason="currency_mismatch")
        least, most = limits(amount.currency)
    elif purpose == "invoice":
        least, most = (
            Money(minor=1, currency=amount.currency),
            _open_amount(session, account_id, amount.currency, invoice_id),
        )
    else:
        raise Invalid(field="purpose", value=purpose, reason="unknown_purpose")
    if not least.minor <= amount.minor <= most.minor:
        raise AmountOutOfRange(
            field="amount",
            amount_minor=amount.minor,
            min_minor=least.minor,
            max_minor=most.minor,
            currency=amount.currency,
        )


def _open_amount(session: Session, account_id: str, currency: str, invoice_id: str | None) -> Money:
    invoice = session.get(InvoiceHeader, invoice_id or "")
    if invoice is None or invoice.billing_account_id != account_id:
        raise NotFound(invoice_id=invoice_id)
    if invoice.currency != currency:
        raise Invalid(field="currency", value=currency, expected=invoice.currency, reason="currency_mismatch")
    open_minor = settlement.open_minor(session, invoice.id) if invoice.state == "issued" else 0
    if invoice.kind != "invoice" or open_minor <= 0:
        raise NotPayable(invoice_id=invoice.id, state=invoice.state, reason="nothing_open")
    live.require_no_charge(session, invoice.id)
    return Money(minor=open_minor, currency=currency)
