"""Allocations as lists: frozen rows, newest first, and which of them are stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import Project
from billing.metering.tables import Allocation, AllocationChange


@dataclass(frozen=True, kw_only=True)
class AllocationRow:
    """One allocation or job as it is shown; `ended_at` is None while it runs. `rates` are base units per ms and meter."""

    id: str
    source_id: str
    name: str
    resource: str
    started_at: datetime
    ended_at: datetime | None
    accrued_at: datetime
    rates: dict[str, int]
    variant: str
    mode: str
    outcome: str | None
    project_code: str | None
    is_live: bool


def list_allocations(
    session: Session, account_id: str, *, only_open: bool = False, limit: int = 50, offset: int = 0
) -> list[AllocationRow]:
    """The account's allocations and jobs, newest first; with `only_open` those that have not ended."""
    query = (
        select(Allocation, Project.code)
        .outerjoin(Project, Project.id == Allocation.project_id)
        .where(Allocation.billing_account_id == account_id)
        .order_by(Allocation.started_at.desc(), Allocation.id.desc())
    )
    if only_open:
        query = query.where(Allocation.ended_at.is_(None))
    return [
        AllocationRow(
            id=allocation.id,
            source_id=allocation.source_id,
            name=allocation.name,
            resource=allocation.resource,
            started_at=allocation.started_at,
            ended_at=allocation.ended_at,
            accrued_at=allocation.accrued_at,
            rates={meter: int(rate) for meter, rate in allocation.shape.items()},
            variant=allocation.variant,
            mode=allocation.mode,
            outcome=allocation.outcome,
            project_code=project_code,
            is_live=allocation.is_live,
        )
        for allocation, project_code in session.execute(query.limit(limit).offset(offset))
    ]


def stopped_among(session: Session, allocation_ids: Sequence[str]) -> set[str]:
    """Those of the allocations whose last change stopped them."""
    query = (
        select(AllocationChange.allocation_id, AllocationChange.kind)
        .where(AllocationChange.allocation_id.in_(allocation_ids))
        .order_by(AllocationChange.changed_at, AllocationChange.id)
    )
    last: dict[str, str] = dict(session.execute(query).all())
    return {allocation_id for allocation_id, kind in last.items() if kind == "stopped"}
