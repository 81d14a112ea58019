"""What becomes of a card refund after its approval: sending is noted before it is tried, the provider's answer ends it.

The ledger follows the provider's balance: money has left our cash as soon as a balance transaction says so, even while the bank
has not confirmed it (provider_refund); it comes back with the balance transaction of the failure (refund_return). A refund that
never moved the provider's balance is released.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.kernel.money import Money
from billing.payments import refund_methods, refund_seen, refund_steps
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
NEEDS_ACTION = "requires_action"


def begin_sending(session: Session, *, now: datetime, refund_id: str) -> Sending | None:
    """Mark an approved card refund as sent, before the provider is called; None when it is not due.

    `sent_at` is the first try and stays: the provider forgets our key some time after it.
    """
    item, _head = refund_steps.lock_request(session, refund_id)
    if item.state != "approved" or item.mode != "card":
        return None
    item.state, item.sent_at = "sent", now
    item.expected_on = refund_methods.expected_on(item.mode, now.date())
    refund_steps.tell(session, now, item, "sent", "job:payments", act="refund.send")
    return sending_facts(session, item)


def sending_facts(session: Session, item: RefundRequest) -> Sending:
    """The request as it was or will be sent: the same each time, from stored rows alone."""
    payment = refund_steps.lock_payment(session, item.payment_id or "")
    facts = RefundRequestFacts(
        reference=item.id,
        payment_id=payment.provider_payment_id,
        amount=Money(minor=item.amount_minor, currency=item.currency),
        correlation_id=item.correlation_id,
    )
    return Sending(provider=payment.provider, facts=facts)


def record_unknown(session: Session, *, now: datetime, refund_id: str) -> None:
    """The provider did not answer: nothing is released until the refund has been looked up."""
    item, _head = refund_steps.lock_request(session, refund_id)
    if item.state == "sent" and item.provider_refund_id is None:
        item.state, item.looked_up_at = "unknown", now
        refund_steps.tell(session, now, item, "unknown", "job:payments")


def record_refused(session: Session, *, now: datetime, refund_id: str, reason: str, actor: str) -> None:
    """The provider certainly made no refund: the money goes back to the wallet."""
    item, head = refund_steps.lock_request(session, refund_id)
    if item.state in _WAITING and item.provider_refund_id is None:
        undo(session, now, item, head, reason, actor)


def record_outcome(session: Session, *, now: datetime, refund_id: str, facts: RefundFacts, actor: str) -> str:
    """Bring the refund to what the provider's object says and return its state; a second time changes nothing.

    Its balance transaction: refund_pending to cash (provider_refund). failed: back to the wallet, from cash where it had left it
    (refund_return, also after success), else from what is held (refund_release). Under the account's head. Raises
    ProviderMismatch, changing nothing, when the object is not the one we asked for, or contradicts an outcome that cannot be
    taken back.
    """
    item, head = refund_steps.lock_request(session, refund_id)
    _check_same(session, item, facts)
    if facts.state == "succeeded" and item.state == "failed":
        raise ProviderMismatch(reason="refund_succeeded_after_failure", refund_id=item.id)
    _note_seen(session, now, item, facts, actor)
    if item.state in _WAITING:
        if item.booked_at is None and (facts.source_id is not None or facts.state == "succeeded"):
            _book(session, now, item, head, facts, actor)
        if facts.state == "succeeded":
            item.state, item.ended_at, item.outcome = "succeeded", now, "refunded"
            refund_steps.tell(session, now, item, "succeeded", actor, act="refund.succeed", notice="succeeded")
        elif facts.state == "pending" and item.state != "sent":
            item.state = "sent"
    if facts.state == "failed" and item.state in (*_WAITING, "succeeded"):
        failure_id = facts.failure_source_id
        undo(session, now, item, head, facts.failure or "failed", actor, source=_source(session, item, failure_id))
    session.flush()
    return item.state


def _check_same(session: Session, item: RefundRequest, facts: RefundFacts) -> None:
    if item.mode != "card" or item.payment_id is None or item.state in ("requested", "rejected"):
        raise ProviderMismatch(reason="refund_not_approved", refund_id=item.id, state=item.state)
    payment = refund_steps.lock_payment(session, item.payment_id)
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
    is_ours = facts.reference == item.id or item.origin == "provider"
    if not is_ours or item.provider_refund_id not in (None, facts.id):
        raise ProviderMismatch(reason="other_refund", refund_id=item.id, found=facts.id)


def _note_seen(session: Session, now: datetime, item: RefundRequest, facts: RefundFacts, actor: str) -> None:
    """Keep what the provider's object says; a new word of its own is a step, and one that asks for something is told."""
    is_news = facts.status != item.provider_status
    item.provider_refund_id = item.provider_refund_id or facts.id
    item.provider_status, item.provider_facts, item.provider_seen_at = facts.status, refund_seen.to_json(facts), now
    if facts.state != "pending" or item.state not in _WAITING:
        return
    item.sent_at = item.sent_at or now
    item.expected_on = item.expected_on or refund_methods.expected_on(item.mode, item.sent_at.date())
    if is_news:
        notice = "action_required" if facts.status == NEEDS_ACTION else "sent"
        was, item.state = item.state, "sent"
        step = "action_required" if facts.status == NEEDS_ACTION else "pending"
        refund_steps.tell(session, now, item, step, actor, notice=notice, facts={"status": facts.status, "before": was})


def _source(session: Session, item: RefundRequest, balance_id: str | None) -> tuple[str, str] | None:
    """The provider's balance transaction as the source of a movement; None while the object names none."""
    if balance_id is None:
        return None
    provider = refund_steps.lock_payment(session, item.payment_id or "").provider
    return ("balance_transaction", f"{provider}:{balance_id}")


def _book(
    session: Session, now: datetime, item: RefundRequest, head: AccountHead, facts: RefundFacts, actor: str
) -> None:
    posted = refund_steps.post(
        session,
        now=now,
        item=item,
        head=head,
        kind="provider_refund",
        debit="refund_pending",
        credit=CASH,
        actor=actor,
        source=_source(session, item, facts.source_id),
    )
    item.booked_at, item.sent_at = now, item.sent_at or now
    item.expected_on = item.expected_on or refund_methods.expected_on(item.mode, item.sent_at.date())
    refund_steps.tell(session, now, item, "booked", actor, transaction_id=posted)


def undo(
    session: Session,
    now: datetime,
    item: RefundRequest,
    head: AccountHead,
    reason: str,
    actor: str,
    *,
    cash: str = CASH,
    source: tuple[str, str] | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Back to the wallet, from our cash where the money had left it, else from what is held; the payment may be refunded again.

    A credit note that came first stands: the money it brought is in the wallet.
    """
    payment = refund_steps.lock_payment(session, item.payment_id or "")
    payment.refunded_minor -= item.amount_minor
    has_left = item.booked_at is not None
    posted = refund_steps.post(
        session,
        now=now,
        item=item,
        head=head,
        kind="refund_return" if has_left else "refund_release",
        debit=cash if has_left else "refund_pending",
        credit="wallet",
        actor=actor,
        source=source if has_left else None,
        occurred_at=occurred_at,
    )
    item.state, item.ended_at, item.failure = "failed", now, reason[:300]
    item.outcome = "returned" if has_left else "released"
    refund_steps.tell(
        session,
        now,
        item,
        item.outcome,
        actor,
        act="refund.fail",
        notice="failed",
        facts={"failure": item.failure},
        transaction_id=posted,
    )
