"""Where two people meet: a decision about a request, and what follows from it in the room whose act it is, in one transaction.

Pages, commands and jobs decide here and nowhere else. The table at the end joins each act of `accounts.approvals` with its room.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.accounts import approval_list, approvals, heads, manual_rates
from billing.accounts.access_tables import Approval
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.approvals import Allowed
from billing.accounts.errors import ContentChanged
from billing.catalog import activations, overrides
from billing.invoicing import write_offs as invoice_write_offs
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.ledger import adjustments, periods, reversal, write_offs
from billing.payments import refund_authority, refund_decisions, refunds
from billing.payments.bank import reversals as bank_reversals
from billing.payments.cash import booking as cash_booking
from billing.payments.recovery import linking
from billing.rating import price_changes

_JOB = "job:approvals"


@dataclass(frozen=True, kw_only=True)
class Room:
    """How an act's room takes part. `content` says what the subject is now, `perform` does what was allowed, `drop` ends the
    subject where it waits for the decision itself."""

    content: Callable[[Session, ApprovalRow], dict[str, Any]]
    perform: Callable[[Session, datetime, ApprovalRow, Allowed, str | None], object]
    drop: Callable[[Session, datetime, Approval, str], None] | None = None


def approve(
    session: Session, *, now: datetime, approval_id: str, content_hash: str, checker: str, note: str | None = None
) -> ApprovalRow:
    """Let the act happen and perform it. `content_hash` is what the checker was shown.

    Locks the account's head, then the request, so that of many who approve at once one does. Raises as `approvals.approve`, and
    what the act itself refuses; nothing has happened then.
    """
    _lock(session, approval_id)
    approvals.require_decidable(session, now=now, approval_id=approval_id, checker=checker)
    row = approval_list.get_approval(session, approval_id)
    allowed = approvals.approve(
        session,
        now=now,
        approval_id=approval_id,
        content_hash=content_hash,
        checker=checker,
        content=_content(session, row),
        note=note,
    )
    done = approval_list.get_approval(session, approval_id)
    ROOMS[done.act].perform(session, now, done, allowed, done.note)
    return done


def reject(session: Session, *, now: datetime, approval_id: str, checker: str, note: str) -> ApprovalRow:
    """Refuse the act, with a reason. Locks as `approve`. Raises as `approvals.reject`."""
    _lock(session, approval_id)
    ended = approvals.reject(session, now=now, approval_id=approval_id, checker=checker, note=note)
    return _drop(session, now, ended, checker)


def withdraw(session: Session, *, now: datetime, approval_id: str, maker: str) -> ApprovalRow:
    """Take one's own request back. Locks as `approve`. Raises as `approvals.withdraw`."""
    _lock(session, approval_id)
    ended = approvals.withdraw(session, now=now, approval_id=approval_id, maker=maker)
    return _drop(session, now, ended, maker)


def expire(session: Session, *, now: datetime, approval_id: str) -> bool:
    """End a request that nobody decided in time; False when there is nothing to end any more. Locks as `approve`."""
    _lock(session, approval_id)
    ended = approvals.expire(session, now=now, approval_id=approval_id, actor=_JOB)
    if ended is None:
        return False
    _drop(session, now, ended, _JOB)
    return True


def find_fault(session: Session, row: ApprovalRow) -> Refusal | None:
    """Why an open request stands for nothing any more, or None: the refusal that `approve` would raise. Reads only."""
    try:
        content = _content(session, row)
    except Refusal as refusal:
        return refusal
    return approvals.find_change(row, content)


def _lock(session: Session, approval_id: str) -> None:
    """The head of the request's account before the request itself: whoever asks takes them in that order too."""
    row = approval_list.get_approval(session, approval_id)
    if row.billing_account_id is not None:
        heads.lock_one(session, row.billing_account_id)


def _content(session: Session, row: ApprovalRow) -> dict[str, Any]:
    """What the subject says now. A row that was altered is not asked: it may name anything."""
    if not approvals.is_intact(row):
        raise ContentChanged(approval_id=row.id, reason="altered")
    return ROOMS[row.act].content(session, row)


def _drop(session: Session, now: datetime, ended: Approval, actor: str) -> ApprovalRow:
    drop = ROOMS[ended.act].drop
    if drop is not None:
        drop(session, now, ended, actor)
    return approval_list.get_approval(session, ended.id)


def _refund(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, note: str | None) -> object:
    return refund_decisions.carry_out(session, now=now, refund_id=row.subject_id, allowed=allowed, note=note)


def _refund_limit(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return refund_authority.set_limit(session, now=now, content=dict(row.content), reason=row.reason, allowed=allowed)


def _no_refund(session: Session, now: datetime, ended: Approval, actor: str) -> None:
    refund_decisions.drop(session, now=now, ended=ended, actor=actor)


def _adjustment(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return adjustments.adjust(
        session,
        now=now,
        account_id=row.subject_id,
        pair_code=row.content["pair"],
        amount=_amount(row),
        reason=row.reason,
        allowed=allowed,
        expires_at=adjustments.expiry_of(row.content),
    )


def _reversal(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return reversal.reverse(session, now=now, transaction_id=row.subject_id, reason=row.reason, allowed=allowed)


def _reopening(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return periods.reopen(session, now=now, period_id=row.subject_id, allowed=allowed)


def _manual_rate(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return manual_rates.enter(session, now=now, seller_id=row.subject_id, allowed=allowed, content=dict(row.content))


def _amount(row: ApprovalRow) -> Money:
    return Money(minor=row.content["amount_minor"], currency=row.content["currency"])


_REFUND = Room(
    content=lambda session, row: refunds.get_content(session, row.subject_id), perform=_refund, drop=_no_refund
)


def _activation(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return price_changes.activate(session, now=now, book_id=row.subject_id, actor=allowed.maker, allowed=allowed)


def _override(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    wanted = overrides.of_content(session, row.content)
    return price_changes.override(session, now=now, wanted=wanted, reason=row.reason, allowed=allowed)


def _invoice_write_off(
    session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None
) -> object:
    return invoice_write_offs.write_off(
        session,
        now=now,
        invoice_id=row.subject_id,
        amount_minor=row.content["amount_minor"],
        with_tax=row.content["with_tax"],
        reason=row.reason,
        allowed=allowed,
    )


def _wallet_write_off(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return write_offs.write_off(
        session, now=now, account_id=row.subject_id, amount=_amount(row), reason=row.reason, allowed=allowed
    )


def _movement(session: Session, now: datetime, row: ApprovalRow, allowed: Allowed, _note: str | None) -> object:
    return cash_booking.book(
        session,
        now=now,
        movement_id=row.subject_id,
        seller_code=row.content["seller"],
        reason=row.reason,
        allowed=allowed,
    )


ROOMS: dict[str, Room] = {
    "refund.card": _REFUND,
    "refund.credit": _REFUND,
    "refund.bank": _REFUND,
    "refund.adopt": _REFUND,
    refund_authority.ACT: Room(
        content=lambda session, row: refund_authority.content_of(session, row.content), perform=_refund_limit
    ),
    "account.credit": Room(
        content=lambda _, row: adjustments.content_of(
            row.subject_id, row.content["pair"], _amount(row), adjustments.expiry_of(row.content)
        ),
        perform=_adjustment,
    ),
    "ledger.reverse": Room(
        content=lambda session, row: reversal.content_of(session, row.subject_id), perform=_reversal
    ),
    "ledger.reopen_period": Room(
        content=lambda session, row: periods.content_of(session, row.subject_id), perform=_reopening
    ),
    invoice_write_offs.ACT: Room(
        content=lambda session, row: invoice_write_offs.content_of(
            session,
            row.subject_id,
            amount_minor=row.content["amount_minor"],
            with_tax=row.content["with_tax"],
        ),
        perform=_invoice_write_off,
    ),
    write_offs.ACT: Room(
        content=lambda session, row: write_offs.content_of(session, row.subject_id, _amount(row)),
        perform=_wallet_write_off,
    ),
    linking.ACT: Room(
        content=linking.content_of_request,
        perform=lambda session, now, row, allowed, _note: linking.link(session, now=now, row=row, allowed=allowed),
    ),
    bank_reversals.ACT: Room(
        content=lambda session, row: bank_reversals.content_of(session, row.subject_id),
        perform=lambda session, now, row, allowed, _note: bank_reversals.reverse(
            session, now=now, transfer_id=row.subject_id, reason=row.reason, allowed=allowed
        ),
    ),
    cash_booking.ACT: Room(
        content=lambda session, row: cash_booking.content_of(session, row.subject_id, row.content["seller"]),
        perform=_movement,
    ),
    activations.ACT: Room(
        content=lambda session, row: activations.content_of(session, row.subject_id), perform=_activation
    ),
    manual_rates.ACT: Room(content=lambda _session, row: dict(row.content), perform=_manual_rate),
    overrides.ACT: Room(
        content=lambda session, row: overrides.of_content(session, row.content).content, perform=_override
    ),
}
