"""What follows from the decision about a refund: it is carried out, or it is dropped. The decision itself is an approval."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import approvals
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.errors import AlreadyDecided
from billing.accounts.tables import AccountHead
from billing.invoicing import credit_notes
from billing.kernel.money import Money
from billing.payments import foreign_refunds, refund_authority, refund_limits, refund_methods, refund_steps, refunds
from billing.payments.errors import AboveRefundable
from billing.payments.tables import RefundRequest
from billing.storage import correlation

# How an approval ended -> the act of the refund's audit row.
_DROPPED = {"rejected": "refund.reject", "withdrawn": "refund.withdraw", "expired": "refund.expire"}


def carry_out(session: Session, *, now: datetime, refund_id: str, allowed: Allowed, note: str | None = None) -> str:
    """Let a refund go as a second person allowed it: the invoice it names is credited, money is held for sending, all at once.

    Under the account's head (and the payment's row): never above the payment's refundable rest nor above refundable funds, which
    the database checks again; within what the checker's role may allow. Returns the refund's id. Raises NotAllowed,
    AlreadyDecided, AboveRefundable, AboveAuthority, DisputedAccount.
    """
    item, head = refund_steps.lock_request(session, refund_id)
    approvals.spend(session, allowed, act=refunds.act_of(item), subject_id=item.id, content=refunds.content_of(item))
    _require_undecided(item)
    amount, checker = Money(minor=item.amount_minor, currency=item.currency), allowed.checker
    applied = refund_limits.check(session, item, now=now).facts()
    applied |= refund_authority.require(
        session, now=now, person_id=checker, act="allow", amount=amount, refund_id=item.id
    )
    item.decided_by, item.decided_at, item.decision_note, item.policy = checker, now, note, applied
    item.correlation_id = correlation.current() or item.correlation_id
    item.state = "approved"
    if item.invoice_id is not None:
        _credit(session, now, item, checker)
    if item.mode in refund_methods.MONEY_MODES:
        _hold(session, now, item, head, checker, applied)
    else:
        item.state, item.ended_at, item.outcome = "succeeded", now, "credited"
        item.expected_on = now.date()
        refund_steps.tell(
            session, now, item, "approved", checker, act="refund.approve", notice="succeeded", facts=applied
        )
    if item.origin == "provider":
        foreign_refunds.adopt(session, now=now, item=item, actor=checker)
    return item.id


def drop(session: Session, *, now: datetime, ended: Approval, actor: str) -> None:
    """End a refund whose approval was rejected, withdrawn or expired: nothing moves, and its amount may be asked for again."""
    item, _head = refund_steps.lock_request(session, ended.subject_id)
    _require_undecided(item)
    item.decided_by, item.decided_at, item.decision_note = ended.checker, now, ended.note
    item.state, item.ended_at, item.outcome = "rejected", now, ended.state
    if item.origin == "provider":
        foreign_refunds.reopen(session, item=item)
    notice = "rejected" if item.origin == "request" else None
    refund_steps.tell(session, now, item, ended.state, actor, act=_DROPPED[ended.state], notice=notice)


def _require_undecided(item: RefundRequest) -> None:
    if item.state != "requested":
        raise AlreadyDecided(refund_id=item.id, state=item.state)


def _credit(session: Session, now: datetime, item: RefundRequest, actor: str) -> None:
    """The credit note that comes first. What of it goes to the wallet is what may leave."""
    credited = credit_notes.credit(
        session,
        now=now,
        invoice_id=item.invoice_id or "",
        amount_minor=item.amount_minor,
        reason=item.reason,
        actor=actor,
        account_id=item.billing_account_id,
    )
    item.credit_note_id = credited.credit_note_id
    facts = {"credit_note": credited.number, "to_wallet_minor": credited.to_wallet_minor}
    refund_steps.tell(session, now, item, "credited", actor, facts=facts, transaction_id=credited.transaction_id)


def _hold(
    session: Session, now: datetime, item: RefundRequest, head: AccountHead, actor: str, applied: dict[str, object]
) -> None:
    _require_still_there(session, now, item)
    payment = refund_steps.lock_payment(session, item.payment_id or "")
    payment.refunded_minor += item.amount_minor  # the CHECK refuses more than the payment
    posted = refund_steps.post(
        session, now=now, item=item, head=head, kind="refund_hold", debit="wallet", credit="refund_pending", actor=actor
    )
    notice = "approved" if item.origin == "request" else None
    refund_steps.tell(
        session,
        now,
        item,
        "approved",
        actor,
        act="refund.approve",
        notice=notice,
        facts=dict(applied),
        transaction_id=posted,
    )


def _require_still_there(session: Session, now: datetime, item: RefundRequest) -> None:
    """After a credit note the ledger itself says what may leave. Raises AboveRefundable."""
    if item.credit_note_id is None or item.origin == "provider":
        return
    left = refund_limits.funds(session, now=now, account_id=item.billing_account_id, currency=item.currency)
    if item.amount_minor > left.minor:
        raise AboveRefundable(
            reason="above_funds",
            limit_minor=max(0, left.minor),
            refund_id=item.id,
            amount_minor=item.amount_minor,
            currency=item.currency,
        )
