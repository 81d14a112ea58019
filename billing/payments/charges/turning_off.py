"""Automatic top-ups that we end ourselves, until somebody agrees to them anew."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.payments.charges.tables import AutomaticPayments
from billing.storage import audit


def turn_off(
    session: Session, *, now: datetime, settings: AutomaticPayments, reason: str, actor: str, facts: dict[str, Any]
) -> None:
    """Top-ups are off from now on, and `reason` is kept to be shown. The caller holds the account's head."""
    settings.is_topping_up, settings.off_reason = False, reason
    settings.version, settings.updated_by, settings.updated_at = settings.version + 1, actor, now
    audit.record(
        session,
        now=now,
        actor=actor,
        act="automatic_payments.turn_off",
        subject_type="billing_account",
        subject_id=settings.billing_account_id,
        billing_account_id=settings.billing_account_id,
        facts=facts,
    )
    session.flush()
