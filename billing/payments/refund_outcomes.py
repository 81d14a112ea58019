"""What becomes of a card refund after its approval: sending is noted before it is tried, the provider's answer ends it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.kernel.money import Money
from billing.payments import refunds
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.port import RefundFacts, RefundRequestFacts
from billing.payments.receipts import CASH
from billing.payments.tables import RefundRequest


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A refund on its way: the provider's name, and what it is asked."""

    provider: str
    facts: RefundRequestFacts


_WAITING = ("approved", "sent", "unknown")


def begin_sending(session: Session, *, now: datetime, refund_id: str) -> Sending | None:
    """Mark an approved refund as sent, before the provider is called; None when it is not due.

    `sent_at` is the first try and stays: the provider forgets our key some time after it.
    """
    item, _head = refunds.lock_request(session, refund_id)
    if item.state != "approved" or item.payment_id is None:
        return None
    item.state, item.sent_at = "sent", now
    session.flush()
    return sending_facts(session, item)


def sending_facts(session: Session, item: RefundRequest) -> Sending:
    """The request as it was or will be sent: the same each time, from stored rows alone."""
    payment = refunds.lock_payment(session, item.payment_id or "")
    facts = RefundRequestFacts(
        reference=item.id,
        payment_id=payment.provider_payment_id,
        amount=Money(minor=item.amount_minor, currency=item.currency),
        correlation_id=item.correlation_id,
    )
    return Sending(provider=payment.provider, facts=facts)


def record_unknown(session: Session, *, now: datetime, refund_id: str) -> None:
    """The provider did not answer: nothing is released until the refund has been looked up."""
    item, _head = refunds.lock_request(session, refund_id)
    if item.state == "sent" and item.provider_refund_id is None:
        item.state, item.looked_up_at = "unknown", now
        session.flush()


def record_refused(session: Session, *, now: datetime, refund_id: str, reason: str, actor: str) -> None:
    """The provider certainly made no refund: the money goes back to the wallet."""
    item, head = refunds.lock_request(session, refund_id)
    if item.state in _WAITING and item.provider_refund_id is None:
        _release(session, now, item, head, reason, actor)
        session.flush()


def record_outcome(session: Session, *, now: datetime, refund_id: str, facts: RefundFacts, actor: str) -> str:
    """Bring the refund to what the provider's object says and return its state; a second time changes nothing.

    succeeded: refund_pending to cash (provider_refund). failed: back to the wallet (refund_release), and when it had succeeded
    before, cash to wallet (refund_return). Under the account's head. Raises ProviderMismatch, changing nothing, when the object is
    not the one we asked for, or contradicts an outcome that cannot be taken back.
    """
    item, head = refunds.lock_request(session, refund_id)
    _check_same(session, item, facts)
    if item.provider_refund_id is None:
        item.provider_refund_id = facts.id
    if facts.state == "succeeded" and item.state in _WAITING:
        _post_sent(session, now, item, head, facts, actor)
    elif facts.state == "succeeded" and item.state == "failed":
        raise ProviderMismatch(reason="refund_succeeded_after_failure", refund_id=item.id)
    elif facts.state == "failed" and item.state in _WAITING:
        _release(session, now, item, head, facts.failure or "failed", actor)
    elif facts.state == "failed" and item.state == "succeeded":
        _return(session, now, item, head, facts.failure or "failed", actor)
    elif facts.state == "pending" and item.state in _WAITING:
        item.state, item.sent_at = "sent", item.sent_at or now
    session.flush()
    return item.state


def _check_same(session: Session, item: RefundRequest, facts: RefundFacts) -> None:
    if item.mode != "card" or item.payment_id is None or item.state in ("requested", "rejected"):
        raise ProviderMismatch(reason="refund_not_approved", refund_id=item.id, state=item.state)
    payment = refunds.lock_payment(session, item.payment_id)
    if facts.payment_id != payment.provider_payment_id:
        raise ProviderMismatch(reason="other_payment", refund_id=item.id, found=facts.payment_id)
    if facts.amount != Money(minor=item.amount_minor, currency=item.currency):
        raise ProviderMismatch(
            reason="amount_mismatch",
            refund_id=item.id,
            expected_minor=item.amount_minor,
            found_minor=facts.amount.minor,
            found_currency=facts.amount.currency,
        )
    if facts.reference != item.id or item.provider_refund_id not in (None, facts.id):
        raise ProviderMismatch(reason="other_refund", refund_id=item.id, found=facts.id)


def _post_sent(
    session: Session, now: datetime, item: RefundRequest, head: AccountHead, facts: RefundFacts, actor: str
) -> None:
    source = None
    if facts.source_id is not None:
        provider = refunds.lock_payment(session, item.payment_id or "").provider
        source = ("balance_transaction", f"{provider}:{facts.source_id}")
    refunds.post(
        session,
        now=now,
        item=item,
        head=head,
        kind="provider_refund",
        debit="refund_pending",
        credit=CASH,
        actor=actor,
        source=source,
    )
    item.state, item.ended_at, item.sent_at = "succeeded", now, item.sent_at or now
    refunds.tell(session, now, item, "refund.succeed", actor)


def _release(session: Session, now: datetime, item: RefundRequest, head: AccountHead, reason: str, actor: str) -> None:
    _undo(session, now, item, head, reason, actor, kind="refund_release", debit="refund_pending")


def _return(session: Session, now: datetime, item: RefundRequest, head: AccountHead, reason: str, actor: str) -> None:
    _undo(session, now, item, head, reason, actor, kind="refund_return", debit=CASH)


def _undo(
    session: Session,
    now: datetime,
    item: RefundRequest,
    head: AccountHead,
    reason: str,
    actor: str,
    *,
    kind: str,
    debit: str,
) -> None:
    """Back to the wallet, and the payment may be refunded again."""
    payment = refunds.lock_payment(session, item.payment_id or "")
    payment.refunded_minor -= item.amount_minor
    refunds.post(session, now=now, item=item, head=head, kind=kind, debit=debit, credit="wallet", actor=actor)
    item.state, item.ended_at, item.failure = "failed", now, reason[:300]
    refunds.tell(session, now, item, "refund.fail", actor)
