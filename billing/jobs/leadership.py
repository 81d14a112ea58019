"""One leader however many processes: a lease row that its holder renews and anyone may take once it has run out.

The lease saves work; it is not what keeps effects single. When a leader is stopped and wakes up again, two may believe they
lead for a moment: unique keys and the account's lock keep every effect single even then.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing.storage.tables import Lease

LEASE_S = 12
RENEW_EVERY_S = 3
SCHEDULER = "scheduler"


def hold(session: Session, *, now: datetime, holder: str, name: str = SCHEDULER) -> bool:
    """Take or renew the lease for `holder`; False while another holds it. `term` rises whenever the holder changes.

    On PostgreSQL the database's clock decides, because the clocks of machines differ.
    """
    now = _shared_clock(session, now)
    lease = session.execute(select(Lease).where(Lease.name == name).with_for_update()).scalar_one_or_none()
    if lease is None:
        _insert_first(session, name)
        lease = session.execute(select(Lease).where(Lease.name == name).with_for_update()).scalar_one()
    if lease.holder != holder and lease.expires_at > now:
        return False
    if lease.holder != holder:
        lease.holder = holder
        lease.term += 1
    lease.expires_at = now + timedelta(seconds=LEASE_S)
    session.flush()
    return True


def release(session: Session, *, now: datetime, holder: str, name: str = SCHEDULER) -> None:
    """Give the lease back at an orderly end, so that another takes over at once."""
    lease = session.execute(select(Lease).where(Lease.name == name).with_for_update()).scalar_one_or_none()
    if lease is not None and lease.holder == holder:
        lease.expires_at = _shared_clock(session, now)
        session.flush()


def find_leader(session: Session, *, now: datetime, name: str = SCHEDULER) -> str | None:
    """Who holds the lease now, or None when nobody does."""
    lease = session.execute(select(Lease).where(Lease.name == name)).scalar_one_or_none()
    return lease.holder if lease is not None and lease.expires_at > _shared_clock(session, now) else None


def _insert_first(session: Session, name: str) -> None:
    """The row of a new lease, free to take; of two who insert it at once one finds it there."""
    statement = (
        "INSERT INTO leases (name, holder, term, expires_at) VALUES (:name, '', 0, {past}) ON CONFLICT DO NOTHING"
    )
    past = "0" if session.get_bind().dialect.name == "sqlite" else "'1970-01-01Z'"
    session.execute(text(statement.format(past=past)), {"name": name})
    session.expire_all()


def _shared_clock(session: Session, now: datetime) -> datetime:
    if session.get_bind().dialect.name == "sqlite":
        return now
    shared = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return shared if isinstance(shared, datetime) else now
