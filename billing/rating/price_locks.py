"""Price locks: under a plan whose terms say so, usage of an allocation keeps the price of the allocation's start for life (RT3)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select
from sqlalchemy.orm import Session

from billing.catalog import terms
from billing.catalog.items import ON_DEMAND, SPOT
from billing.catalog.tables import PlanVersion, Subscription
from billing.metering.tables import Allocation, UsageRecord

_LAST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Locks:
    """The stretches of time [start, end) in which an account's plan locks the price of allocations that start in them."""

    spans: tuple[tuple[datetime, datetime], ...]

    def priced_at(self) -> ColumnElement[datetime]:
        """The instant whose price a usage record takes: its allocation's start where that locked it, else its own.

        For a query that has outer-joined the allocation. Reserved hours are paid as their reservation says, whatever ran in them.
        """
        start_at, allocated_at = UsageRecord.start_at, Allocation.started_at
        if not self.spans:
            return start_at.expression
        is_locked: list[ColumnElement[bool]] = [
            and_(allocated_at >= start, allocated_at < end) for start, end in self.spans
        ]
        is_own = UsageRecord.mode.in_((ON_DEMAND, SPOT))
        return case((and_(is_own, or_(*is_locked)), allocated_at), else_=start_at)


def load(session: Session, account_id: str) -> Locks:
    """The account's locks: of each plan version in force while the account is subscribed to its plan."""
    subscribed: list[tuple[datetime, str]] = [
        (valid_from, plan_id)
        for valid_from, plan_id in session.execute(
            select(Subscription.valid_from, Subscription.plan_id)
            .where(Subscription.billing_account_id == account_id)
            .order_by(Subscription.valid_from)
        )
    ]
    versions: dict[str, list[tuple[datetime, Any]]] = {}
    for plan_id, valid_from, content in session.execute(
        select(PlanVersion.plan_id, PlanVersion.valid_from, PlanVersion.terms)
        .where(PlanVersion.plan_id.in_({plan_id for _, plan_id in subscribed}))
        .order_by(PlanVersion.valid_from)
    ):
        versions.setdefault(plan_id, []).append((valid_from, content))
    spans = [
        (max(start, planned), min(end, replaced))
        for start, end, plan_id in _spans(subscribed)
        for planned, replaced, content in _spans(versions.get(plan_id, []))
        if max(start, planned) < min(end, replaced) and terms.read(content).locks_price
    ]
    return Locks(spans=tuple(spans))


def _spans(starts: list[tuple[datetime, Any]]) -> list[tuple[datetime, datetime, Any]]:
    """(start, end, what): each ends where the next starts."""
    ends = [start for start, _ in starts[1:]] + [_LAST]
    return [(start, end, what) for (start, what), end in zip(starts, ends, strict=True)]
