"""The price of a billing account's usage at an instant: plans, books in force, and the account's own prices over them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.meters import CLOSING, FEE, kind_of
from billing.catalog.tables import (
    Meter,
    PlanVersion,
    PriceBookActivation,
    PriceOverride,
    PriceVersion,
    Sku,
    Subscription,
)
from billing.catalog.withdrawals import is_standing
from billing.kernel import canonical, clock
from billing.kernel.errors import NotFound
from billing.storage.columns import micros

CLOSING_BOOK = "closing"
"""The system's own book: amounts that closing charges count are worth themselves, whatever plan led to them."""

_CHUNK = 1_000
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Price:
    """One immutable price version with what its meter needs for exact arithmetic."""

    id: str
    sku_code: str
    family: str
    item: Item
    currency: str
    model: str
    parameters: dict[str, Any] = field(hash=False)  # decimal text, major units; see `models`
    valid_from: datetime
    price_hash: str
    base_per_unit: int

    @property
    def meter_code(self) -> str:
        """The meter whose units the price counts."""
        return self.item.meter_code


@dataclass(frozen=True, kw_only=True)
class _Schedule:
    """What one item costs over time: `prices[i]` from `starts[i]` until the next start."""

    starts: list[datetime]
    prices: list[Price | None]


class PriceTable:
    """The prices of some billing accounts, held in memory and never changed: for one batch of one transaction.

    An account's price follows from its subscription, the plan's version, the plan's book, and the newest price of the account's
    currency that has begun; a fee has one from the account's opening on. Asking costs one look-up and one bisection.
    """

    def __init__(
        self,
        *,
        currencies: dict[str, str],
        opened: dict[str, datetime],
        subscriptions: dict[str, tuple[tuple[datetime, str], ...]],
        plans: dict[str, tuple[tuple[datetime, str], ...]],
        prices: dict[tuple[str, Item, str], list[Price]],
        overrides: dict[tuple[str, Item], list[tuple[datetime, Price | None]]],
        fees: dict[tuple[str, datetime], frozenset[str]],
    ) -> None:
        self._currencies = currencies  # account -> currency
        self._opened = opened  # account -> when it was opened: before that it owes no fee
        self._subscriptions = subscriptions  # account -> (from, plan)
        self._plans = plans  # plan -> (from, book)
        self._prices = prices  # (book, item, currency) -> by valid_from
        self._overrides = overrides  # (account, item) -> (from, price; None: the plan's again)
        self._fees = fees  # (plan, start of its version) -> the fees that its terms ask for
        self._schedules: dict[tuple[str, Item], _Schedule] = {}
        self._shared: dict[tuple[object, ...], _Schedule] = {}  # accounts on one plan share their schedules

    @classmethod
    def load(cls, session: Session, account_ids: Iterable[str]) -> "PriceTable":
        """Read what is needed for these accounts. Raises NotFound for an unknown one."""
        wanted = sorted(set(account_ids))
        currencies: dict[str, str] = {}
        opened: dict[str, datetime] = {}
        subscriptions: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
        for place in range(0, len(wanted), _CHUNK):
            chunk = wanted[place : place + _CHUNK]
            accounts = select(BillingAccount.id, BillingAccount.currency, BillingAccount.created_at)
            for account_id, currency, created_at in session.execute(accounts.where(BillingAccount.id.in_(chunk))):
                currencies[account_id], opened[account_id] = currency, clock.whole_second(created_at)
            rows = session.execute(
                select(Subscription.billing_account_id, Subscription.valid_from, Subscription.plan_id)
                .where(Subscription.billing_account_id.in_(chunk), is_standing())
                .order_by(Subscription.valid_from)
            )
            for account_id, valid_from, plan_id in rows:
                subscriptions[account_id].append((valid_from, plan_id))
        for account_id in wanted:
            if account_id not in currencies:
                raise NotFound(account_id=account_id)
        plans = _read_plans(session, {plan_id for rows in subscriptions.values() for _, plan_id in rows})
        books = {book_code for rows in plans.values() for _, book_code in rows} | {CLOSING_BOOK}
        return cls(
            currencies=currencies,
            opened=opened,
            subscriptions={account_id: tuple(rows) for account_id, rows in subscriptions.items()},
            plans=plans,
            prices=_read_prices(session, books, set(currencies.values())),
            overrides=_read_overrides(session, wanted, currencies),
            fees=_read_fees(session, set(plans)),
        )

    def price_at(self, account_id: str, item: Item, at: datetime) -> Price | None:
        """The price in force for usage that starts at the instant; None where there is none."""
        schedule = self._schedules.get((account_id, item)) or self._resolve(account_id, item)
        place = bisect_right(schedule.starts, at) - 1
        return schedule.prices[place] if place >= 0 else None

    def edges(self, account_id: str, item: Item, start_at: datetime, end_at: datetime) -> list[datetime]:
        """The instants strictly inside the window at which another price (or none) begins, rising: where windows are cut."""
        starts = (self._schedules.get((account_id, item)) or self._resolve(account_id, item)).starts
        first = bisect_right(starts, start_at)
        return [start for start in starts[first:] if start < end_at]

    def tried_with(self, candidates: Iterable[Price], *, book_code: str | None) -> "PriceTable":
        """The same accounts, plans and overrides, where each candidate price is in force over all time: for shadow rating.

        The candidates take the place of the same item's prices in that book; without a book, in every plan's.
        """
        named = {version[1] for versions in self._plans.values() for version in versions}
        prices = dict(self._prices)
        for price in candidates:
            always = replace(price, valid_from=_FIRST)
            for code in named if book_code is None else (book_code,):
                prices[code, price.item, price.currency] = [always]
        return PriceTable(
            currencies=self._currencies,
            opened=self._opened,
            subscriptions=self._subscriptions,
            plans=self._plans,
            prices=prices,
            overrides=self._overrides,
            fees=self._fees,
        )

    def of_plans(self) -> "PriceTable":
        """The same without the accounts' own prices: what they would pay by their plans alone."""
        return PriceTable(
            currencies=self._currencies,
            opened=self._opened,
            subscriptions=self._subscriptions,
            plans=self._plans,
            prices=self._prices,
            overrides={},
            fees=self._fees,
        )

    def _resolve(self, account_id: str, item: Item) -> _Schedule:
        currency = self._currencies[account_id]
        subscriptions = self._subscriptions.get(account_id, ())
        own = tuple(self._overrides.get((account_id, each), ()) for each in {item, item.of_any_variant})
        is_fee = kind_of(item.meter_code) == FEE
        key = (subscriptions, currency, item, account_id if any(own) or is_fee else "")
        if key not in self._shared:
            found = self._layered(account_id, subscriptions, currency, item)
            self._shared[key] = _begun(found, self._opened[account_id]) if is_fee else found
        self._schedules[account_id, item] = self._shared[key]
        return self._shared[key]

    def _layered(
        self, account_id: str, subscriptions: Sequence[tuple[datetime, str]], currency: str, item: Item
    ) -> _Schedule:
        """The variant's own prices over those of any variant; in each, the account's own over its plan's."""
        schedule = _Schedule(starts=[], prices=[])
        for each in (item.of_any_variant, *((item,) if item.variant else ())):
            schedule = _over(self._schedule(subscriptions, currency, each), schedule)
            schedule = _over(self._own(account_id, subscriptions, each), schedule)
        return schedule

    def _own(self, account_id: str, subscriptions: Sequence[tuple[datetime, str]], item: Item) -> _Schedule:
        """The account's own prices of an item; of a fee only while the plan's terms ask for it: with the plan the fee goes."""
        rows = self._overrides.get((account_id, item), [])
        own = _Schedule(starts=[at for at, _ in rows], prices=[price for _, price in rows])
        if not rows or kind_of(item.meter_code) != FEE:
            return own
        at: dict[datetime, Price | None] = {}
        for subscribed_at, unsubscribed_at, plan_id in _spans(subscriptions):
            at[subscribed_at] = None  # until a version of the plan has begun
            for planned_at, replaced_at, _ in _spans(self._plans.get(plan_id, ())):
                start, end = max(subscribed_at, planned_at), _earlier(unsubscribed_at, replaced_at)
                if end is not None and start >= end:
                    continue
                is_asked = item.variant in self._fees.get((plan_id, planned_at), ())
                at[start] = _said(own, start) if is_asked else None
                if is_asked:
                    at.update((each, price) for each, price in rows if start < each and (end is None or each < end))
        return _changes(at)

    def _schedule(self, subscriptions: Sequence[tuple[datetime, str]], currency: str, item: Item) -> _Schedule:
        at: dict[datetime, Price | None] = {}  # later words about an instant replace earlier ones
        for subscribed_at, unsubscribed_at, plan_id in _spans(subscriptions):
            at[subscribed_at] = None  # until a version of the plan has begun
            for planned_at, replaced_at, book_code in _spans(self._plans.get(plan_id, ())):
                start, end = max(subscribed_at, planned_at), _earlier(unsubscribed_at, replaced_at)
                if end is not None and start >= end:
                    continue
                book = self._book(plan_id, planned_at, book_code, item, currency)
                begun = bisect_right(book, start, key=_valid_from)
                at[start] = book[begun - 1] if begun else None
                at.update((price.valid_from, price) for price in book[begun:] if end is None or price.valid_from < end)
        return _changes(at)

    def _book(self, plan_id: str, planned_at: datetime, book_code: str, item: Item, currency: str) -> list[Price]:
        """The prices of an item under a plan's version: of a fee only where its terms ask for it, of closing amounts the system's."""
        kind = kind_of(item.meter_code)
        if kind == FEE and item.variant not in self._fees.get((plan_id, planned_at), ()):
            return []
        return self._prices.get((CLOSING_BOOK if kind == CLOSING else book_code, item, currency), [])


def list_prices(session: Session, book_code: str | None = None) -> list[Price]:
    """The prices that are or will be in force, of all books or of one: by book, SKU, currency and start."""
    key = (PriceVersion.book_code, PriceVersion.sku_code, PriceVersion.currency, PriceVersion.valid_from)
    statement = (
        query()
        .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
        .where(PriceVersion.billing_account_id.is_(None))
        .order_by(*key, PriceBookActivation.activated_at, PriceVersion.id)
    )
    if book_code is not None:
        statement = statement.where(PriceVersion.book_code == book_code)
    first: dict[tuple[str, str, str, datetime], Price] = {}
    for version, sku, base_per_unit in session.execute(statement):
        name = (version.book_code, version.sku_code, version.currency, version.valid_from)
        first.setdefault(name, price_of(version, sku, base_per_unit))
    return list(first.values())


def price_hash(
    *, book_code: str, sku_code: str, currency: str, model: str, parameters: dict[str, Any], valid_from: datetime
) -> str:
    """SHA-256 over everything a price version says (Law 4: rated lines cover it)."""
    return canonical.digest(
        "price/1", book_code, sku_code, currency, model, canonical.dumps(parameters), micros(valid_from)
    )


def query() -> Select[PriceVersion, Sku, int]:
    """A query of price versions with what makes a `Price` of each: (PriceVersion, Sku, base units per priced unit)."""
    return (
        select(PriceVersion, Sku, Meter.base_per_unit)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
    )


def price_of(version: PriceVersion, sku: Sku, base_per_unit: int) -> Price:
    """One row of `query` as a price."""
    return Price(
        id=version.id,
        sku_code=sku.code,
        family=sku.family,
        item=Item(sku.meter_code, sku.variant, sku.mode),
        currency=version.currency,
        model=version.model,
        parameters=version.parameters,
        valid_from=version.valid_from,
        price_hash=version.price_hash,
        base_per_unit=base_per_unit,
    )


def _read_plans(session: Session, plan_ids: set[str]) -> dict[str, tuple[tuple[datetime, str], ...]]:
    plans: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    rows = session.execute(
        select(PlanVersion.plan_id, PlanVersion.valid_from, PlanVersion.book_code)
        .where(PlanVersion.plan_id.in_(plan_ids))
        .order_by(PlanVersion.valid_from)
    )
    for plan_id, valid_from, book_code in rows:
        plans[plan_id].append((valid_from, book_code))
    return {plan_id: tuple(versions) for plan_id, versions in plans.items()}


def _read_fees(session: Session, plan_ids: set[str]) -> dict[tuple[str, datetime], frozenset[str]]:
    """(plan, start of its version) -> the fees of its terms, where it has any."""
    rows = session.execute(
        select(PlanVersion.plan_id, PlanVersion.valid_from, PlanVersion.terms).where(PlanVersion.plan_id.in_(plan_ids))
    )
    return {(plan_id, valid_from): frozenset(own["fees"]) for plan_id, valid_from, own in rows if own.get("fees")}


def _read_prices(session: Session, books: set[str], currencies: set[str]) -> dict[tuple[str, Item, str], list[Price]]:
    prices: defaultdict[tuple[str, Item, str], list[Price]] = defaultdict(list)
    rows = session.execute(
        query()
        .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
        .where(PriceVersion.book_code.in_(books), PriceVersion.currency.in_(currencies))
        .order_by(PriceVersion.valid_from, PriceBookActivation.activated_at, PriceVersion.id)
    )
    for version, sku, base_per_unit in rows:
        known = prices[version.book_code, Item(sku.meter_code, sku.variant, sku.mode), version.currency]
        if (
            not known or known[-1].valid_from != version.valid_from
        ):  # a later version that says the same changes nothing
            known.append(price_of(version, sku, base_per_unit))
    return prices


def _read_overrides(
    session: Session, account_ids: Sequence[str], currencies: dict[str, str]
) -> dict[tuple[str, Item], list[tuple[datetime, Price | None]]]:
    """(account, item) -> (from, price or None), rising; a price in another currency than the account's is not its price."""
    found: defaultdict[tuple[str, Item], list[tuple[datetime, Price | None]]] = defaultdict(list)
    for place in range(0, len(account_ids), _CHUNK):
        rows = session.execute(
            select(PriceOverride.billing_account_id, PriceOverride.valid_from, PriceVersion, Sku, Meter.base_per_unit)
            .join(Sku, Sku.code == PriceOverride.sku_code)
            .join(Meter, Meter.code == Sku.meter_code)
            .outerjoin(PriceVersion, PriceVersion.id == PriceOverride.price_version_id)
            .where(PriceOverride.billing_account_id.in_(account_ids[place : place + _CHUNK]))
            .order_by(PriceOverride.valid_from)
        )
        for account_id, valid_from, found_version, sku, base_per_unit in rows:
            version: PriceVersion | None = found_version
            price = price_of(version, sku, base_per_unit) if version is not None else None
            if price is None or price.currency == currencies[account_id]:
                found[account_id, Item(sku.meter_code, sku.variant, sku.mode)].append((valid_from, price))
    return found


def _over(upper: _Schedule, lower: _Schedule) -> _Schedule:
    """Two schedules as one: what the upper says, and the lower where it says nothing."""
    return _changes({at: _said(upper, at) or _said(lower, at) for at in {*upper.starts, *lower.starts}})


def _begun(schedule: _Schedule, opened_at: datetime) -> _Schedule:
    """The schedule from an instant on: nothing before it."""
    return _changes({max(at, opened_at): price for at, price in zip(schedule.starts, schedule.prices, strict=True)})


def _said(schedule: _Schedule, instant: datetime) -> Price | None:
    place = bisect_right(schedule.starts, instant) - 1
    return schedule.prices[place] if place >= 0 else None


def _changes(at: dict[datetime, Price | None]) -> _Schedule:
    """The schedule of these instants, without those at which nothing changes."""
    schedule = _Schedule(starts=[], prices=[])
    for start in sorted(at):
        if at[start] is not (schedule.prices[-1] if schedule.prices else None):
            schedule.starts.append(start)
            schedule.prices.append(at[start])
    return schedule


def _spans(starts: Sequence[tuple[datetime, str]]) -> Iterator[tuple[datetime, datetime | None, str]]:
    """(start, end, what): each ends where the next starts, the last never."""
    for place, (start, what) in enumerate(starts):
        yield start, starts[place + 1][0] if place + 1 < len(starts) else None, what


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min(filter(None, (first, second)), default=None)


def _valid_from(price: Price) -> datetime:
    return price.valid_from
