"""Usage: numbered without gaps, each record unaltered, and each that rating has looked at either rated or waiting, never both."""

from typing import Any, cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.kernel import canonical
from billing.metering import records
from billing.metering.tables import UsageRecord
from billing.rating.tables import RatedLine, UnratedUsage
from billing.storage.columns import micros

NAME = "usage"

_U = cast(Table, UsageRecord.__table__)
_HASHED = [
    "id",
    "billing_account_id",
    "usage_seq",
    "source",
    "source_id",
    "meter_code",
    "start_at",
    "end_at",
    "quantity_base",
    "allocation_id",
    "project_id",
    "member_id",
    "resource",
    "tags",
    "variant",
    "mode",
    "route",
    "route_kind",
    "reseller_id",
    "corrects_id",
]


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every usage record, of one account or of all."""
    looked = sum(_check_account(session, tally, each) for each in streams.account_ids(session, account_id))
    there = select(func.count()).select_from(_U)
    if account_id is not None:
        there = there.where(_U.c.billing_account_id == account_id)
    tally.expect("usage_records", looked, count(session, there))


def _check_account(session: Session, tally: Tally, account_id: str) -> int:
    head = session.execute(
        select(AccountHead.usage_seq, AccountHead.rated_usage_seq).where(AccountHead.billing_account_id == account_id)
    ).one_or_none()
    usage_seq, rated_usage_seq = head if head is not None else (0, 0)
    statement = (
        select(
            *(_U.c[name] for name in _HASHED),
            _U.c.record_hash,
            RatedLine.id.label("line_id"),
            UnratedUsage.reason.label("waits_for"),
        )
        .select_from(_U)
        .outerjoin(RatedLine, RatedLine.usage_record_id == _U.c.id)
        .outerjoin(UnratedUsage, UnratedUsage.usage_record_id == _U.c.id)
        .where(_U.c.billing_account_id == account_id)
        .order_by(_U.c.usage_seq)
    )
    looked = 0
    for row in streams.stream(session, statement):
        looked += 1
        tally.look()
        if row.usage_seq != looked:
            tally.differ(row.id, f"is number {row.usage_seq} of its account, where number {looked} was expected")
        if _hash(row) != row.record_hash:
            tally.differ(row.id, "does not hash to what it says: it was altered", account=account_id)
        _check_rating(tally, row, rated_usage_seq)
    if looked != usage_seq or rated_usage_seq > looked:
        sentence = f"its head counts {usage_seq} usage records, {rated_usage_seq} of them rated; there are {looked}"
        tally.differ(account_id, sentence)
    return looked


def _check_rating(tally: Tally, row: Any, rated_usage_seq: int) -> None:
    is_rated, waits = row.line_id is not None, row.waits_for is not None
    if is_rated and waits:
        tally.differ(row.id, f"is rated by {row.line_id} and waits at the same time ({row.waits_for})")
    elif row.usage_seq <= rated_usage_seq and not is_rated and not waits:
        tally.differ(row.id, "was passed by rating without a rated line and does not wait: it would never be billed")
    elif row.usage_seq > rated_usage_seq and (is_rated or waits):
        tally.differ(
            row.id, f"lies behind what rating has looked at ({rated_usage_seq}), yet it was rated or set aside"
        )


def _hash(row: Any) -> str:
    return records.record_hash(
        row.id,
        row.billing_account_id,
        row.usage_seq,
        row.source,
        row.source_id,
        row.meter_code,
        micros(row.start_at),
        micros(row.end_at),
        row.quantity_base,
        row.allocation_id,
        row.project_id,
        row.member_id,
        row.resource,
        canonical.dumps(row.tags),
        row.variant,
        row.mode,
        row.route,
        row.route_kind,
        row.reseller_id,
        row.corrects_id,
    )
