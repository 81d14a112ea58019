"""What automatic top-up would have done last month: the wallet's own history, replayed with the money it would have brought."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.invoicing import availability
from billing.kernel import periods
from billing.payments.charges.agreements import TopUp


@dataclass(frozen=True, kw_only=True)
class Retrospect:
    """The month, the days on which a top-up would have been made, and the first day on which the cap would have forbidden one."""

    month: str
    days: tuple[date, ...]
    capped_on: date | None
    lowest_minor: int | None


def of_last_month(session: Session, *, now: datetime, account_id: str, top_up: TopUp) -> Retrospect:
    """Look at what was available at the end of each day of the month before this one, in the account's zone.

    Several top-ups of one day count as many as would have been needed, a day's end apart; deposits made by hand stay in, as they
    were made. Reads one balance a day.
    """
    zone = directory.get_account(session, account_id).zone
    before = periods.month_of(now, zone).start_at - timedelta(seconds=1)
    month = periods.month_of(before, zone)
    added, days, capped_on, lowest = 0, list[date](), None, None
    at = month.start_at
    while at < month.end_at:
        on = date.fromisoformat(periods.label_of(at, "day", zone))
        at = periods.next_edge(at, "day", zone)
        held = [
            one
            for one in availability.as_of(session, now=now, at=at - timedelta(microseconds=1), account_id=account_id)
            if one.currency == top_up.amount.currency
        ]
        available = held[0].available_minor if held else 0
        lowest = available if lowest is None else min(lowest, available)
        while available + added < top_up.threshold.minor:
            if added + top_up.amount.minor > top_up.cap.minor:
                capped_on = capped_on or on
                break
            added += top_up.amount.minor
            days.append(on)
    return Retrospect(
        month=periods.label_of(before, "month", zone), days=tuple(days), capped_on=capped_on, lowest_minor=lowest
    )
