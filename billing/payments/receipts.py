"""What a provider's confirmed checkout does to us: credit it once, or note how it ended."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead, BillingAccount
from billing.kernel.errors import NotFound
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.payments import crediting
from billing.payments.crediting import Received
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.port import CheckoutFacts, PaymentFacts
from billing.payments.tables import Payment, PaymentSession

CASH = "cash:stripe"


def record_checkout(session: Session, *, now: datetime, session_id: str, facts: CheckoutFacts, is_live: bool) -> str:
    """Bring the payment session to what the provider's object says and return its state; a second time changes nothing.

    `facts` must have been fetched from the provider, not read from an event. When they say paid: one ledger transaction
    (stripe_credit: cash to wallet, or to the invoice's receivable as far as it is open and the surplus to wallet), a settlement
    row, a Payment unique on the provider's payment id, a notice; all in the caller's transaction under the account's head
    (Law 6). Raises ProviderMismatch, and credits nothing, when amount, currency, reference or mode differ from our intent.
    """
    item, locked = _lock(session, session_id, with_house=facts.payment is not None and facts.payment.fee is not None)
    _check_same(item, facts, is_live)
    if item.provider_session_id is None:
        item.provider_session_id = facts.id
    if facts.payment_state == "paid":
        _credit(session, now, item, _confirmed(item, facts.payment), locked)
    elif item.state != "paid":
        _note_unpaid(now, item, facts)
    session.flush()
    return item.state


def record_charge(session: Session, *, now: datetime, session_id: str, facts: PaymentFacts, is_live: bool) -> str:
    """`record_checkout` for a payment that was made without a checkout: the intent's row is the same, so is what a payment does.

    `facts` must have been fetched and carry the provider's own mode and our reference; `is_live` is what we are configured for. Paid
    credits once, failed ends the session, anything else leaves it as it is. Returns the session's state. Raises ProviderMismatch.
    """
    item, locked = _lock(session, session_id, with_house=facts.fee is not None)
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", payment_session_id=item.id)
    if facts.reference != item.id:
        raise ProviderMismatch(reason="reference_mismatch", payment_session_id=item.id, found=facts.reference)
    if facts.state == "paid":
        _credit(session, now, item, _confirmed(item, facts), locked)
    elif facts.state == "failed" and item.state not in ("paid", "failed"):
        item.state, item.failure, item.updated_at = "failed", facts.failure, now
    session.flush()
    return item.state


def _lock(session: Session, session_id: str, *, with_house: bool) -> tuple[PaymentSession, dict[str, AccountHead]]:
    owner = session.execute(
        select(BillingAccount.id, BillingAccount.seller_id)
        .join(PaymentSession, PaymentSession.billing_account_id == BillingAccount.id)
        .where(PaymentSession.id == session_id)
    ).one_or_none()
    if owner is None:
        raise NotFound(payment_session_id=session_id)
    # A fee stands in the house's chain: both heads at once, in the order that everybody takes.
    wanted = [owner.id, directory.house_account(session, owner.seller_id).id] if with_house else [owner.id]
    locked = heads.lock(session, wanted)
    query = select(PaymentSession).where(PaymentSession.id == session_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one(), locked


def _check_same(item: PaymentSession, facts: CheckoutFacts, is_live: bool) -> None:
    ours = Money(minor=item.amount_minor, currency=item.currency)
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", payment_session_id=item.id)
    if facts.reference != item.id:
        raise ProviderMismatch(reason="reference_mismatch", payment_session_id=item.id, found=facts.reference)
    if item.provider_session_id not in (None, facts.id):
        raise ProviderMismatch(reason="other_checkout", payment_session_id=item.id, found=facts.id)
    if facts.amount.currency != ours.currency:
        raise ProviderMismatch(reason="currency_mismatch", payment_session_id=item.id, found=facts.amount.currency)
    if facts.amount != ours:
        raise ProviderMismatch(
            reason="amount_mismatch",
            payment_session_id=item.id,
            expected_minor=ours.minor,
            found_minor=facts.amount.minor,
        )
    if facts.payment_state == "paid":
        _confirmed(item, facts.payment)


def _confirmed(item: PaymentSession, payment: PaymentFacts | None) -> PaymentFacts:
    """The payment, when it has brought exactly what we asked for."""
    ours = Money(minor=item.amount_minor, currency=item.currency)
    if payment is None or payment.state != "paid":
        raise ProviderMismatch(reason="payment_not_confirmed", payment_session_id=item.id)
    if payment.received != ours:
        raise ProviderMismatch(
            reason="amount_mismatch",
            payment_session_id=item.id,
            expected_minor=ours.minor,
            found_minor=payment.received.minor,
            found_currency=payment.received.currency,
        )
    return payment


def _credit(
    session: Session, now: datetime, item: PaymentSession, payment: PaymentFacts, locked: dict[str, AccountHead]
) -> None:
    if _is_credited(session, item, payment):
        return
    amount = Money(minor=item.amount_minor, currency=item.currency)
    made = crediting.credit(
        session,
        now=now,
        locked=locked,
        received=Received(
            account_id=item.billing_account_id,
            provider=item.provider,
            provider_payment_id=payment.id,
            amount=amount,
            kind="stripe_credit",
            cash=CASH,
            source=(
                "balance_transaction" if payment.source_id else "provider_payment",
                f"{item.provider}:{payment.source_id or payment.id}",
            ),
            received_at=min(now, payment.paid_at or now),
            actor=f"provider:{item.provider}",
            session_id=item.id,
            shares=crediting.for_invoice(item.invoice_id, amount),
            method_label=payment.method_label,
        ),
    )
    item.state, item.failure, item.updated_at = "paid", None, now
    _book_fee(session, now, item, payment, made.transaction_id, locked)


def _is_credited(session: Session, item: PaymentSession, payment: PaymentFacts) -> bool:
    known = session.execute(
        select(Payment).where(
            (Payment.session_id == item.id)
            | ((Payment.provider == item.provider) & (Payment.provider_payment_id == payment.id))
        )
    ).scalar_one_or_none()
    if known is not None and (known.session_id != item.id or known.provider_payment_id != payment.id):
        raise ProviderMismatch(reason="other_payment", payment_session_id=item.id, found=payment.id)
    return known is not None


def _book_fee(
    session: Session,
    now: datetime,
    item: PaymentSession,
    payment: PaymentFacts,
    linked_id: str,
    locked: dict[str, AccountHead],
) -> None:
    """The provider's fee, in the house's own chain so that no tenant's statement shows it, linked to the payment.

    A fee in another currency belongs to a conversion by the provider, which is booked with it or not at all.
    """
    house = next((head for account_id, head in locked.items() if account_id != item.billing_account_id), None)
    if payment.fee is None or house is None or payment.fee.currency != item.currency:
        return
    book.post(
        session,
        now=now,
        head=house,
        type="processor_fee",
        source_type="balance_transaction",
        source_id=f"{item.provider}:{payment.source_id}",
        entries=[Entry(kind="processor_fee", debit="processor_fees", credit=CASH, amount=payment.fee, detail={})],
        occurred_at=min(now, payment.paid_at or now),
        actor=f"provider:{item.provider}",
        linked_id=linked_id,
    )


def _note_unpaid(now: datetime, item: PaymentSession, facts: CheckoutFacts) -> None:
    failure = facts.payment.failure if facts.payment is not None else None
    state = "expired" if facts.state == "expired" else "failed" if facts.payment_state == "failed" else "open"
    if (state, failure) != (item.state, item.failure):
        item.state, item.failure, item.updated_at = state, failure, now
    if facts.state == "complete":
        item.redirect_url = None  # the page is done with, and a delayed method on its way: nothing to go back to
    elif facts.url is not None:
        item.redirect_url = facts.url
