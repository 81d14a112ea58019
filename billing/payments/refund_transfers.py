"""Refunds by a transfer of ours: approved money is held until an operator says that it left, that it did not, or that it came back."""

from datetime import UTC, date, datetime, time

from sqlalchemy.orm import Session

from billing.accounts import approvals, names
from billing.accounts.tables import AccountHead
from billing.kernel.errors import Conflict, Invalid
from billing.payments import refund_methods, refund_outcomes, refund_steps
from billing.payments.tables import RefundRequest

CASH = "cash:bank"
_REFERENCE_MAX = 140  # as a SEPA transfer carries it


def confirm(session: Session, *, now: datetime, refund_id: str, transfer_on: date, reference: str, actor: str) -> str:
    """The transfer left our bank on that day: refund_pending to cash:bank, and the refund has succeeded; returns its state.

    The same again changes nothing. Locks the account's head. Raises NotFound, Invalid for a day before the approval or after
    today or without a reference, Conflict(transfer_confirmed) for other words about a transfer that is known.
    """
    item, head = refund_steps.lock_request(session, refund_id)
    reference = names.require_name(" ".join(reference.split()), "reference", max_length=_REFERENCE_MAX)
    if item.transfer_on is not None:
        if (item.transfer_on, item.transfer_reference) != (transfer_on, reference):
            raise Conflict(refund_id=item.id, reason="transfer_confirmed")
        return item.state
    _require(item, "approved")
    decided_on = (item.decided_at or now).astimezone(UTC).date()
    if not decided_on <= transfer_on <= now.astimezone(UTC).date():
        raise Invalid(
            field="transfer_on",
            value=transfer_on.isoformat(),
            first=decided_on.isoformat(),
            reason="transfer_day_outside",
        )
    posted = refund_steps.post(
        session,
        now=now,
        item=item,
        head=head,
        kind="bank_refund",
        debit="refund_pending",
        credit=CASH,
        actor=actor,
        occurred_at=_instant(transfer_on, item, now),
    )
    item.transfer_on, item.transfer_reference = transfer_on, reference
    item.booked_at = item.sent_at = item.ended_at = now
    item.expected_on = refund_methods.expected_on(item.mode, transfer_on)
    item.state, item.outcome = "succeeded", "refunded"
    refund_steps.tell(
        session,
        now,
        item,
        "transferred",
        actor,
        act="refund.transfer",
        notice="succeeded",
        facts={"transfer_on": transfer_on.isoformat(), "reference": reference},
        transaction_id=posted,
    )
    return item.state


def give_up(session: Session, *, now: datetime, refund_id: str, reason: str, actor: str) -> str:
    """The transfer did not leave and will not: what was held goes back to the wallet; returns the state.

    The same again changes nothing. Locks the account's head. Raises NotFound, Invalid without a reason, Conflict.
    """
    item, head = refund_steps.lock_request(session, refund_id)
    reason = _reason(reason)
    if item.mode == "bank" and item.outcome == "released":
        return item.state
    _require(item, "approved")
    refund_outcomes.undo(session, now, item, head, reason, actor)
    return item.state


def take_back(session: Session, *, now: datetime, refund_id: str, returned_on: date, reason: str, actor: str) -> str:
    """The transfer that had left came back on that day: cash:bank to the wallet; returns the state.

    The same again changes nothing. Locks the account's head. Raises NotFound, Invalid, Conflict.
    """
    item, head = refund_steps.lock_request(session, refund_id)
    reason = _reason(reason)
    if item.mode == "bank" and item.outcome == "returned":
        return item.state
    _require(item, "succeeded")
    first_on = item.transfer_on or now.astimezone(UTC).date()
    if not first_on <= returned_on <= now.astimezone(UTC).date():
        raise Invalid(
            field="returned_on",
            value=returned_on.isoformat(),
            first=first_on.isoformat(),
            reason="transfer_day_outside",
        )
    _return(session, now, item, head, reason, actor, returned_on)
    return item.state


def _return(
    session: Session,
    now: datetime,
    item: RefundRequest,
    head: AccountHead,
    reason: str,
    actor: str,
    returned_on: date,
) -> None:
    occurred_at = _instant(returned_on, item, now)
    refund_outcomes.undo(session, now, item, head, reason, actor, cash=CASH, occurred_at=occurred_at)


def _require(item: RefundRequest, state: str) -> None:
    if item.mode != "bank":
        raise Conflict(refund_id=item.id, reason="not_a_transfer")
    if item.state != state:
        raise Conflict(refund_id=item.id, state=item.state, reason="refund_in_other_state")


def _reason(reason: str) -> str:
    return names.require_name(" ".join(reason.split()), "reason", max_length=approvals.REASON_MAX)


def _instant(on: date, item: RefundRequest, now: datetime) -> datetime:
    """When the bank moved it, as far as a day says: never before the approval, never after now."""
    return min(now, max(item.decided_at or now, datetime.combine(on, time(), UTC)))
