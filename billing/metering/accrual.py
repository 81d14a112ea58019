"""Accrual: live allocations become usage records up to an instant, and records that went too far are taken back.

Records are never changed. When a change is told later than it happened, what was accrued beyond it is taken back by records of
negative quantity over the same windows, so that each falls on the counter it was rated on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.kernel import canonical
from billing.metering import owners, records, shapes, windows
from billing.metering.allocation_list import AllocationRow
from billing.metering.cutting import Cutter
from billing.metering.tables import Allocation, AllocationChange, UsageRecord


def accounts_with_open_allocations(session: Session) -> list[str]:
    """Ids of billing accounts that have live allocations which have not ended."""
    query = select(Allocation.billing_account_id).where(Allocation.is_live == true(), Allocation.ended_at.is_(None))
    return sorted(session.scalars(query.distinct()))


def accrue(session: Session, *, now: datetime, account_id: str) -> int:
    """Extend the account's open live allocations to `now`; how many usage records that made. A repeat makes none.

    Windows are cut at full hours, at borders of the account's months and at price changes. Locks the account's head.
    """
    head = heads.lock_one(session, account_id)
    query = (
        select(Allocation)
        .where(
            Allocation.billing_account_id == account_id,
            Allocation.is_live == true(),
            Allocation.ended_at.is_(None),
            Allocation.accrued_at < now,
        )
        .order_by(Allocation.id)
    )
    # The rows may have been read before the lock was taken: what counts is what they are now.
    allocations = session.scalars(query.execution_options(populate_existing=True)).all()
    return extend(session, head, allocations, through_at=now, now=now)


def extend(
    session: Session, head: AccountHead, allocations: Iterable[Allocation], *, through_at: datetime, now: datetime
) -> int:
    """Make the usage records of [accrued_at, through_at) of each allocation; how many. The head is locked by the caller."""
    pieces: list[records.Piece] = []
    cutter = Cutter(PriceTable.load(session, [head.billing_account_id]))
    owner = owners.find(session, [head.billing_account_id])[head.billing_account_id]
    for allocation in allocations:
        if allocation.accrued_at >= through_at:
            continue
        origin = _origin(session, allocation, owner)
        for meter_code, rate_text in sorted(allocation.shape.items()):
            item = item_of(allocation, meter_code)
            cut = cutter.cut(head.billing_account_id, owner.zone, item, allocation.accrued_at, through_at)
            pieces += [
                records.Piece(origin, item, window, shapes.quantity(meter_code, int(rate_text), *window))
                for window in _hourly(cut)
            ]
        allocation.accrued_at = through_at
    records.insert(session, records.rows(head, pieces, now=now))
    session.flush()
    return len(pieces)


def take_back(session: Session, head: AccountHead, allocation: Allocation, *, from_at: datetime, now: datetime) -> int:
    """Take back what was accrued from `from_at` on, by negative records; how many. The head is locked by the caller.

    `from_at` may not lie before the allocation's present shape began, so all that is taken back was made from it.
    """
    owner = owners.find(session, [head.billing_account_id])[head.billing_account_id]
    made = _origin(session, allocation, owner)
    query = (
        select(UsageRecord.meter_code, UsageRecord.start_at, UsageRecord.end_at)
        .where(UsageRecord.source == made.source, UsageRecord.source_id == made.source_id, UsageRecord.end_at > from_at)
        .order_by(UsageRecord.start_at, UsageRecord.meter_code)
    )
    back = made._replace(
        source_id=f"{made.source_id}/taken-back",
        tags_json=canonical.dumps(allocation.tags | {"corrects": made.source_id}),
    )
    pieces = []
    for meter_code, start_at, end_at in session.execute(query):
        window = (max(start_at, from_at), end_at)
        pieces.append(
            records.Piece(
                back,
                item_of(allocation, meter_code),
                window,
                -shapes.quantity(meter_code, int(allocation.shape[meter_code]), *window),
            )
        )
    records.insert(session, records.rows(head, pieces, now=now))
    allocation.accrued_at = from_at
    session.flush()
    return len(pieces)


def item_of(allocation: Allocation | AllocationRow, meter_code: str) -> Item:
    """What a meter of an allocation is priced as: its mode holds for all that is computed with, its variant is the model of its GPUs."""
    if meter_code == "gib_hour":
        return Item(meter_code)
    return Item(meter_code, allocation.variant if meter_code == "gpu_hour" else "", allocation.mode)


def _hourly(cut: Sequence[windows.Window]) -> list[windows.Window]:
    return [piece for first, second in cut for piece in windows.cut(first, second, windows.hour_edges(first, second))]


def _origin(session: Session, allocation: Allocation, owner: owners.Owner) -> records.Origin:
    """Each shape of an allocation is its own source id, `<id>/<number of its last change>`, so that no two records collide."""
    changes = session.scalars(
        select(AllocationChange.content_hash)
        .where(AllocationChange.allocation_id == allocation.id)
        .order_by(AllocationChange.changed_at, AllocationChange.id)
    ).all()
    return records.Origin(
        allocation.source,
        f"{allocation.source_id}/{len(changes)}",
        allocation.id,
        allocation.project_id,
        allocation.member_id,
        allocation.resource,
        canonical.dumps(allocation.tags),
        allocation.correlation_id,
        changes[-1],
        None,
        reseller_id=owner.reseller_id,
    )
