"""Opening and closing charges: each fee once for its period, each closing charge what its own words come to, additive and in order."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.assurance import streams
from billing.assurance.report import Tally
from billing.catalog import closing_prices
from billing.kernel.clock import to_rfc3339
from billing.metering.tables import UsageRecord
from billing.rating import closing, opening, plan_periods
from billing.rating.tables import BillingPeriod

NAME = "terms"


def check(session: Session, tally: Tally) -> None:
    """Look at every record of a fee and of a closing charge."""
    _check_fees(session, tally)
    _check_closings(session, tally)


def _check_fees(session: Session, tally: Tally) -> None:
    seen: set[tuple[str, str, object]] = set()
    statement = select(UsageRecord.__table__).where(
        UsageRecord.meter_code == opening.METER, UsageRecord.quantity_base != 0
    )
    for row in streams.stream(session, statement.order_by(UsageRecord.id)):
        tally.look()
        key = (row.billing_account_id, row.variant, row.start_at)
        if key in seen or row.quantity_base != 1:
            tally.differ(
                row.id, f"charges the fee {row.variant} of {to_rfc3339(row.start_at)} again", source=row.source
            )
        seen.add(key)
        told = row.source_id.split("/")
        own = [row.billing_account_id, row.variant, to_rfc3339(row.start_at)]
        if row.source == opening.SOURCE and [told[0], *told[2:]] != own:
            tally.differ(row.id, f"says it is {row.source_id}, and is the fee {row.variant} of another time or account")


def _check_closings(session: Session, tally: Tally) -> None:
    owners = select(UsageRecord.billing_account_id).where(UsageRecord.meter_code == closing_prices.METER).distinct()
    for account_id in session.scalars(owners.order_by(UsageRecord.billing_account_id)).all():
        records: dict[tuple[str, object], list[UsageRecord]] = {}
        for row in session.scalars(
            select(UsageRecord)
            .where(UsageRecord.billing_account_id == account_id, UsageRecord.meter_code == closing_prices.METER)
            .order_by(UsageRecord.usage_seq)
        ):
            tally.look()
            records.setdefault((row.variant, row.start_at), []).append(row)
        for rows in records.values():
            _check_order(tally, rows)
        _check_amounts(session, tally, account_id, records)


def _check_order(tally: Tally, rows: list[UsageRecord]) -> None:
    """Numbered 0, 1, 2, ..., each but the first correcting the first, and never below nothing in all."""
    total = 0
    for place, row in enumerate(rows):
        total += row.quantity_base
        if row.source_id.rpartition("/")[2] != str(place) or row.corrects_id != (rows[0].id if place else None):
            tally.differ(row.id, f"is not number {place} of the closing charge {row.variant} of its period")
        if total < 0:
            tally.differ(row.id, f"takes the closing charge {row.variant} of its period below zero")


def _check_amounts(
    session: Session, tally: Tally, account_id: str, records: dict[tuple[str, object], list[UsageRecord]]
) -> None:
    """Where a period's charges and terms are still those that the newest record speaks of, it has brought their amount."""
    account = session.get_one(BillingAccount, account_id)
    stretches = plan_periods.stretches_of(session, account)
    for period in session.scalars(select(BillingPeriod).where(BillingPeriod.billing_account_id == account_id)):
        at = closing.instant_of(period)
        own = {variant: rows for (variant, start_at), rows in records.items() if start_at == at}
        if not own:
            continue
        charged = closing.charged(session, period, account.currency)
        for one in closing.due(plan_periods.parts(stretches, period), charged, currency=account.currency):
            rows = own.get(one.variant, [])
            booked = sum(row.quantity_base for row in rows)
            if rows and rows[-1].resource == one.words and booked != one.amount_minor * closing.MICRO:
                sentence = f"{one.words}: comes to {one.amount_minor}, booked are {booked} millionths"
                tally.differ(rows[-1].id, sentence, period=period.label)
