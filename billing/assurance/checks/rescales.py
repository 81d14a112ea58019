"""Law 1: each change of a counter's share of its period is one line of quantity 0 on a record of its own, and the shares follow."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.metering.tables import UsageRecord
from billing.rating import rescaling
from billing.rating.tables import Counter, CounterRescale, RatedLine


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every rescaling and every line that rescales, of one account or of all."""
    looked = 0
    statement = (
        select(
            CounterRescale.id,
            CounterRescale.billing_account_id,
            CounterRescale.counter_id,
            CounterRescale.line_seq,
            CounterRescale.old_scale,
            CounterRescale.new_scale,
            Counter.billing_account_id.label("owner_id"),
            Counter.scale,
            RatedLine.line_seq.label("line_number"),
            RatedLine.quantity_base,
            RatedLine.rated_at,
            CounterRescale.rescaled_at,
            UsageRecord.source,
        )
        .outerjoin(Counter, Counter.id == CounterRescale.counter_id)
        .outerjoin(
            RatedLine,
            (RatedLine.counter_id == CounterRescale.counter_id) & (RatedLine.counter_seq == CounterRescale.counter_seq),
        )
        .outerjoin(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .order_by(CounterRescale.counter_id, CounterRescale.counter_seq)
    )
    if account_id is not None:
        statement = statement.where(CounterRescale.billing_account_id == account_id)
    for _, rows in streams.grouped(streams.stream(session, statement), lambda row: row.counter_id):
        looked += len(rows)
        _check_counter(tally, rows)
    _check_lines(session, tally, account_id)
    there = select(func.count()).select_from(CounterRescale)
    if account_id is not None:
        there = there.where(CounterRescale.billing_account_id == account_id)
    tally.expect("counter_rescales", looked, count(session, there))


def _check_counter(tally: Tally, rows: list[Any]) -> None:
    """Each share follows the one before; the last is the counter's; each stands on its own line."""
    followers = [*(row.old_scale for row in rows[1:]), rows[-1].scale]
    for row, following in zip(rows, followers, strict=True):
        tally.look()
        if row.new_scale != following:
            tally.differ(
                row.id, f"gives {row.counter_id} another share of its period than follows", account=row.owner_id
            )
        if row.owner_id != row.billing_account_id:
            tally.differ(row.id, f"belongs to {row.billing_account_id}, its counter to {row.owner_id}")
        line = (row.line_number, row.quantity_base, row.source, row.rated_at)
        if line != (row.line_seq, 0, rescaling.SOURCE, row.rescaled_at):
            tally.differ(row.id, f"names no rescaling line of its counter at number {row.line_seq}")


def _check_lines(session: Session, tally: Tally, account_id: str | None) -> None:
    """No record of a rescaling was rated as if it were usage."""
    lines = (
        select(RatedLine.id)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .outerjoin(
            CounterRescale,
            (CounterRescale.counter_id == RatedLine.counter_id) & (CounterRescale.counter_seq == RatedLine.counter_seq),
        )
        .where(UsageRecord.source == rescaling.SOURCE, CounterRescale.id.is_(None))
    )
    if account_id is not None:
        lines = lines.where(RatedLine.billing_account_id == account_id)
    for line_id in session.scalars(lines):
        tally.differ(line_id, "stands on a record of a rescaling, but no counter was rescaled by it")
