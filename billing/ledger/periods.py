"""Accounting periods: UTC months of a seller. Nothing posts into a closed one; a late fact gets the first open day.

A poster locks its period's row FOR SHARE until it commits, the closer FOR UPDATE, so that no posting slips in behind a close.
Closing a month closes every earlier one, whether it was ever used or not. Opening one again needs two people.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from billing.accounts import approvals
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.kernel.periods import label_of, month, next_edge
from billing.ledger.errors import PeriodNotClosable
from billing.ledger.tables import AccountingPeriod
from billing.storage import audit, upsert
from billing.storage.columns import micros

REOPEN, SUBJECT = "ledger.reopen_period", "accounting_period"


@dataclass(frozen=True, kw_only=True)
class OpenPeriod:
    """The open accounting period that takes a fact, and the instant from which the fact counts."""

    id: str
    month: str
    effective_at: datetime


@dataclass(frozen=True, kw_only=True)
class PeriodRow:
    """One accounting period in a list."""

    id: str
    seller_id: str
    month: str
    state: str
    closed_at: datetime | None


def period_for(session: Session, *, seller_id: str, occurred_at: datetime) -> OpenPeriod:
    """The period of the instant if it is open, else the next open one; made when there is none, locked FOR SHARE.

    The lock is held to the end of the transaction, so the answer is remembered in the session. Callers hold every head they
    need before they post: making a period waits for whoever makes the same one.
    """
    wanted = label_of(occurred_at, "month", "UTC")
    known: dict[tuple[str, str], tuple[str, str]] = session.info.setdefault("accounting_periods", {})
    if (seller_id, wanted) not in known:
        known[seller_id, wanted] = _locked(session, seller_id, wanted)
    period_id, found = known[seller_id, wanted]
    return OpenPeriod(
        id=period_id,
        month=found,
        effective_at=occurred_at if found == wanted else month(found, "UTC").start_at,
    )


def list_periods(session: Session, seller_id: str | None = None) -> list[PeriodRow]:
    """Accounting periods that were ever used, newest first."""
    statement = select(AccountingPeriod).order_by(AccountingPeriod.month.desc(), AccountingPeriod.seller_id)
    if seller_id is not None:
        statement = statement.where(AccountingPeriod.seller_id == seller_id)
    return [
        PeriodRow(id=row.id, seller_id=row.seller_id, month=row.month, state=row.state, closed_at=row.closed_at)
        for row in session.scalars(statement)
    ]


def close(session: Session, *, now: datetime, seller_id: str, month_label: str, actor: str) -> int:
    """Close the seller's books through a month; how many periods changed, 0 when it was closed before.

    Waits for postings under way, then locks the rows FOR UPDATE. Raises PeriodNotClosable for a month that still runs.
    """
    ends_at = month(month_label, "UTC").end_at
    if ends_at > now:
        raise PeriodNotClosable(month=month_label, reason="still_runs")
    if session.get_bind().dialect.name == "postgresql":
        # Waits for whoever is making a period, and keeps others from making one until this close is committed.
        session.execute(text("LOCK TABLE accounting_periods IN SHARE ROW EXCLUSIVE MODE"))
    if _find(session, seller_id, month_label) is None:
        _make(session, seller_id, month_label)
    changed = 0
    for row in session.scalars(
        select(AccountingPeriod)
        .where(AccountingPeriod.seller_id == seller_id, AccountingPeriod.month <= month_label)
        .order_by(AccountingPeriod.month)
        .with_for_update()
        .execution_options(populate_existing=True)
    ):
        if row.state == "open":
            row.state, row.closed_at = "closed", now
            changed += 1
    if changed:
        _record(session, now, actor, "ledger.period.close", seller_id, month_label)
    session.flush()  # the close holds from here on in this act
    return changed


def request_reopening(
    session: Session,
    *,
    now: datetime,
    seller_id: str,
    month_label: str,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for the last closed month of a seller to be opened again. Raises as `content_of`, and as `approvals.request`."""
    month(month_label, "UTC")
    period_id = _find(session, seller_id, month_label)
    if period_id is None:
        raise PeriodNotClosable(month=month_label, reason="not_the_last_closed")
    return approvals.request(
        session,
        now=now,
        act=REOPEN,
        subject_type=SUBJECT,
        subject_id=period_id,
        content=content_of(session, period_id),
        maker=maker,
        reason=reason,
        billing_account_id=None,
        form_key=form_key,
    )


def content_of(session: Session, period_id: str) -> dict[str, Any]:
    """What approval would open: that month of that seller, as it was closed at that instant (microseconds since 1970).

    Raises NotFound, and PeriodNotClosable for any but the last closed month.
    """
    row = session.get(AccountingPeriod, period_id, populate_existing=True)
    if row is None:
        raise NotFound(kind="accounting_period", id=period_id)
    if row.state != "closed" or row.closed_at is None or _closed_through(session, row.seller_id) != row.month:
        raise PeriodNotClosable(month=row.month, reason="not_the_last_closed")
    return {"seller_id": row.seller_id, "month": row.month, "closed_at_us": micros(row.closed_at)}


def reopen(session: Session, *, now: datetime, period_id: str, allowed: Allowed) -> str:
    """Open the last closed month of a seller again, as a second person allowed it; returns its label.

    Locks the row FOR UPDATE. Raises NotAllowed, NotFound, and PeriodNotClosable for any other month.
    """
    row = session.scalars(
        select(AccountingPeriod)
        .where(AccountingPeriod.id == period_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(kind="accounting_period", id=period_id)
    approvals.spend(session, allowed, act=REOPEN, subject_id=period_id, content=content_of(session, period_id))
    row.state, row.closed_at = "open", None
    # Months before it that were never used count as closed only through a row: keep the border where it was.
    earlier = _month_before(row.month)
    if _find(session, row.seller_id, earlier) is None:
        _make(session, row.seller_id, earlier, closed_at=now)
    _record(session, now, allowed.checker, "ledger.period.reopen", row.seller_id, row.month)
    session.flush()
    return row.month


def _locked(session: Session, seller_id: str, wanted: str) -> tuple[str, str]:
    while True:
        closed_through = _closed_through(session, seller_id)
        found = wanted if closed_through is None else max(wanted, _month_after(closed_through))
        row = session.execute(
            select(AccountingPeriod.id, AccountingPeriod.state)
            .where(AccountingPeriod.seller_id == seller_id, AccountingPeriod.month == found)
            .with_for_update(read=True)
        ).one_or_none()
        if row is None:
            _make(session, seller_id, found)
        elif row.state == "open":
            return row.id, found


def _closed_through(session: Session, seller_id: str) -> str | None:
    return session.execute(
        select(func.max(AccountingPeriod.month)).where(
            AccountingPeriod.seller_id == seller_id, AccountingPeriod.state == "closed"
        )
    ).scalar()


def _find(session: Session, seller_id: str, label: str) -> str | None:
    return session.execute(
        select(AccountingPeriod.id).where(AccountingPeriod.seller_id == seller_id, AccountingPeriod.month == label)
    ).scalar()


def _make(session: Session, seller_id: str, label: str, closed_at: datetime | None = None) -> None:
    values = {
        "id": new_id("acp"),
        "seller_id": seller_id,
        "month": label,
        "state": "closed" if closed_at else "open",
        "closed_at": closed_at,
    }
    if session.get_bind().dialect.name == "postgresql":
        session.execute(upsert.insert(session, AccountingPeriod).values(**values).on_conflict_do_nothing())
    else:
        session.add(AccountingPeriod(**values))
        session.flush()


def _month_after(label: str) -> str:
    return label_of(next_edge(month(label, "UTC").start_at, "month", "UTC"), "month", "UTC")


def _month_before(label: str) -> str:
    year, number = int(label[:4]), int(label[5:])
    return f"{year - 1:04d}-12" if number == 1 else f"{year:04d}-{number - 1:02d}"


def _record(session: Session, now: datetime, actor: str, act: str, seller_id: str, label: str) -> None:
    facts = {"month": label}
    audit.record(session, now=now, actor=actor, act=act, subject_type="seller", subject_id=seller_id, facts=facts)
