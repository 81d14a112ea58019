"""What usage cost by bucket, SKU and one more dimension, summed in the database: from the days, and from the lines they do not hold yet.

Hours, and buckets of another zone than the account's, come from the lines alone. A window over several buckets is split by time
with integer shares that sum to the whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, and_, case, cast, func, literal, null, or_, select, type_coerce
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.catalog.tables import PriceVersion
from billing.kernel.clock import get_zone
from billing.kernel.periods import Grain
from billing.metering.tables import UsageRecord
from billing.metering.windows import Buckets
from billing.rating import dimensions, plain
from billing.rating.dimensions import OF_DAYS, OF_LINES, SpendFilter
from billing.rating.sums import ExactSum
from billing.rating.tables import RatedDay, RatedDayMark, RatedLine
from billing.storage.columns import micros

_LONGEST_WINDOW = timedelta(days=62)  # windows end with their period; a change of zone makes one longer than a month
_HOUR_MICROS = 3_600_000_000


class Cell(NamedTuple):
    """One sum. `bucket` is its number in the calendar; `value` is that of the dimension, None for none and for service and item."""

    bucket: int
    currency: str
    sku_code: str
    value: str | None
    quantity_base: int
    amount_micro: int
    line_count: int


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whose usage is looked at, in which buckets of which zone, by what, and what of it."""

    account_id: str
    start_at: datetime
    end_at: datetime
    by: Grain
    zone: str
    group: str
    wanted: SpendFilter
    calendar: Buckets


def read(session: Session, asked: Question) -> Iterator[Cell]:
    """The sums that answer the question; the same cell may come more than once."""
    through_seq, has_tail = _through(session, asked)
    if through_seq:
        yield from _of_days(session, asked)
    if has_tail:
        yield from _of_lines(session, asked, after_seq=through_seq)


def values_used(session: Session, account_id: str, start_at: datetime, end_at: datetime, *, limit: int) -> list[Any]:
    """Rows of (SKU, project, resource, route, submitter, tags as JSON) that were used in a range, each once."""
    through_seq, zone = _mark(session, account_id)
    columns = OF_DAYS
    days = (
        select(
            *(columns.sku_code, columns.project_id, columns.resource, columns.route, columns.member_id),
            type_coerce(columns.tags, Text),
        )
        .where(RatedDay.billing_account_id == account_id, *_days_of(start_at, end_at, zone))
        .distinct()
        .limit(limit)
    )
    found = list(session.connection().execute(days)) if through_seq else []
    columns = OF_LINES
    lines = (
        _joined(
            select(
                *(columns.sku_code, columns.project_id, columns.resource, columns.route, columns.member_id),
                type_coerce(columns.tags, Text),
            )
        )
        .where(
            *_lines_of(account_id, start_at, end_at),
            RatedLine.billing_account_id == account_id,
            RatedLine.line_seq > through_seq,
        )
        .distinct()
        .limit(limit)
    )
    head_seq = session.scalar(select(AccountHead.line_seq).where(AccountHead.billing_account_id == account_id)) or 0
    return found + (list(session.connection().execute(lines)) if head_seq > through_seq else [])


def _through(session: Session, asked: Question) -> tuple[int, bool]:
    """Up to which line the days answer the question (0: not at all), and whether there are lines behind it."""
    through_seq, zone = _mark(session, asked.account_id)
    is_whole_days = _midnight(asked.start_at, zone) and _midnight(asked.end_at, zone)
    if asked.by not in ("day", "month") or zone != asked.zone or not is_whole_days:
        through_seq = 0
    head_seq = session.scalar(select(AccountHead.line_seq).where(AccountHead.billing_account_id == asked.account_id))
    return through_seq, (head_seq or 0) > through_seq


def _mark(session: Session, account_id: str) -> tuple[int, str]:
    query = select(RatedDayMark.line_seq, RatedDayMark.zone).where(RatedDayMark.billing_account_id == account_id)
    found = session.execute(query).one_or_none()
    return (found[0], found[1]) if found is not None else (0, "UTC")


def _midnight(at: datetime, zone: str) -> bool:
    local = at.astimezone(get_zone(zone))
    day_before = (at - timedelta(microseconds=1)).astimezone(get_zone(zone)).date()
    return day_before != local.date()  # a day may begin at one o'clock, where clocks jump over midnight


def _days_of(start_at: datetime, end_at: datetime, zone: str) -> tuple[Any, Any]:
    first_on, last_on = _dates(start_at, end_at, zone)
    return RatedDay.day >= first_on, RatedDay.day <= last_on


def _dates(start_at: datetime, end_at: datetime, zone: str) -> tuple[date, date]:
    tz = get_zone(zone)
    return start_at.astimezone(tz).date(), (end_at - timedelta(microseconds=1)).astimezone(tz).date()


def _of_days(session: Session, asked: Question) -> Iterator[Cell]:
    is_text = session.connection().dialect.name == "sqlite"
    day = type_coerce(RatedDay.day, Text) if is_text else cast(RatedDay.day, Text)
    label = day if asked.by == "day" else func.substr(day, 1, 7)
    value = dimensions.grouped_by(session, asked.group, OF_DAYS)
    quantity, amount = ExactSum(session, RatedDay.quantity_base), ExactSum(session, RatedDay.amount_micro)
    keys = [label, RatedDay.currency, RatedDay.sku_code, *([value] if value is not None else [])]
    query = (
        select(*keys, func.sum(RatedDay.line_count), func.count(), *quantity.columns, *amount.columns)
        .where(RatedDay.billing_account_id == asked.account_id, *_days_of(asked.start_at, asked.end_at, asked.zone))
        .group_by(*keys, *quantity.group_by, *amount.group_by)
    )
    query = dimensions.narrowed(session, query, asked.wanted, OF_DAYS, asked.account_id)
    bucket_of = {label: bucket for bucket, label in enumerate(asked.calendar.labels)}
    width = quantity.width
    for row in session.connection().execute(query).all():
        at, currency, sku_code, *rest = row
        found = rest.pop(0) if value is not None else None
        lines, rows, *numbers = rest
        yield Cell(
            *(bucket_of[at], currency, sku_code, found),
            quantity.read(numbers[:width], rows),
            amount.read(numbers[width:], rows),
            int(lines),
        )


def _of_lines(session: Session, asked: Question, *, after_seq: int) -> Iterator[Cell]:
    """Lines inside one bucket are summed; those over a border of two are summed with others of the very same window, then split."""
    start, end = plain.micros(session, UsageRecord.start_at), plain.micros(session, UsageRecord.end_at)
    borders = [micros(border) for border in asked.calendar.borders]
    value = dimensions.grouped_by(session, asked.group, OF_LINES)
    inner = _joined(
        select(
            start.label("start"),
            end.label("end"),
            _bucket(session, start, borders, asked.by).label("first"),
            _bucket(session, case((end > start, end - 1), else_=start), borders, asked.by).label("last"),
            RatedLine.currency,
            PriceVersion.sku_code,
            *([value.label("value")] if value is not None else []),
            RatedLine.quantity_base.label("quantity_base"),
            RatedLine.amount_micro.label("amount_micro"),
        )
    ).where(
        *_lines_of(asked.account_id, asked.start_at, asked.end_at),
        RatedLine.billing_account_id == asked.account_id,
        RatedLine.line_seq > after_seq,
    )
    line = dimensions.narrowed(session, inner, asked.wanted, OF_LINES, asked.account_id).subquery().c
    ends_inside = or_(line.end <= micros(asked.end_at), line.end == line.start)
    is_inside = and_(line.first == line.last, line.start >= micros(asked.start_at), ends_inside)
    quantity, amount = ExactSum(session, line.quantity_base), ExactSum(session, line.amount_micro)
    keys = [
        case((is_inside, line.first), else_=literal(-1)),
        case((is_inside, null()), else_=line.start),
        case((is_inside, null()), else_=line.end),
        line.currency,
        line.sku_code,
        *([line.value] if value is not None else []),
    ]
    names = [key.label(f"key_{place}") for place, key in enumerate(keys)]
    query = select(*names, func.count(), *quantity.columns, *amount.columns).group_by(
        *names, *quantity.group_by, *amount.group_by
    )
    width = quantity.width
    for row in session.connection().execute(query).all():
        at, window_start, window_end, currency, sku_code, *rest = row
        held = rest.pop(0) if value is not None else None
        rows, *numbers = rest
        sums = quantity.read(numbers[:width], rows), amount.read(numbers[width:], rows)
        if at >= 0:
            yield Cell(at, currency, sku_code, held, *sums, rows)
            continue
        for place, part in enumerate(_split(asked, borders, window_start, window_end, *sums)):
            yield Cell(part[0], currency, sku_code, held, part[1], part[2], 0 if place else rows)


def _joined(query: Any) -> Any:
    return (
        query.select_from(RatedLine)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .join(PriceVersion, PriceVersion.id == RatedLine.price_version_id)
    )


def _lines_of(account_id: str, start_at: datetime, end_at: datetime) -> tuple[Any, ...]:
    usage = UsageRecord
    return (
        usage.billing_account_id == account_id,
        usage.start_at >= start_at - _LONGEST_WINDOW,
        usage.start_at < end_at,
        or_(usage.end_at > start_at, and_(usage.end_at == usage.start_at, usage.start_at >= start_at)),
    )


def _bucket(session: Session, at: Any, borders: list[int], by: Grain) -> Any:
    """The number of the bucket that holds an instant (in microseconds); below zero before the first border."""
    if by == "hour":
        return at.op("/")(_HOUR_MICROS) - borders[0] // _HOUR_MICROS
    if session.connection().dialect.name == "sqlite":
        return case(*((at < border, place - 1) for place, border in enumerate(borders)), else_=len(borders) - 1)
    from sqlalchemy.dialects.postgresql import ARRAY  # the dialect is loaded when it is first spoken

    return func.width_bucket(at, cast(borders, ARRAY(BigInteger))) - 1


def _split(
    asked: Question, borders: list[int], start: int, end: int, quantity_base: int, amount_micro: int
) -> Iterable[tuple[int, int, int]]:
    """(bucket, quantity, amount) of a window as far as it lies in the range: differences of the floored running total."""
    whole = end - start
    low, high = micros(asked.start_at), micros(asked.end_at)
    for bucket in range(len(borders) - 1):
        before, through = max(borders[bucket], start, low), min(borders[bucket + 1], end, high)
        if through > before:
            yield (
                bucket,
                quantity_base * (through - start) // whole - quantity_base * (before - start) // whole,
                amount_micro * (through - start) // whole - amount_micro * (before - start) // whole,
            )
