"""Reservations: capacity that an account pays for whether it is used or not. `metering.reserved_hours` matches usage with it.

A reservation is of one item, by whole UTC hours. Several of one item at once add up: the one made first is filled first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads, names
from billing.accounts.tables import BillingAccount
from billing.catalog import meters
from billing.catalog.errors import ReservationEnded, ReservationExists
from billing.catalog.items import RESERVED, UNUSED, Item
from billing.catalog.meters import MeterFacts
from billing.catalog.prices import Price, PriceTable
from billing.catalog.tables import PriceVersion, Reservation, Sku
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

HOUR = timedelta(hours=1)
NEVER_MATCHED = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
LONGEST_BACK = timedelta(days=400)
_HOUR_MS = 3_600_000
_CAPACITY_MAX = 10**9


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be reserved: `capacity` in the meter's priced unit per hour ("8" GPUs), from one full UTC hour to another.

    Raises Invalid: naive_time, not_whole_hours, ends_before_it_begins, not_a_capacity, capacity_not_exact, not_reservable and the
    reasons of names and meters.
    """

    name: str
    meter_code: str
    variant: str
    capacity: str
    starts_at: datetime
    ends_at: datetime | None = None

    def __post_init__(self) -> None:
        names.require_name(self.name)
        if self.variant:
            names.require_code(self.variant, "variant")
        meter = meters.get_meter(self.meter_code)
        if meter.kind != meters.USAGE:
            raise Invalid(field="meter", value=meter.code, reason="not_reservable")
        _require_hour(self.starts_at, "starts_at")
        if self.ends_at is not None:
            _require_hour(self.ends_at, "ends_at")
            if self.ends_at <= self.starts_at:
                raise Invalid(field="ends_at", value=to_rfc3339(self.ends_at), reason="ends_before_it_begins")
        _ = self.rate_base

    @property
    def meter(self) -> MeterFacts:
        """What is counted."""
        return meters.get_meter(self.meter_code)

    @property
    def rate_base(self) -> int:
        """Base units per millisecond. Raises Invalid where the capacity is no plain number or not whole in them."""
        text = self.capacity.strip()
        if not text.isascii() or len(text) > 30 or not text.replace(".", "", 1).isdigit():
            raise Invalid(field="capacity", value=names.shown(text), reason="not_a_capacity")
        units = Fraction(text)
        if not 0 < units <= _CAPACITY_MAX:
            raise Invalid(field="capacity", value=names.shown(text), limit=_CAPACITY_MAX, reason="not_a_capacity")
        rate = units * self.meter.base_per_unit / _HOUR_MS
        if rate.denominator != 1:
            raise Invalid(field="capacity", value=names.shown(text), reason="capacity_not_exact")
        return rate.numerator

    def item(self, mode: str) -> Item:
        """Its item in a mode."""
        return Item(self.meter_code, self.variant, mode)


@dataclass(frozen=True, kw_only=True)
class ReservationRow:
    """One reservation as pages list it; `capacity` in priced units per hour. `state` is coming, running or ended."""

    id: str
    billing_account_id: str
    name: str
    meter_code: str
    variant: str
    unit: str
    capacity: Fraction
    rate_base: int
    starts_at: datetime
    ends_at: datetime | None
    created_at: datetime
    actor: str

    def state(self, now: datetime) -> str:
        """Where it stands at an instant."""
        if now < self.starts_at:
            return "coming"
        return "ended" if self.ends_at is not None and self.ends_at <= now else "running"


def create(
    session: Session, *, now: datetime, account_id: str, wanted: Wanted, actor: str, currency: str | None = None
) -> Reservation:
    """Reserve; usage from its start on is matched when rating or the job next looks. Locks the account's head.

    The same once more, under the same name, gives the same reservation. `currency` is what the caller takes the price to be in.
    Raises NotFound for the account, ReservationExists for other facts under a name in use, and as `check` does.
    """
    heads.lock_one(session, account_id)
    known = _find_named(session, account_id, wanted.name, now)
    if known is not None:
        if _facts(known) != _facts(wanted):
            raise ReservationExists(name=known.name, reservation_id=known.id)
        return known
    check(session, now=now, account_id=account_id, wanted=wanted, currency=currency)
    reservation = Reservation(
        id=new_id("rsv"),
        billing_account_id=account_id,
        name=wanted.name,
        meter_code=wanted.meter_code,
        variant=wanted.variant,
        rate_base=wanted.rate_base,
        starts_at=wanted.starts_at,
        ends_at=wanted.ends_at,
        matched_at=NEVER_MATCHED,
        actor=actor,
        created_at=now,
    )
    session.add(reservation)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="reservation.create",
        subject_type="reservation",
        subject_id=reservation.id,
        billing_account_id=account_id,
        facts={
            "meter": wanted.meter_code,
            "variant": wanted.variant,
            "rate_base": str(wanted.rate_base),
            "starts_at": to_rfc3339(wanted.starts_at),
            "ends_at": to_rfc3339(wanted.ends_at) if wanted.ends_at else None,
        },
    )
    session.flush()  # the matcher of this act must find it
    return reservation


def check(
    session: Session, *, now: datetime, account_id: str, wanted: Wanted, currency: str | None = None
) -> tuple[Price, Price]:
    """(price of reserved hours, price of unused hours) at its start: what a check page shows.

    Raises NotFound for the account; Invalid: other_currency, no_mode_price (also with `other_currency` where only another currency
    has the price), too_far_back.
    """
    account = session.get(BillingAccount, account_id) if names.is_safe(account_id) else None
    if account is None or account.kind == "house":
        raise NotFound(account_id=names.shown(account_id))
    if currency is not None and currency != account.currency:
        raise Invalid(
            field="currency",
            value=names.shown(currency),
            account_currency=account.currency,
            reason="not_the_accounts_currency",
        )
    if wanted.starts_at < now - LONGEST_BACK:
        raise Invalid(
            field="starts_at", value=to_rfc3339(wanted.starts_at), days=LONGEST_BACK.days, reason="too_far_back"
        )
    table = PriceTable.load(session, [account_id])
    found = []
    for mode in (RESERVED, UNUSED):
        price = table.price_at(account_id, wanted.item(mode), wanted.starts_at)
        if price is None:
            elsewhere = _currencies_of(session, wanted.item(mode)) - {account.currency}
            raise Invalid(
                field="meter",
                value=" ".join(part for part in (wanted.meter_code, wanted.variant) if part),
                mode=mode,
                currency=account.currency,
                reason="mode_price_in_other_currency" if elsewhere else "no_mode_price",
            )
        found.append(price)
    return found[0], found[1]


def end(
    session: Session, *, now: datetime, account_id: str, reservation_id: str, ends_at: datetime, actor: str
) -> Reservation:
    """Let a reservation end at a full hour that has not begun yet. Locks the account's head.

    Raises NotFound, ReservationEnded, Invalid: naive_time, not_whole_hours, end_in_the_past.
    """
    heads.lock_one(session, account_id)
    reservation = (
        session.get(Reservation, reservation_id, populate_existing=True) if names.is_safe(reservation_id) else None
    )
    if reservation is None or reservation.billing_account_id != account_id:
        raise NotFound(reservation_id=names.shown(reservation_id))
    _require_hour(ends_at, "ends_at")
    if reservation.ends_at is not None and reservation.ends_at <= now:
        raise ReservationEnded(reservation_id=reservation.id, ends_at=to_rfc3339(reservation.ends_at))
    earliest = max(next_hour(now), reservation.starts_at + HOUR)
    if ends_at < earliest:
        raise Invalid(
            field="ends_at", value=to_rfc3339(ends_at), earliest=to_rfc3339(earliest), reason="end_in_the_past"
        )
    reservation.ends_at = ends_at
    audit.record(
        session,
        now=now,
        actor=actor,
        act="reservation.end",
        subject_type="reservation",
        subject_id=reservation.id,
        billing_account_id=account_id,
        facts={"ends_at": to_rfc3339(ends_at)},
    )
    session.flush()  # the matcher of this act must find it
    return reservation


def next_hour(instant: datetime) -> datetime:
    """The instant itself where it is a full hour, else the next one."""
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + HOUR


def list_reservations(session: Session, account_id: str | None = None) -> list[ReservationRow]:
    """The account's reservations, or everybody's; newest first."""
    query = select(Reservation).order_by(Reservation.created_at.desc(), Reservation.id.desc())
    if account_id is not None:
        query = query.where(Reservation.billing_account_id == account_id)
    return [_row(each) for each in session.scalars(query)]


def get(session: Session, reservation_id: str, *, account_id: str) -> ReservationRow:
    """One reservation of the account. Raises NotFound."""
    found = session.get(Reservation, reservation_id) if names.is_safe(reservation_id) else None
    if found is None or found.billing_account_id != account_id:
        raise NotFound(reservation_id=names.shown(reservation_id))
    return _row(found)


def of_account(session: Session, account_id: str) -> Sequence[Reservation]:
    """The account's reservations in the order in which they are filled. The caller holds the account's lock."""
    query = (
        select(Reservation)
        .where(Reservation.billing_account_id == account_id)
        .order_by(Reservation.created_at, Reservation.id)
    )
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _find_named(session: Session, account_id: str, name: str, now: datetime) -> Reservation | None:
    """The account's reservation of that name that has not ended."""
    query = select(Reservation).where(Reservation.billing_account_id == account_id, Reservation.name == name)
    running = (each for each in session.scalars(query) if each.ends_at is None or each.ends_at > now)
    return next(running, None)


def _facts(of: Reservation | Wanted) -> tuple[str, str, int, datetime, datetime | None]:
    return of.meter_code, of.variant, of.rate_base, of.starts_at, of.ends_at


def _row(found: Reservation) -> ReservationRow:
    meter = meters.get_meter(found.meter_code)
    return ReservationRow(
        id=found.id,
        billing_account_id=found.billing_account_id,
        name=found.name,
        meter_code=found.meter_code,
        variant=found.variant,
        unit=meter.unit,
        capacity=Fraction(found.rate_base * _HOUR_MS, meter.base_per_unit),
        rate_base=found.rate_base,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        created_at=found.created_at,
        actor=found.actor,
    )


def _currencies_of(session: Session, item: Item) -> set[str]:
    sold = select(Sku.code).where(
        Sku.meter_code == item.meter_code, Sku.variant.in_({item.variant, ""}), Sku.mode == item.mode
    )
    return set(session.scalars(select(PriceVersion.currency).where(PriceVersion.sku_code.in_(sold)).distinct()))


def _require_hour(instant: datetime, field: str) -> None:
    utc = require_utc(instant, field)
    if utc != next_hour(utc):
        raise Invalid(field=field, value=to_rfc3339(instant), reason="not_whole_hours")
