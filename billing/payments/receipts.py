"""What a provider's confirmed checkout does to us: credit it once, or note how it ended."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead, BillingAccount
from billing.invoicing import settlement, write_offs
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger import write_offs as ledger_write_offs
from billing.ledger.entries import Entry
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.port import CheckoutFacts, PaymentFacts
from billing.payments.tables import Payment, PaymentSession
from billing.storage import audit, outbox

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
        _credit(session, now, item, facts, locked)
    elif item.state != "paid":
        _note_unpaid(now, item, facts)
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
        payment = facts.payment
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


def _credit(
    session: Session, now: datetime, item: PaymentSession, facts: CheckoutFacts, locked: dict[str, AccountHead]
) -> None:
    payment = facts.payment
    if payment is None:
        raise ProviderMismatch(reason="payment_not_confirmed", payment_session_id=item.id)
    known = session.execute(
        select(Payment).where(
            (Payment.session_id == item.id)
            | ((Payment.provider == item.provider) & (Payment.provider_payment_id == payment.id))
        )
    ).scalar_one_or_none()
    if known is not None:
        if known.session_id != item.id or known.provider_payment_id != payment.id:
            raise ProviderMismatch(reason="other_payment", payment_session_id=item.id, found=payment.id)
        return
    payment_id = new_id("pmt")
    amount = Money(minor=item.amount_minor, currency=item.currency)
    if item.invoice_id:
        write_offs.undo_for_payment(
            session,
            now=now,
            head=locked[item.billing_account_id],
            invoice_id=item.invoice_id,
            amount=amount,
            actor=f"provider:{item.provider}",
            source_id=payment_id,
        )
    open_minor = settlement.open_minor(session, item.invoice_id) if item.invoice_id else 0
    to_invoice = min(amount.minor, open_minor)
    parts = [("receivable", to_invoice), ("wallet", amount.minor - to_invoice)]
    detail = {"payment_id": payment_id, "provider_payment_id": payment.id}
    if item.invoice_id:
        detail["invoice_id"] = item.invoice_id
    entries = [
        Entry(
            kind="stripe_credit",
            debit=CASH,
            credit=name,
            amount=Money(minor=minor, currency=item.currency),
            detail=detail,
        )
        for name, minor in parts
        if minor > 0
    ]
    actor = f"provider:{item.provider}"
    received_at = min(now, payment.paid_at or now)
    posted = book.post(
        session,
        now=now,
        head=locked[item.billing_account_id],
        type="payment",
        source_type="balance_transaction" if payment.source_id else "provider_payment",
        source_id=f"{item.provider}:{payment.source_id or payment.id}",
        entries=entries,
        occurred_at=received_at,
        actor=actor,
        memo=f"payment {payment_id}",
    )
    session.add(
        Payment(
            id=payment_id,
            billing_account_id=item.billing_account_id,
            session_id=item.id,
            provider=item.provider,
            provider_payment_id=payment.id,
            amount_minor=amount.minor,
            currency=amount.currency,
            refunded_minor=0,
            transaction_id=posted.transaction_id,
            method_label=payment.method_label,
            received_at=received_at,
        )
    )
    session.flush()  # unique on the provider's payment: a second credit fails here
    if item.invoice_id and to_invoice > 0:
        settlement.apply_payment(
            session,
            now=now,
            invoice_id=item.invoice_id,
            transaction_id=posted.transaction_id,
            amount_minor=to_invoice,
            actor=actor,
        )
    item.state, item.failure, item.updated_at = "paid", None, now
    ledger_write_offs.undo_for_payment(
        session,
        now=now,
        head=locked[item.billing_account_id],
        amount=Money(minor=amount.minor - to_invoice, currency=amount.currency),
        actor=actor,
        source_id=f"{payment_id}/wallet",
    )
    _book_fee(session, now, item, payment, posted.transaction_id, locked)
    _tell(session, now, item, payment_id, actor)


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


def _tell(session: Session, now: datetime, item: PaymentSession, payment_id: str, actor: str) -> None:
    facts = {"amount_minor": item.amount_minor, "currency": item.currency, "invoice_id": item.invoice_id}
    audit.record(
        session,
        now=now,
        actor=actor,
        act="payment.receive",
        subject_type="payment",
        subject_id=payment_id,
        billing_account_id=item.billing_account_id,
        facts=facts,
    )
    outbox.enqueue(
        session,
        now=now,
        topic="payment.received",
        dedup_key=f"payment.received:{payment_id}",
        payload=facts | {"payment_id": payment_id, "payment_session_id": item.id},
        billing_account_id=item.billing_account_id,
    )


def _note_unpaid(now: datetime, item: PaymentSession, facts: CheckoutFacts) -> None:
    failure = facts.payment.failure if facts.payment is not None else None
    state = "expired" if facts.state == "expired" else "failed" if facts.payment_state == "failed" else "open"
    if (state, failure) != (item.state, item.failure):
        item.state, item.failure, item.updated_at = state, failure, now
    if facts.url is not None:
        item.redirect_url = facts.url
