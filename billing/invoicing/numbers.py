"""Gapless numbers: one row per seller and series, locked in the issuing transaction (IV3).

A rollback gives the number back because it was never anything but a column of that row: no MAX + 1, no database sequence.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing.tables import NumberSeries
from billing.storage import upsert

_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A number and the date it is issued on."""

    number: str
    issued_on: date


def take(session: Session, *, seller_id: str, prefix: str, today: date) -> Taken:
    """The next number of the seller's series of `today`'s year, such as INV-2026-000001.

    Locks the series' row until the end of the transaction: call it last. The date is the later of `today` (in the seller's
    zone) and the series' last date, so that numbers and dates rise together.
    """
    series = f"{prefix}{today.year:04d}-"
    row = _locked(session, seller_id, series)
    row.last_number += 1
    row.last_issued_on = max(today, row.last_issued_on or today)
    session.flush()  # the row's lock and its number stand before anything is written under the number
    return Taken(number=f"{series}{row.last_number:0{_DIGITS}d}", issued_on=row.last_issued_on)


def dummy(prefix: str, today: date) -> Taken:
    """A number of the right shape that is never given, to try a document out."""
    return Taken(number=f"{prefix}{today.year:04d}-{'0' * _DIGITS}", issued_on=today)


def _locked(session: Session, seller_id: str, series: str) -> NumberSeries:
    wanted = (
        select(NumberSeries)
        .where(NumberSeries.seller_id == seller_id, NumberSeries.series == series)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = session.scalars(wanted).first()
    if row is None:
        values = {"seller_id": seller_id, "series": series, "last_number": 0, "last_issued_on": None}
        if session.get_bind().dialect.name == "postgresql":
            # Two first issuers of a year meet here: one inserts, the other finds its row and waits for it.
            session.execute(upsert.insert(session, NumberSeries).values(values).on_conflict_do_nothing())
        else:
            session.add(NumberSeries(**values))
            session.flush()  # read again below
        row = session.scalars(wanted).one()
    return row
