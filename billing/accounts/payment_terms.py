"""Within how many days an account pays: its own terms, else its seller's."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.kernel.errors import Invalid
from billing.storage import audit

MAX_DAYS = 365


def set_days(session: Session, *, now: datetime, account_id: str, days: int | None, actor: str) -> None:
    """Give an account terms of its own in days, 0 to 365, or None for its seller's. Issued documents keep their due dates.

    Locks the account's head. Raises NotFound, Invalid.
    """
    if days is not None and not 0 <= days <= MAX_DAYS:
        raise Invalid(field="days", value=days, limit=MAX_DAYS, reason="too_large")
    heads.lock_one(session, account_id)
    account = directory.get_account(session, account_id)
    before, account.payment_terms_days = account.payment_terms_days, days
    audit.record(
        session,
        now=now,
        actor=actor,
        act="billing_account.payment_terms",
        subject_type="billing_account",
        subject_id=account.id,
        billing_account_id=account.id,
        facts={"before_days": before, "days": days},
    )
    session.flush()  # the page that follows reads it
