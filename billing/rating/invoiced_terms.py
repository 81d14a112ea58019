"""What invoiced periods asked of their accounts, kept when plans or the prices of fees change: no month is billed a second time.

Terms lead to opening and closing charges of every period that has begun. In an invoiced one a change would come as late charges
of a month that the customer has paid; it begins in a later period, or is corrected by credit note.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog import terms
from billing.catalog.items import Item
from billing.catalog.meters import FEE, METERS
from billing.catalog.prices import PriceTable
from billing.catalog.subscriptions import PlanStretch
from billing.catalog.tables import Sku
from billing.catalog.terms import PlanTerms
from billing.kernel.clock import to_rfc3339
from billing.rating import plan_periods
from billing.rating.errors import AlreadyInvoiced
from billing.rating.tables import BillingPeriod

_CHUNK = 1_000

Plans = dict[str, list[PlanStretch]]
"""Billing account id -> the plans it is on over time, from its opening."""


def load(session: Session, account_ids: Iterable[str]) -> Plans:
    """The plans, with their terms, of those of the accounts that have an invoiced period."""
    return {
        account_id: plan_periods.all_stretches(session, session.get_one(BillingAccount, account_id))
        for account_id, _ in _invoiced(session, account_ids)
    }


def require_kept(session: Session, before: Plans) -> None:
    """Raise AlreadyInvoiced where an invoiced period of the accounts would be asked for something else than it was.

    The accounts' heads are locked. Whether a plan locks prices is no matter here: `price_locks` looks at what was rated.
    """
    for account_id, found in _invoiced(session, before):
        after = plan_periods.all_stretches(session, session.get_one(BillingAccount, account_id))
        for period in found:
            borders = {period.start_at, *_borders(before[account_id], period), *_borders(after, period)}
            for at in sorted(borders):
                if _asked(before[account_id], period, at) != _asked(after, period, at):
                    raise _refusal(session, account_id, period, at)


def require_fees_kept(session: Session, account_ids: Iterable[str], before: PriceTable, after: PriceTable) -> None:
    """Raise AlreadyInvoiced where a fee of an invoiced period would have another price than it had, or its first."""
    meters = [code for code, meter in METERS.items() if meter.kind == FEE]
    sold = session.execute(select(Sku.meter_code, Sku.variant).where(Sku.meter_code.in_(meters)))
    items = [Item(*row) for row in sold]
    for account_id, found in _invoiced(session, account_ids) if items else ():
        for period in found:
            for item in items:
                at = _first_difference(account_id, item, period, before, after)
                if at is not None:
                    raise _refusal(session, account_id, period, at, fee=item.variant)


def _invoiced(session: Session, account_ids: Iterable[str]) -> Iterator[tuple[str, list[BillingPeriod]]]:
    """(account, its invoiced periods), of those of the accounts that have one."""
    wanted = sorted(account_ids)
    for place in range(0, len(wanted), _CHUNK):
        query = select(BillingPeriod).where(
            BillingPeriod.billing_account_id.in_(wanted[place : place + _CHUNK]), BillingPeriod.invoiced_at.is_not(None)
        )
        found: dict[str, list[BillingPeriod]] = {}
        for period in session.scalars(query.order_by(BillingPeriod.billing_account_id, BillingPeriod.start_at)):
            found.setdefault(period.billing_account_id, []).append(period)
        yield from found.items()


def _borders(stretches: Sequence[PlanStretch], period: BillingPeriod) -> list[datetime]:
    instants = (at for one in stretches for at in (one.from_at, one.until_at) if at is not None)
    return [at for at in instants if period.start_at < at < period.end_at]


def _asked(stretches: Sequence[PlanStretch], period: BillingPeriod, at: datetime) -> PlanTerms | None:
    """What is asked at an instant of the period; None for no plan where percentages count by the time on plans."""
    found = plan_periods.terms_at(stretches, at)
    shares = any(one.terms.percentages for one in plan_periods.parts(stretches, period))
    if found is None:
        return None if shares else terms.NONE
    return replace(found, locks_price=False)


def _first_difference(
    account_id: str, item: Item, period: BillingPeriod, before: PriceTable, after: PriceTable
) -> datetime | None:
    edges = {
        edge for table in (before, after) for edge in table.edges(account_id, item, period.start_at, period.end_at)
    }
    for at in (period.start_at, *sorted(edges)):
        old, new = (table.price_at(account_id, item, at) for table in (before, after))
        if (old and old.id) != (new and new.id):
            return at
    return None


def _refusal(
    session: Session, account_id: str, period: BillingPeriod, at: datetime, *, fee: str | None = None
) -> AlreadyInvoiced:
    account = session.get_one(BillingAccount, account_id)
    facts = {"account": account.code, "period": period.label, "valid_from": to_rfc3339(at)}
    return AlreadyInvoiced(**facts, **({"fee": fee} if fee else {}))
