"""Opening charges: the recurring fees of the plan in force, and its gifts, as each billing period opens (PR2).

A fee is one usage record of the meter `plan_fee` per fee and stretch of one price, at the stretch's first instant: rated, posted and
invoiced as every other. Its source names account, period, fee and stretch, so however often this runs there is one. A change of plan
inside the period cuts the fee's price there, and both parts count by their share of seconds (Law 1).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.subscriptions import PlanStretch
from billing.kernel import canonical
from billing.kernel.clock import to_rfc3339
from billing.ledger import promos
from billing.ledger.tables import LedgerTransaction
from billing.metering import records
from billing.metering.records import Origin, Piece
from billing.metering.tables import UsageRecord
from billing.rating import plan_periods
from billing.rating.tables import BillingPeriod

METER = "plan_fee"
SOURCE = "plan/fee"
GRANT_KIND = "promo_grant"
GRANT_SOURCE = "plan_period"


def open_periods(session: Session, *, now: datetime, account_id: str) -> int:
    """Record the fees of every period of the account that has begun, and give what its plan gives with it; how many are new.

    Also for an account without usage in a period. Locks the account's head. Running it again, or twice at once, adds nothing.
    """
    head = heads.lock_one(session, account_id)
    stretches = plan_periods.stretches_of(session, account_id)
    if not any(one.plan.terms.fees or one.plan.terms.grants for one in stretches):
        return 0
    account = session.get_one(BillingAccount, account_id)
    begun = plan_periods.since(session, account, stretches, lambda terms: bool(terms.fees or terms.grants), now=now)
    known = set(
        session.scalars(
            select(UsageRecord.source_id).where(
                UsageRecord.billing_account_id == account_id, UsageRecord.source == SOURCE
            )
        )
    )
    codes = sorted({code for one in stretches for code in one.plan.terms.fees})
    prices = PriceTable.load(session, [account_id])
    pieces = [
        piece
        for period in begun
        for piece in _pieces(account, period, codes, prices, now)
        if piece.origin.source_id not in known
    ]
    if pieces:
        records.insert(session, records.rows(head, pieces, now=now))
    given = sum(_give_all(session, account, begun, stretches, now))
    session.flush()  # rating reads the head's count
    return len(pieces) + given


def _pieces(
    account: BillingAccount, period: BillingPeriod, codes: Sequence[str], prices: PriceTable, now: datetime
) -> Iterator[Piece]:
    """One record per fee and stretch of one price that has begun."""
    for code in codes:
        item = Item(METER, code)
        for start_at in (period.start_at, *prices.edges(account.id, item, period.start_at, period.end_at)):
            if start_at > now or prices.price_at(account.id, item, start_at) is None:
                continue
            source_id = f"{account.id}/{period.label}/{code}/{to_rfc3339(start_at)}"
            origin = Origin(
                source=SOURCE,
                source_id=source_id,
                allocation_id=None,
                project_id=None,
                member_id=None,
                resource=code,
                tags_json="{}",
                correlation_id=None,
                content_hash=canonical.digest("plan-fee/1", source_id),
                import_id=None,
            )
            yield Piece(origin, item, (start_at, start_at), 1)


def _give_all(
    session: Session,
    account: BillingAccount,
    begun: Sequence[BillingPeriod],
    stretches: Sequence[PlanStretch],
    now: datetime,
) -> Iterator[bool]:
    """The gift of the plan with which each period begins, once: what was given stays also where another plan begins there later."""
    source_ids = [f"{account.id}/{period.label}" for period in begun if period.invoiced_at is None]
    given = set(
        session.scalars(
            select(LedgerTransaction.source_id).where(
                LedgerTransaction.type == GRANT_KIND,
                LedgerTransaction.source_type == GRANT_SOURCE,
                LedgerTransaction.source_id.in_(source_ids),
            )
        )
    )
    for period in begun:
        amount = plan_periods.parts(stretches, period)[0].terms.grant_in(account.currency)
        source_id = f"{account.id}/{period.label}"
        if period.invoiced_at is not None or amount is None or source_id in given:
            continue
        granted = promos.grant(
            session,
            now=now,
            head=heads.lock_one(session, account.id),
            kind=GRANT_KIND,
            amount=amount,
            reason=f"Included in the plan for {period.label}",
            actor="job:terms",
            source_type=GRANT_SOURCE,
            source_id=source_id,
        )
        yield granted.is_new
