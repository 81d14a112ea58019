"""What follows from the decision about a refund: it is carried out, or it is dropped. The decision itself is an approval."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import approvals
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.errors import AlreadyDecided
from billing.accounts.tables import AccountHead
from billing.invoicing import credit_notes
from billing.payments import refund_limits, refunds
from billing.payments.tables import RefundRequest
from billing.storage import correlation

# How an approval ended -> the act of the refund's audit row.
_DROPPED = {"rejected": "refund.reject", "withdrawn": "refund.withdraw", "expired": "refund.expire"}


def carry_out(session: Session, *, now: datetime, refund_id: str, allowed: Allowed, note: str | None = None) -> str:
    """Let a refund go as a second person allowed it: card money is held for sending, a credit becomes a credit note.

    Under the account's head (and the payment's row): never above the payment's refundable rest nor above refundable funds, which
    the database checks again. Returns the refund's id. Raises NotAllowed, AlreadyDecided, AboveRefundable, DisputedAccount.
    """
    item, head = refunds.lock_request(session, refund_id)
    approvals.spend(session, allowed, act=refunds.act_of(item), subject_id=item.id, content=refunds.content_of(item))
    _require_undecided(item)
    refund_limits.check(session, item, now=now)
    item.decided_by, item.decided_at, item.decision_note = allowed.checker, now, note
    item.correlation_id = correlation.current() or item.correlation_id
    if item.mode == "card":
        _hold(session, now, item, head, allowed.checker)
    else:
        credited = credit_notes.credit(
            session,
            now=now,
            invoice_id=item.invoice_id or "",
            amount_minor=item.amount_minor,
            reason=item.reason,
            actor=allowed.checker,
            account_id=item.billing_account_id,
        )
        item.credit_note_id = credited.credit_note_id
        item.state, item.ended_at = "succeeded", now
    refunds.tell(session, now, item, "refund.approve", allowed.checker)
    return item.id


def drop(session: Session, *, now: datetime, ended: Approval, actor: str) -> None:
    """End a refund whose approval was rejected, withdrawn or expired: nothing moves, and its amount may be asked for again."""
    item, _head = refunds.lock_request(session, ended.subject_id)
    _require_undecided(item)
    item.decided_by, item.decided_at, item.decision_note = ended.checker, now, ended.note
    item.state, item.ended_at = "rejected", now
    refunds.tell(session, now, item, _DROPPED[ended.state], actor)


def _require_undecided(item: RefundRequest) -> None:
    if item.state != "requested":
        raise AlreadyDecided(refund_id=item.id, state=item.state)


def _hold(session: Session, now: datetime, item: RefundRequest, head: AccountHead, actor: str) -> None:
    payment = refunds.lock_payment(session, item.payment_id or "")
    payment.refunded_minor += item.amount_minor  # the CHECK refuses more than the payment
    item.state = "approved"
    refunds.post(
        session, now=now, item=item, head=head, kind="refund_hold", debit="wallet", credit="refund_pending", actor=actor
    )
