"""Changes of what accounts pay, kept from reaching back over usage that was rated already (PR1, Law 1).

The catalog stores prices, plans and overrides and knows nothing of rating. Whoever changes them (pages, commands, acts of two
people) comes through here: the change is made, the accounts' prices before and after it are compared, and it is refused where
a line stands on a price that would not be its price any more.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.approvals import Allowed
from billing.accounts.tables import BillingAccount
from billing.catalog import activations, books, overrides, plan_files, plans, subscriptions, withdrawals
from billing.catalog.items import Item
from billing.catalog.overrides import Wanted
from billing.catalog.prices import PriceTable
from billing.catalog.tables import (
    Plan,
    PlanVersion,
    PriceBookActivation,
    PriceOverride,
    PriceVersion,
    Sku,
    Subscription,
)
from billing.catalog.terms import NONE, PlanTerms
from billing.kernel.clock import to_rfc3339
from billing.metering.tables import Allocation, UsageRecord
from billing.rating import invoiced_terms, price_locks, rescaling
from billing.rating.errors import AlreadyRated
from billing.rating.tables import Counter, RatedLine

_CHUNK = 1_000
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """A stretch of time [start_at, end_at) in which an item would leave the price version it had, if it had one."""

    item: Item
    start_at: datetime
    end_at: datetime
    price_version_id: str | None


@contextmanager
def guarded(session: Session, account_ids: Iterable[str], *, now: datetime) -> Iterator[None]:
    """Change these accounts' prices inside the block: at its end every rated line must still stand on the price of its time.

    Locks the accounts' heads, so that no rating goes on beside it. Raises AlreadyRated: the price of usage that was rated may
    not change afterwards; begin later, or correct by credit note. Usage without a price is free to get one, but the fee of an
    invoiced period is not: AlreadyInvoiced. Counters whose share of their period changes by it get their rescaling put into the
    accounts' usage (Law 1).
    """
    wanted = sorted(set(account_ids))
    locked = heads.lock(session, wanted)
    before = PriceTable.load(session, wanted)
    yield
    session.flush()
    after = PriceTable.load(session, wanted)
    invoiced_terms.require_fees_kept(session, wanted, before, after)
    for account_id in _rated(session, wanted):
        changed = list(_changed(session, account_id, before, after))
        if not changed:
            continue
        locks = price_locks.load(session, account_id)
        for stretch in changed:
            _refuse_rated(session, account_id, stretch, locks)
        since = min(stretch.start_at for stretch in changed)
        found = rescaling.look(session, account_id, after, ends_after=since)
        rescaling.enqueue(session, locked[account_id], found, now=now)


@contextmanager
def plans_guarded(session: Session, account_ids: Iterable[str], *, now: datetime) -> Iterator[None]:
    """Change plans, or the plans of these accounts, inside the block: `guarded`, and what plans ask for and lock is kept too.

    Raises AlreadyInvoiced where an invoiced period would be asked for other fees, minimums, gifts or percentages; AlreadyRated also
    where a lock of prices that begins or ends would ask for another price than a line stands on.
    """
    wanted = sorted(set(account_ids))
    with guarded(session, wanted, now=now):
        asked = invoiced_terms.load(session, wanted)
        rated = _rated(session, wanted)
        locked = {account_id: price_locks.load(session, account_id) for account_id in rated}
        yield
        session.flush()
        invoiced_terms.require_kept(session, asked)
        prices = PriceTable.load(session, rated)
        for account_id, before in locked.items():
            price_locks.require_kept(session, account_id, before, prices)


def accounts_on_book(session: Session, book_code: str) -> list[str]:
    """Billing accounts that are, were or will be on a plan which uses the book."""
    using = select(PlanVersion.plan_id).where(PlanVersion.book_code == book_code)
    return _subscribed(session, using)


def accounts_on_plan(session: Session, plan_code: str) -> list[str]:
    """Billing accounts that are, were or will be on the plan."""
    return _subscribed(session, select(Plan.id).where(Plan.code == plan_code))


def subscribe(
    session: Session, *, now: datetime, account_id: str, plan_code: str, valid_from: datetime, actor: str
) -> Subscription:
    """Put the account on a plan from an instant on, as `catalog.subscriptions.subscribe` does. Raises as `plans_guarded` too."""
    with plans_guarded(session, [account_id], now=now):
        return subscriptions.subscribe(
            session, now=now, account_id=account_id, plan_code=plan_code, valid_from=valid_from, actor=actor
        )


def withdraw(session: Session, *, now: datetime, account_id: str, subscription_id: str, actor: str) -> Subscription:
    """Take a coming change of plan back, as `catalog.withdrawals.withdraw` does. Raises as `plans_guarded` too."""
    with plans_guarded(session, [account_id], now=now):
        return withdrawals.withdraw(
            session, now=now, account_id=account_id, subscription_id=subscription_id, actor=actor
        )


def change_plan(
    session: Session,
    *,
    now: datetime,
    code: str,
    book_code: str,
    valid_from: datetime,
    actor: str,
    terms: PlanTerms = NONE,
) -> PlanVersion:
    """Give a plan another book and terms from an instant on, as `catalog.plans.change` does. Raises as `plans_guarded` too."""
    with plans_guarded(session, accounts_on_plan(session, code), now=now):
        return plans.change(
            session, now=now, code=code, book_code=book_code, valid_from=valid_from, terms=terms, actor=actor
        )


def load_plan(session: Session, text: str, *, now: datetime, actor: str) -> PlanVersion:
    """Store a plan or its new version, as `catalog.plans.load` does. Raises as `plans_guarded` too."""
    with plans_guarded(session, accounts_on_plan(session, plan_files.read(text).code), now=now):
        return plans.load(session, text, now=now, actor=actor)


def activate(
    session: Session, *, now: datetime, book_id: str, actor: str, allowed: Allowed | None = None
) -> PriceBookActivation:
    """Let a candidate's prices come into force, as `catalog.activations.activate` does. Raises AlreadyRated too."""
    book = books.get_book(session, book_id)
    with guarded(session, accounts_on_book(session, book.code), now=now):
        return activations.activate(session, now=now, book_id=book_id, actor=actor, allowed=allowed)


def override(session: Session, *, now: datetime, wanted: Wanted, reason: str, allowed: Allowed) -> PriceOverride:
    """Give an account a price of its own, as `catalog.overrides.put` does. Raises AlreadyRated too."""
    with guarded(session, [wanted.account_id], now=now):
        return overrides.put(session, now=now, wanted=wanted, reason=reason, allowed=allowed)


def _rated(session: Session, account_ids: list[str]) -> list[str]:
    """Those of the accounts that have a counter at all, in their order."""
    found: list[str] = []
    for place in range(0, len(account_ids), _CHUNK):
        counted = Counter.billing_account_id.in_(account_ids[place : place + _CHUNK])
        found += session.scalars(select(Counter.billing_account_id).where(counted).distinct())
    return sorted(found)


def _subscribed(session: Session, plan_ids: Any) -> list[str]:
    return list(
        session.scalars(
            select(Subscription.billing_account_id)
            .where(Subscription.plan_id.in_(plan_ids))
            .distinct()
            .order_by(Subscription.billing_account_id)
        )
    )


def _changed(session: Session, account_id: str, before: PriceTable, after: PriceTable) -> Iterator[_Stretch]:
    """Where an item that the account has rated would have another price than it had, or none, or one for the first time."""
    for item in _items(session, account_id):
        edges = {*before.edges(account_id, item, _FIRST, _LAST), *after.edges(account_id, item, _FIRST, _LAST)}
        borders = [*sorted(edges), _LAST]
        for start_at, end_at in pairwise(borders):
            old = before.price_at(account_id, item, start_at)
            new = after.price_at(account_id, item, start_at)
            old_id, new_id = (None if price is None else price.id for price in (old, new))
            if old_id != new_id:
                yield _Stretch(item=item, start_at=start_at, end_at=end_at, price_version_id=old_id)


def _items(session: Session, account_id: str) -> list[Item]:
    """Every item whose usage may stand on one of the account's counters: what is sold of the meters and modes it has rated."""
    rated = (
        select(Sku.meter_code, Sku.mode)
        .join(PriceVersion, PriceVersion.sku_code == Sku.code)
        .join(Counter, Counter.price_version_id == PriceVersion.id)
        .where(Counter.billing_account_id == account_id)
        .distinct()
        .subquery()
    )
    rows = session.execute(
        select(Sku.meter_code, Sku.variant, Sku.mode)
        .join(rated, (rated.c.meter_code == Sku.meter_code) & (rated.c.mode == Sku.mode))
        .order_by(Sku.meter_code, Sku.variant, Sku.mode)
    ).all()
    items = {Item(*row) for row in rows}
    return sorted(items | {item.of_any_variant for item in items})


def _refuse_rated(session: Session, account_id: str, stretch: _Stretch, locks: price_locks.Locks) -> None:
    """Raise AlreadyRated where a line's price is asked for in the stretch: at its start, or where its allocation locked it."""
    if stretch.price_version_id is None:
        return
    sold = select(Sku.variant).where(Sku.meter_code == stretch.item.meter_code, Sku.mode == stretch.item.mode)
    variant = UsageRecord.variant
    lines = (
        select(func.max(UsageRecord.start_at))
        .join(RatedLine, RatedLine.usage_record_id == UsageRecord.id)
        .outerjoin(Allocation, Allocation.id == UsageRecord.allocation_id)
        .where(
            UsageRecord.billing_account_id == account_id,
            UsageRecord.start_at >= stretch.start_at,
            UsageRecord.meter_code == stretch.item.meter_code,
            UsageRecord.mode == stretch.item.mode,
            variant == stretch.item.variant if stretch.item.variant else variant.not_in(sold.where(Sku.variant != "")),
            RatedLine.price_version_id == stretch.price_version_id,
        )
    )
    asked_at = locks.priced_at()
    found = session.execute(lines.where(asked_at >= stretch.start_at, asked_at < stretch.end_at)).scalar()
    if found is not None:
        account = session.get_one(BillingAccount, account_id)
        sku_code = session.get_one(PriceVersion, stretch.price_version_id).sku_code
        raise AlreadyRated(
            account=account.code,
            sku=sku_code,
            valid_from=to_rfc3339(stretch.start_at),
            rated_until=to_rfc3339(found),
            price_version_id=stretch.price_version_id,
        )
