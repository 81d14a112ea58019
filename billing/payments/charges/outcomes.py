"""What the provider's word about a charge does to us: credit it once, or keep why not and what follows."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments import checkout, receipts
from billing.payments.charges import declines, intents, notes, turning_off
from billing.payments.charges.tables import AutomaticPayments, ChargeAttempt
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.ports.charges import ChargeFacts
from billing.payments.tables import PaymentSession

_NOT_ENDED = ("pending", "processing")


def record(session: Session, *, now: datetime, session_id: str, facts: ChargeFacts, is_live: bool) -> str:
    """Bring an off-session payment session to what the provider's object says and return its state; a second time changes nothing.

    `facts` must have been fetched, or be the answer to our own call. Paid is credited by `receipts.record_charge`; a decline ends the
    session, keeps the provider's word, and turns automatic top-ups off where no retry can mend it. Locks the account's head (and
    the house's, where there is a fee). Raises ProviderMismatch, and changes nothing, when intent, amount, reference or mode differ.
    """
    item = session.get_one(PaymentSession, session_id)
    if item.provider_intent_id not in (None, facts.id):
        raise ProviderMismatch(reason="other_payment", payment_session_id=item.id, found=facts.id)
    if (facts.amount.minor, facts.amount.currency) != (item.amount_minor, item.currency):
        raise ProviderMismatch(
            reason="amount_mismatch",
            payment_session_id=item.id,
            expected_minor=item.amount_minor,
            found_minor=facts.amount.minor,
            found_currency=facts.amount.currency,
        )
    receipts.record_charge(session, now=now, session_id=session_id, facts=facts.payment, is_live=is_live)
    attempt = session.get_one(ChargeAttempt, session_id, populate_existing=True)
    item.provider_intent_id = facts.id
    if item.state == "paid":
        _end(session, now, item, attempt, "paid")
    elif facts.state == "processing" or facts.is_waiting:
        if item.state != "open":
            item.state, item.failure, item.updated_at = "open", None, now
        attempt.outcome = "processing" if attempt.outcome == "pending" and not facts.is_waiting else attempt.outcome
    elif facts.state != "paid":
        _decline(session, now, item, attempt, facts)
    session.flush()
    return item.state


def record_refused(session: Session, *, now: datetime, session_id: str, reason: str) -> str:
    """The provider certainly made no charge, and said why; or it was never reached, which counts as no try. Locks the head."""
    item = checkout.lock_session(session, session_id)
    attempt = session.get_one(ChargeAttempt, session_id, populate_existing=True)
    if item.state in ("created", "unknown"):
        item.state, item.failure, item.updated_at = "failed", reason, now
        if reason == declines.NEVER_REACHED:
            _end(session, now, item, attempt, "never_sent")
        else:
            attempt.decline_code, attempt.verdict = reason, declines.verdict_of(reason)
            _end(session, now, item, attempt, "declined")
    session.flush()
    return item.state


def record_unknown(session: Session, *, now: datetime, session_id: str) -> str:
    """Whether there is a charge is not known: it is looked up, and nothing else is asked of the account's methods meanwhile."""
    return checkout.record_unknown(session, now=now, session_id=session_id).state


def _decline(session: Session, now: datetime, item: PaymentSession, attempt: ChargeAttempt, facts: ChargeFacts) -> None:
    if attempt.outcome not in _NOT_ENDED:
        return
    attempt.decline_code = facts.decline_code or item.failure or facts.state
    attempt.verdict = (
        "person"
        if facts.state == "action_required"
        else declines.verdict_of(attempt.decline_code, is_final=facts.is_final)
    )
    if item.state != "failed":
        item.state, item.updated_at = "failed", now
    item.failure = attempt.decline_code
    _end(session, now, item, attempt, "action_required" if attempt.verdict == "person" else "declined")


def _end(session: Session, now: datetime, item: PaymentSession, attempt: ChargeAttempt, outcome: str) -> None:
    if attempt.outcome == outcome:
        return
    attempt.outcome, attempt.ended_at = outcome, now
    if outcome == "paid":
        attempt.decline_code = attempt.verdict = None
    session.flush()  # the sums below must see it
    is_turned_off = item.trigger == "auto_top_up" and outcome == "declined" and _turn_off(session, now, item, attempt)
    notes.tell_ended(session, now=now, item=item, attempt=attempt, is_turned_off=is_turned_off)


def _turn_off(session: Session, now: datetime, item: PaymentSession, attempt: ChargeAttempt) -> bool:
    """No further top-up after a decline that no retry can mend, or after several others in a row."""
    settings = session.get(AutomaticPayments, item.billing_account_id)
    if settings is None or not settings.is_topping_up:
        return False
    declined = intents.soft_declines(session, item.billing_account_id)
    if attempt.verdict == "soft" and declined < intents.SOFT_DECLINES_IN_A_ROW:
        return False
    turning_off.turn_off(
        session,
        now=now,
        settings=settings,
        reason=attempt.decline_code or "declined",
        actor=f"provider:{item.provider}",
        facts={"payment_session_id": item.id, "decline_code": attempt.decline_code, "verdict": attempt.verdict},
    )
    return True
