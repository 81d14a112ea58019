"""What became of reservations, as pages read it: hour by hour, and how well they were used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.catalog.reservations import HOUR
from billing.metering.tables import ReservedHour


@dataclass(frozen=True, kw_only=True)
class Use:
    """Sums of the matched time, in base units: what was used of the item, what of it was reserved, what nobody used."""

    used_base: int
    reserved_base: int
    unused_base: int

    @property
    def utilisation(self) -> Fraction | None:
        """The share of the paid capacity that was used, from 0 to 1; None before the first hour has ended."""
        paid = self.reserved_base + self.unused_base
        return Fraction(self.reserved_base, paid) if paid else None

    @property
    def beyond_base(self) -> int:
        """What was used beyond it, by this reservation's account: on demand, or in another reservation of the item."""
        return self.used_base - self.reserved_base


@dataclass(frozen=True, kw_only=True)
class HourRow(Use):
    """One UTC hour."""

    hour_at: datetime


def of_reservations(session: Session, reservation_ids: Iterable[str]) -> dict[str, Use]:
    """{reservation id: sums over all its matched hours}; one without any is left out."""
    wanted = sorted(set(reservation_ids))
    sums: dict[str, list[int]] = {}
    rows = session.execute(
        select(
            ReservedHour.reservation_id, ReservedHour.used_base, ReservedHour.reserved_base, ReservedHour.unused_base
        )
        .where(ReservedHour.reservation_id.in_(wanted))
        .execution_options(yield_per=5_000)
    )
    for reservation_id, used, reserved, unused in rows:
        total = sums.setdefault(reservation_id, [0, 0, 0])
        total[0] += used
        total[1] += reserved
        total[2] += unused
    return {key: Use(used_base=sum_[0], reserved_base=sum_[1], unused_base=sum_[2]) for key, sum_ in sums.items()}


def list_hours(session: Session, reservation_id: str, *, from_at: datetime, to_at: datetime) -> Sequence[HourRow]:
    """Every matched hour in [from, to), oldest first; the parts of an hour are summed."""
    rows = session.execute(
        select(ReservedHour.hour_at, ReservedHour.used_base, ReservedHour.reserved_base, ReservedHour.unused_base)
        .where(
            ReservedHour.reservation_id == reservation_id, ReservedHour.hour_at >= from_at, ReservedHour.hour_at < to_at
        )
        .order_by(ReservedHour.hour_at)
    )
    hours: dict[datetime, list[int]] = {}
    for at, used, reserved, unused in rows:
        total = hours.setdefault(at.astimezone(UTC).replace(minute=0, second=0, microsecond=0), [0, 0, 0])
        total[0] += used
        total[1] += reserved
        total[2] += unused
    return [
        HourRow(hour_at=at, used_base=sum_[0], reserved_base=sum_[1], unused_base=sum_[2]) for at, sum_ in hours.items()
    ]


def last_hour(session: Session, reservation_id: str) -> datetime | None:
    """The end of the last hour that was matched."""
    last = session.scalar(select(func.max(ReservedHour.hour_at)).where(ReservedHour.reservation_id == reservation_id))
    return None if last is None else last.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
