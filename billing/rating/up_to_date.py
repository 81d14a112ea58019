"""One account brought up to date: usage rated, fees recorded, the books posted, ended periods closed; in the order they build on."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.rating import closing, opening, postings, rater

_BATCH = 10_000


def bring(session: Session, *, now: datetime, account_id: str) -> int:
    """Rate and post what waits, with the opening and closing charges of the account's plan; how many of these were added.

    Everything in the caller's transaction, under the account's lock. Running it again changes nothing.
    """
    opened = opening.open_periods(session, now=now, account_id=account_id)
    _rate_and_post(session, now, account_id)
    closed = closing.close_periods(session, now=now, account_id=account_id)
    if closed:
        _rate_and_post(session, now, account_id)
    return opened + closed


def _rate_and_post(session: Session, now: datetime, account_id: str) -> None:
    while rater.rate_account(session, now=now, account_id=account_id, limit=_BATCH) >= _BATCH:
        pass
    postings.post_account(session, now=now, account_id=account_id)
