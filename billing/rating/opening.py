"""Opening charges: the recurring fees of the plan in force, and its gifts, as each billing period opens (PR2).

A fee is one usage record of the meter `plan_fee` per fee and stretch of one price, at the stretch's first instant: rated, posted and
invoiced as every other. Its source names account, period, fee and stretch, so however often this runs there is one. Where the plan
begins or changes inside the period, or the account is opened in it, the fee's price is cut there, and each part counts by its share
of the period's seconds (Law 1). A gift comes whole.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, heads
from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.subscriptions import PlanStretch
from billing.kernel import canonical, clock
from billing.kernel.clock import to_rfc3339
from billing.kernel.money import Money
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
    account = session.get_one(BillingAccount, account_id)
    stretches = plan_periods.stretches_of(session, account)
    if not any(one.plan.terms.fees or one.plan.terms.grants for one in stretches):
        return 0
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
    pieces = [piece for period in begun for piece in _pieces(account, period, codes, prices, known, now)]
    if pieces:
        records.insert(session, records.rows(head, pieces, now=now))
    given = sum(_give_all(session, account, begun, stretches, now))
    session.flush()  # rating reads the head's count
    return len(pieces) + given


def _pieces(
    account: BillingAccount,
    period: BillingPeriod,
    codes: Sequence[str],
    prices: PriceTable,
    known: Collection[str],
    now: datetime,
) -> Iterator[Piece]:
    """One record per fee and stretch of one price that has begun and is not among the known ones.

    In the account's first period the stretch begins at its opening. A fee that was recorded from the period's first instant, as it
    was done before 0.4.0, is not asked for again.
    """
    opened_at = clock.whole_second(account.created_at)
    for code in codes:
        item = Item(METER, code)
        for start_at in (period.start_at, *prices.edges(account.id, item, period.start_at, period.end_at)):
            if start_at > now or prices.price_at(account.id, item, start_at) is None:
                continue
            source_id = _source_id(account.id, period, code, start_at)
            first_id = _source_id(account.id, period, code, period.start_at)
            if source_id in known or (start_at == opened_at and first_id in known):
                continue
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


def _source_id(account_id: str, period: BillingPeriod, code: str, start_at: datetime) -> str:
    return f"{account_id}/{period.label}/{code}/{to_rfc3339(start_at)}"


def _give_all(
    session: Session,
    account: BillingAccount,
    begun: Sequence[BillingPeriod],
    stretches: Sequence[PlanStretch],
    now: datetime,
) -> Iterator[bool]:
    """The gift of each period, once: what was given stays also where another plan begins there later."""
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
        amount = _gift(account, period, stretches)
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


def _gift(account: BillingAccount, period: BillingPeriod, stretches: Sequence[PlanStretch]) -> Money | None:
    """The whole gift of the plan with which the period begins for the account: at its first instant, or at the account's opening.

    In the currency of its invoices, which alone can use it.
    """
    at = max(period.start_at, clock.whole_second(account.created_at))
    found = plan_periods.terms_at(stretches, at) if at < period.end_at else None
    return found.grant_in(currencies.invoice_currency_of(account)) if found is not None else None
