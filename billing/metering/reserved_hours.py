"""Matching usage with reservations before it is rated, hour by hour (Law 1): what fits moves from on demand to reserved.

Hours are UTC hours, cut at borders of the account's months and of its prices, so that what is moved falls on the counter it was
told for. What was not used is booked once an hour has passed. All of it is usage records with the source `reservation/<id>`:
negative on demand, positive reserved, unused. Later usage of the hour books a difference only, so an hour's sums do not depend on
the order in which its usage arrives. `reserved_hours` remembers how far each hour is; it can be made again from the records.

A record stands whole on the price of its start. Where a change of price became known after it was told, what lies behind the change
leaves on demand before it, in the last hour or part of one at the record's own price: it leaves at the price it came at.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog import reservations
from billing.catalog.items import ON_DEMAND, RESERVED, UNUSED, Item
from billing.catalog.prices import PriceTable
from billing.catalog.reservations import HOUR
from billing.catalog.tables import Reservation
from billing.kernel import canonical, clock
from billing.kernel.clock import to_rfc3339
from billing.metering import records, windows
from billing.metering.reserved_matching import (
    NOBODY,
    Booked,
    Shares,
    behind,
    book,
    change_of,
    moved,
    owners_of,
    taker_of,
)
from billing.metering.tables import ReservedHour, UsageRecord
from billing.metering.windows import Window

SOURCE = "reservation/"
_LONGEST = timedelta(days=32)  # no record is longer: windows are cut at months
_FINEST = timedelta(milliseconds=1)
_BATCH = 5_000
_MODES = (ON_DEMAND, RESERVED, UNUSED)


def accounts_to_match(session: Session, *, now: datetime) -> list[str]:
    """Billing accounts with reservations that have hours which ended and were not looked at since."""
    ended_at = _floor(now)
    query = select(Reservation.billing_account_id).where(
        Reservation.starts_at < ended_at,
        Reservation.matched_at < ended_at,
        or_(Reservation.ends_at.is_(None), Reservation.matched_at < Reservation.ends_at),
    )
    return sorted(session.scalars(query.distinct()))


def match(session: Session, head: AccountHead, *, now: datetime) -> int:
    """Match what the account has used since the last look, and its hours that ended since; how many usage records that booked.

    The head is locked by the caller. A repeat books nothing.
    """
    held = reservations.of_account(session, head.billing_account_id)
    if not held:
        return 0
    matcher = _Matcher(session, head, held, now)
    matcher.take_usage()
    matcher.take_ended()
    count = matcher.book()
    head.matched_usage_seq = head.usage_seq
    session.flush()
    return count


def match_account(session: Session, *, now: datetime, account_id: str) -> int:
    """The same for the job: locks the head."""
    return match(session, heads.lock_one(session, account_id), now=now)


def is_from_reservation(source: str) -> bool:
    """Whether a usage record was booked by the matcher: then it is no usage of its own."""
    return source.startswith(SOURCE)


class _Matcher:
    """One look at one account, under its lock."""

    def __init__(self, session: Session, head: AccountHead, held: Sequence[Reservation], now: datetime) -> None:
        self._session = session
        self._head = head
        self._now = now
        self._held: dict[tuple[str, str], list[Reservation]] = {}
        for each in held:
            self._held.setdefault((each.meter_code, each.variant), []).append(each)
        self._zone = session.scalars(
            select(BillingAccount.zone).where(BillingAccount.id == head.billing_account_id)
        ).one()
        self._prices = PriceTable.load(session, [head.billing_account_id])
        self._months = windows.MonthEdges(self._zone)
        self._whole: dict[tuple[tuple[str, str], datetime], Shares] = {}
        self._fresh: dict[tuple[tuple[str, str], datetime], Shares] = {}
        self._new = [each for each in held if each.matched_at < each.starts_at]

    def take_usage(self) -> None:
        """Add usage after the mark to its cells; for a reservation never looked at, all usage of its time."""
        seen = self._head.matched_usage_seq
        for kind, held in self._held.items():
            known = [each for each in held if each not in self._new]
            if known:
                query = self._usage(kind).where(UsageRecord.usage_seq > seen)
                for taker, start_at, end_at, quantity_base in self._stream(query):
                    for cell_at, own, base in self._spread(kind, known, taker, start_at, end_at, quantity_base):
                        shares = self._fresh.setdefault((kind, cell_at), defaultdict(int))
                        shares[own] += base
        for each in self._new:
            self._take_all(each)

    def take_ended(self) -> None:
        """Name the cells of hours that have ended since the last look."""
        for kind, held in self._held.items():
            for each in held:
                first = max(each.matched_at, each.starts_at)
                last = min(_floor(self._now), each.ends_at or _floor(self._now))
                for window in self._cut(kind, first, last):
                    self._fresh.setdefault((kind, window[0]), {})
                each.matched_at = max(last, each.starts_at) if each in self._new else max(last, each.matched_at)

    def book(self) -> int:
        """Book every cell that was named; how many usage records."""
        if not self._fresh:
            return 0
        self._name_whole_hours()
        rows = self._rows()
        self._read_cut_hours(rows)
        pieces: list[records.Piece] = []
        for kind, held in self._held.items():
            for cell_at in sorted(at for of, at in self._fresh if of == kind):
                pieces += self._book_cell(kind, held, cell_at, rows)
        records.insert(self._session, records.rows(self._head, pieces, now=self._now))
        return len(pieces)

    def _name_whole_hours(self) -> None:
        """Name all cells of an hour of which one is named: a border in it may be newer than what was matched there."""
        for kind in self._held:
            for hour_at in {_floor(at) for of, at in self._fresh if of == kind}:
                cells = self._cut(kind, hour_at, hour_at + HOUR)
                for cell_at, _ in cells if len(cells) > 1 else ():
                    self._fresh.setdefault((kind, cell_at), {})

    def _read_cut_hours(self, rows: dict[tuple[str, datetime], ReservedHour]) -> None:
        """Read the usage of hours anew in which a cell was never matched beside one that was: the hour was cut since."""
        for kind, held in self._held.items():
            hours: dict[datetime, list[datetime]] = {}
            for of, cell_at in self._fresh:
                if of == kind:
                    hours.setdefault(_floor(cell_at), []).append(cell_at)
            for hour_at, cells in hours.items():
                known = [any((each.id, cell_at) in rows for each in held) for cell_at in cells]
                if all(known) or not any(known):
                    continue
                query = self._usage(kind).where(
                    UsageRecord.start_at >= hour_at - _LONGEST,
                    UsageRecord.start_at < hour_at + HOUR,
                    or_(UsageRecord.end_at > hour_at, UsageRecord.start_at >= hour_at),
                )
                whole: dict[datetime, Shares] = {cell_at: defaultdict(int) for cell_at in cells}
                for taker, start_at, end_at, quantity_base in self._stream(query):
                    for cell_at, own, base in self._spread(kind, held, taker, start_at, end_at, quantity_base):
                        if cell_at in whole:
                            whole[cell_at][own] += base
                self._whole |= {(kind, cell_at): shares for cell_at, shares in whole.items()}

    def _book_cell(
        self,
        kind: tuple[str, str],
        held: Sequence[Reservation],
        cell_at: datetime,
        rows: dict[tuple[str, datetime], ReservedHour],
    ) -> list[records.Piece]:
        active = [each for each in held if _is_active(each, cell_at)]
        window = self._window(kind, cell_at)
        used = self._used(kind, cell_at, active, rows)
        length_ms = clock.millis_between(*window)
        after = book(used, [each.rate_base * length_ms for each in active], is_over=window[1] <= self._now)
        pieces = []
        for each, target in zip(active, after, strict=True):
            row = rows.get((each.id, cell_at))
            if row is None:
                row = self._open(each, cell_at)
                rows[each.id, cell_at] = row
            shares, unused_base = moved(_booked(row), target)
            row.used_base = sum(used.values())
            row.shares = {"used": _text(used), "reserved": _text(target.reserved)}
            if not shares and not unused_base:
                continue
            row.reserved_base, row.unused_base = target.reserved_base, target.unused_base
            row.revision += 1
            for taker, base in shares.items():
                change = change_of(taker)
                left_in = window if change is None else self._left_in(kind, clock.parse_instant(change))
                pieces.append(_piece(each, window, row.revision, ON_DEMAND, taker, -base, told_in=left_in))
                pieces.append(_piece(each, window, row.revision, RESERVED, taker, base))
            if unused_base:
                pieces.append(_piece(each, window, row.revision, UNUSED, NOBODY, unused_base))
        return pieces

    def _used(
        self,
        kind: tuple[str, str],
        cell_at: datetime,
        active: Sequence[Reservation],
        rows: dict[tuple[str, datetime], ReservedHour],
    ) -> Shares:
        """All that was used in the cell: what is remembered, and what is fresh; read from the records where it was never read."""
        whole = self._whole.get((kind, cell_at))
        if whole is not None:
            return {taker: base for taker, base in whole.items() if base}
        remembered = next((rows[each.id, cell_at] for each in active if (each.id, cell_at) in rows), None)
        used: Shares = defaultdict(int)
        if remembered is not None:
            for taker, base in remembered.shares.get("used", {}).items():
                used[taker] += int(base)
        for taker, base in self._fresh[kind, cell_at].items():
            used[taker] += base
        return {taker: base for taker, base in used.items() if base}

    def _take_all(self, each: Reservation) -> None:
        """Read all usage of a reservation's time so far, at its first look; its cells are then known whole."""
        kind = (each.meter_code, each.variant)
        query = self._usage(kind).where(
            UsageRecord.start_at >= each.starts_at - _LONGEST,
            or_(UsageRecord.end_at > each.starts_at, UsageRecord.start_at >= each.starts_at),
        )
        if each.ends_at is not None:
            query = query.where(UsageRecord.start_at < each.ends_at)
        cells: dict[datetime, Shares] = {}
        for taker, start_at, end_at, quantity_base in self._stream(query):
            for cell_at, own, base in self._spread(kind, [each], taker, start_at, end_at, quantity_base):
                cells.setdefault(cell_at, defaultdict(int))[own] += base
        for cell_at, shares in cells.items():
            self._whole[kind, cell_at] = shares
            self._fresh.setdefault((kind, cell_at), {})

    def _spread(
        self,
        kind: tuple[str, str],
        held: Sequence[Reservation],
        taker: str,
        start_at: datetime,
        end_at: datetime,
        quantity_base: int,
    ) -> Iterable[tuple[datetime, str, int]]:
        """The cells of these reservations that a record touches, who takes there, and how much of the record falls into each."""
        last = max(end_at, start_at + _FINEST)
        change_at = self._first_change(kind, start_at, last)
        first = min(each.starts_at for each in held)
        whole = (start_at, end_at)
        for window in self._cut(kind, max(_floor(start_at), first), _ceiling(last)):
            if window[1] <= start_at or window[0] >= last or not any(_is_active(each, window[0]) for each in held):
                continue
            own = taker if change_at is None or window[0] < change_at else behind(taker, to_rfc3339(change_at))
            if start_at == end_at:
                yield window[0], own, quantity_base
            else:
                inside = max(window[0], start_at), min(window[1], end_at)
                # A correction gives back in each cell exactly what its record had brought there.
                base = windows.share(abs(quantity_base), whole, inside)
                yield window[0], own, base if quantity_base > 0 else -base

    def _first_change(self, kind: tuple[str, str], start_at: datetime, end_at: datetime) -> datetime | None:
        """The first change of the price on demand inside a record."""
        item = Item(*kind, ON_DEMAND)
        return next(iter(self._prices.edges(self._head.billing_account_id, item, start_at, end_at)), None)

    def _left_in(self, kind: tuple[str, str], change_at: datetime) -> Window:
        """The end of the time before a change of the price on demand: at most an hour, at one price and in one month."""
        hour_at = _floor(change_at - _FINEST)
        return self._cut(kind, hour_at, change_at)[-1]

    def _cut(self, kind: tuple[str, str], first: datetime, last: datetime) -> list[Window]:
        """[first, last) in cells: at full hours, the account's months, and changes of any of the item's prices."""
        if first >= last:
            return []
        edges = [*windows.hour_edges(first, last), *self._months.inside(first, last)]
        for mode in _MODES:
            edges += self._prices.edges(self._head.billing_account_id, Item(*kind, mode), first, last)
        return windows.cut(first, last, edges)

    def _window(self, kind: tuple[str, str], cell_at: datetime) -> Window:
        hour_at = _floor(cell_at)
        return next(
            (window for window in self._cut(kind, hour_at, hour_at + HOUR) if window[0] == cell_at),
            (cell_at, cell_at),  # a border that is there no more: nothing is left in it
        )

    def _rows(self) -> dict[tuple[str, datetime], ReservedHour]:
        """What is remembered of the cells that were named."""
        found: dict[tuple[str, datetime], ReservedHour] = {}
        for kind, held in self._held.items():
            instants = sorted(at for of, at in self._fresh if of == kind)
            for place in range(0, len(instants), 500):
                query = select(ReservedHour).where(
                    ReservedHour.reservation_id.in_([each.id for each in held]),
                    ReservedHour.hour_at.in_(instants[place : place + 500]),
                )
                found |= {(row.reservation_id, row.hour_at): row for row in self._session.scalars(query)}
        return found

    def _open(self, each: Reservation, cell_at: datetime) -> ReservedHour:
        row = ReservedHour(
            reservation_id=each.id,
            hour_at=cell_at,
            billing_account_id=each.billing_account_id,
            used_base=0,
            reserved_base=0,
            unused_base=0,
            shares={},
            revision=0,
        )
        self._session.add(row)
        return row

    def _usage(self, kind: tuple[str, str]) -> Any:
        """(project, allocation, start, end, quantity) of the item's usage on demand as it was told; the matcher's own records left out."""
        meter_code, variant = kind
        return select(
            UsageRecord.project_id,
            UsageRecord.allocation_id,
            UsageRecord.start_at,
            UsageRecord.end_at,
            UsageRecord.quantity_base,
        ).where(
            UsageRecord.billing_account_id == self._head.billing_account_id,
            UsageRecord.meter_code == meter_code,
            UsageRecord.variant == variant,
            UsageRecord.mode == ON_DEMAND,
            UsageRecord.quantity_base != 0,
            ~UsageRecord.source.startswith(SOURCE, autoescape=True),
        )

    def _stream(self, query: Any) -> Iterable[tuple[str, datetime, datetime, int]]:
        with self._session.connection().execute(query.execution_options(yield_per=_BATCH)) as found:
            for project_id, allocation_id, start_at, end_at, quantity_base in found:
                yield taker_of(project_id, allocation_id), start_at, end_at, quantity_base


def _booked(row: ReservedHour) -> Booked:
    reserved = {taker: int(base) for taker, base in row.shares.get("reserved", {}).items()}
    return Booked(reserved=reserved, unused_base=row.unused_base)


def _piece(
    each: Reservation,
    window: Window,
    revision: int,
    mode: str,
    taker: str,
    quantity_base: int,
    *,
    told_in: Window | None = None,
) -> records.Piece:
    """One record of a difference: what leaves on demand comes to reserved, taker by taker; unused belongs to none."""
    source_id = f"{to_rfc3339(window[0])}/{revision}/{mode}" + (f"/{taker}" if taker != NOBODY else "")
    project_id, allocation_id = owners_of(taker)
    origin = records.Origin(
        source=f"{SOURCE}{each.id}",
        source_id=source_id,
        allocation_id=allocation_id or None,  # so that it leaves at the price it came at, also where that is locked
        project_id=project_id or None,
        member_id=None,
        resource=each.name,
        tags_json="{}",
        correlation_id=None,
        content_hash=canonical.digest("reserved-hour/1", each.id, source_id, str(quantity_base)),
        import_id=None,
    )
    return records.Piece(origin, Item(each.meter_code, each.variant, mode), told_in or window, quantity_base)


def _is_active(each: Reservation, instant: datetime) -> bool:
    return each.starts_at <= instant and (each.ends_at is None or instant < each.ends_at)


def _text(shares: Shares) -> dict[str, str]:
    return {taker: str(base) for taker, base in sorted(shares.items()) if base}


def _floor(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _ceiling(instant: datetime) -> datetime:
    floor = _floor(instant)
    return floor if floor == instant else floor + HOUR
