"""What each day cost by what it was used for: `rated_days`, kept behind the rated lines and rebuilt from them at any time.

A day is one of the account's own zone, so that days sum to billing periods. A line over several days is shared out by time, by
differences of the floored running total: the shares are integers that sum to the whole, for corrections below zero too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, Text, bindparam, delete, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog.tables import PriceVersion
from billing.kernel import canonical, periods
from billing.kernel.clock import get_zone
from billing.metering.tables import UsageRecord
from billing.rating import plain
from billing.rating.tables import RatedDay, RatedDayMark, RatedLine
from billing.storage import bulk, upsert
from billing.storage.columns import micros

BATCH = 20_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_MICROS = 900_000_000
_DAYS_A_QUERY = 200
_DAYS = cast(Table, RatedDay.__table__)
_COLUMNS = (
    *(
        "billing_account_id",
        "day",
        "key",
        "currency",
        "sku_code",
        "project_id",
        "resource",
        "route",
        "member_id",
        "tags",
    ),
    *("quantity_base", "amount_micro", "line_count"),
)


class Used(NamedTuple):
    """What a line was used for: the columns by which days are told apart. `tags` is canonical JSON."""

    currency: str
    sku_code: str
    project_id: str | None
    resource: str
    route: str | None
    member_id: str | None
    tags: str

    @property
    def key(self) -> str:
        """Its hash, which is the row's key within its day."""
        return canonical.digest("rated-day/1", *self)


@dataclass(slots=True)
class DaySum:
    """What lines add up to in one day."""

    quantity_base: int = 0
    amount_micro: int = 0
    line_count: int = 0


@dataclass(slots=True)
class Taken:
    """Lines summed by day and use: how many they were, and the number of the last one."""

    sums: dict[tuple[date, Used], DaySum] = field(default_factory=dict)
    count: int = 0
    through_seq: int = 0

    def add(self, used: Used, parts: "Iterator[tuple[date, int, int]]") -> None:
        """Take one line in; it is counted in its first day."""
        is_first = 1
        for day, quantity_base, amount_micro in parts:
            found = self.sums.get((day, used))
            if found is None:
                found = self.sums[day, used] = DaySum()
            found.quantity_base += quantity_base
            found.amount_micro += amount_micro
            found.line_count += is_first
            is_first = 0


def accounts_behind(session: Session) -> list[str]:
    """Accounts with rated lines that their days do not hold, or whose days are those of another zone."""
    mark = RatedDayMark
    query = (
        select(AccountHead.billing_account_id)
        .join(BillingAccount, BillingAccount.id == AccountHead.billing_account_id)
        .outerjoin(mark, mark.billing_account_id == AccountHead.billing_account_id)
        .where(
            AccountHead.line_seq > 0,
            or_(AccountHead.line_seq > func.coalesce(mark.line_seq, 0), mark.zone != BillingAccount.zone),
        )
        .order_by(AccountHead.billing_account_id)
    )
    return list(session.scalars(query))


def roll(session: Session, account_id: str, *, limit: int = BATCH) -> int:
    """Bring the account's days forward over its next lines; how many lines that were, 0 when the days hold all.

    Locks the account's mark, not its head: lines are only ever added, in the order of their numbers. Days of another zone than
    the account's present one are dropped and begun anew.
    """
    zone = session.scalars(select(BillingAccount.zone).where(BillingAccount.id == account_id)).one()
    mark = _locked_mark(session, account_id, zone)
    if mark.zone != zone:
        _forget(session, mark, zone)
    taken = take(session, account_id, zone=zone, after_seq=mark.line_seq, limit=limit)
    if taken.count:
        _write(session, account_id, taken)
        mark.line_seq = taken.through_seq
        session.flush()
    return taken.count


def rebuild(session: Session, account_id: str) -> int:
    """Drop the account's days and build them again from its lines, in the caller's transaction. Counts lines."""
    zone = session.scalars(select(BillingAccount.zone).where(BillingAccount.id == account_id)).one()
    _forget(session, _locked_mark(session, account_id, zone), zone)
    total = 0
    while count := roll(session, account_id):
        total += count
    return total


def take(
    session: Session,
    account_id: str,
    *,
    zone: str,
    after_seq: int = 0,
    limit: int = BATCH,
    through_seq: int | None = None,
) -> Taken:
    """The account's lines behind `after_seq`, at most `limit` of them and none behind `through_seq`, summed by day and use."""
    taken, calendar = Taken(through_seq=after_seq), Calendar(zone)
    query = _lines(session, account_id).where(RatedLine.line_seq > after_seq)
    if through_seq is not None:
        query = query.where(RatedLine.line_seq <= through_seq)
    for row in session.connection().execute(query.order_by(RatedLine.line_seq).limit(limit)):
        seq, start, end, quantity, amount, *used = row
        taken.add(Used._make(used), calendar.share(start, end, int(quantity), int(amount)))
        taken.count += 1
        taken.through_seq = seq
    return taken


class Calendar:
    """The days of one zone, each found once: bulk paths ask for the same few again and again."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._tz = get_zone(zone)
        self._known: dict[int, tuple[date, int, int]] = {}

    def day_of(self, at_micros: int) -> tuple[date, int, int]:
        """The day that holds an instant, with the microseconds since 1970 at which it begins and ends."""
        quarter = at_micros // _QUARTER_MICROS
        found = self._known.get(quarter)
        if found is None or not found[1] <= at_micros < found[2]:
            at = _EPOCH + timedelta(microseconds=at_micros)
            day = at.astimezone(self._tz).date()
            start = datetime(day.year, day.month, day.day, tzinfo=self._tz).astimezone(UTC)
            found = self._known[quarter] = (day, micros(start), micros(periods.next_edge(at, "day", self._zone)))
        return found

    def share(self, start: int, end: int, quantity_base: int, amount_micro: int) -> Iterator[tuple[date, int, int]]:
        """A line's quantity and amount by day; [start, end) in microseconds. The parts sum to the whole."""
        day, _, day_end = self.day_of(start)
        if end <= day_end:
            yield day, quantity_base, amount_micro
            return
        whole, before = end - start, 0
        while before < whole:
            through = min(day_end, end) - start
            yield (
                day,
                quantity_base * through // whole - quantity_base * before // whole,
                amount_micro * through // whole - amount_micro * before // whole,
            )
            before = through
            if before < whole:
                day, _, day_end = self.day_of(day_end)


def _lines(session: Session, account_id: str) -> Any:
    """Rows of (line_seq, start and end in microseconds, quantity and amount as text, then the fields of `Used`)."""
    usage = UsageRecord
    return (
        select(
            RatedLine.line_seq,
            plain.micros(session, usage.start_at),
            plain.micros(session, usage.end_at),
            plain.integer_text(session, RatedLine.quantity_base),
            plain.integer_text(session, RatedLine.amount_micro),
            RatedLine.currency,
            PriceVersion.sku_code,
            usage.project_id,
            usage.resource,
            usage.route,
            usage.member_id,
            type_coerce(usage.tags, Text),
        )
        .join(usage, usage.id == RatedLine.usage_record_id)
        .join(PriceVersion, PriceVersion.id == RatedLine.price_version_id)
        .where(RatedLine.billing_account_id == account_id)
    )


def _locked_mark(session: Session, account_id: str, zone: str) -> RatedDayMark:
    made = upsert.insert(session, RatedDayMark).values(billing_account_id=account_id, line_seq=0, zone=zone)
    session.execute(made.on_conflict_do_nothing())
    return session.scalars(
        select(RatedDayMark)
        .where(RatedDayMark.billing_account_id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _forget(session: Session, mark: RatedDayMark, zone: str) -> None:
    session.execute(delete(RatedDay).where(RatedDay.billing_account_id == mark.billing_account_id))
    mark.line_seq, mark.zone = 0, zone
    session.flush()


def _write(session: Session, account_id: str, taken: Taken) -> None:
    """Add the sums to the rows there are, and insert those there are not."""
    keyed = {(day, used.key): (used, found) for (day, used), found in taken.sums.items()}
    known = _known(session, account_id, {day for day, _ in keyed})
    changed = []
    for (day, key), (_, found) in keyed.items():
        if (day, key) in known:
            quantity_base, amount_micro, line_count = known[day, key]
            changed.append(
                {
                    "at_day": day,
                    "at_key": key,
                    "quantity_base": quantity_base + found.quantity_base,
                    "amount_micro": amount_micro + found.amount_micro,
                    "line_count": line_count + found.line_count,
                }
            )
    if changed:
        is_row = (_DAYS.c.billing_account_id == account_id, _DAYS.c.day == bindparam("at_day"))
        session.connection().execute(_DAYS.update().where(*is_row, _DAYS.c.key == bindparam("at_key")), changed)
    bulk.insert_rows(
        session,
        _DAYS,
        _COLUMNS,
        (
            (account_id, day, key, *used, found.quantity_base, found.amount_micro, found.line_count)
            for (day, key), (used, found) in keyed.items()
            if (day, key) not in known
        ),
    )


def _known(session: Session, account_id: str, days: set[date]) -> dict[tuple[date, str], tuple[int, int, int]]:
    """The rows of these days as they stand: {(day, key): (quantity, amount, lines)}."""
    known = {}
    columns = (_DAYS.c.day, _DAYS.c.key, _DAYS.c.quantity_base, _DAYS.c.amount_micro, _DAYS.c.line_count)
    ordered = sorted(days)
    for place in range(0, len(ordered), _DAYS_A_QUERY):
        some = ordered[place : place + _DAYS_A_QUERY]
        rows = session.connection().execute(
            select(*columns).where(_DAYS.c.billing_account_id == account_id, _DAYS.c.day.in_(some))
        )
        known.update({(day, key): (quantity, amount, lines) for day, key, quantity, amount, lines in rows})
    return known
