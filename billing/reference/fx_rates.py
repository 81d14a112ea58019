"""Exchange rates as published, kept for ever: imported day by day, looked up for a day, never interpolated (FX1).

The rate of a day without publication (weekend, TARGET holiday) is that of the last published day before it, as long as that is at
most a week old. The ECB goes first; what it does not publish may come from another source that an operator imports.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.kernel import canonical, money
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_ids
from billing.reference import ecb
from billing.reference.errors import MissingRate, StaleRate
from billing.reference.exchange import BASE, Leg, Rate
from billing.reference.tables import FxRate, FxSnapshot
from billing.storage import audit, bulk

ECB = "ECB"
STALE_AFTER_DAYS = 7
_SNAPSHOT = "fx-snapshot/1"
_ABSENT = "N/A"
_SOURCE = re.compile(r"[A-Z][A-Z0-9-]{1,19}")
_SNAPSHOTS = cast(Table, FxSnapshot.__table__)
_RATES = cast(Table, FxRate.__table__)
_SNAPSHOT_COLUMNS = (
    *("id", "source", "published_on", "base_currency", "rate_count", "content_hash"),
    *("imported_at", "imported_by"),
)
_RATE_COLUMNS = ("source", "published_on", "currency", "rate_text", "snapshot_id")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did: days that are new, days that were held with the same rates, rows that were refused."""

    source: str
    added: int
    unchanged: int
    bad: tuple[ecb.BadRow, ...]
    first_on: date | None
    last_on: date | None


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """A snapshot as lists show it."""

    id: str
    source: str
    published_on: date
    rate_count: int
    content_hash: str
    imported_at: datetime
    imported_by: str


@dataclass(frozen=True, kw_only=True)
class NewestRate:
    """The newest rate of one currency from one source, units for one euro; `age_days` counts to the day asked for."""

    currency: str
    source: str
    rate_text: str
    published_on: date
    snapshot_id: str
    age_days: int

    @property
    def is_stale(self) -> bool:
        """Whether it is too old to be used on that day."""
        return self.age_days > STALE_AFTER_DAYS


def import_table(session: Session, table: ecb.Table, *, now: datetime, actor: str, source: str = ECB) -> Imported:
    """Keep a file's days as snapshots. A day held with the same rates is left alone, one with other rates is refused and named.

    Flushes. Raises Invalid(field="source") for what is no code such as ECB.
    """
    if not _SOURCE.fullmatch(source):
        raise Invalid(field="source", value=source[:40], reason="not_a_source")
    held = {
        row.published_on: (row.id, row.content_hash)
        for row in session.execute(select(FxSnapshot).where(FxSnapshot.source == source)).scalars()
    }
    fresh: list[tuple[ecb.Day, str]] = []
    bad, unchanged = list(table.bad), 0
    for day in table.days:
        digest = content_hash(source, day.published_on, day.rates)
        before = held.get(day.published_on)
        if before is None:
            fresh.append((day, digest))
        elif before[1] == digest:
            unchanged += 1
        else:
            detail = _first_difference(_rates_of(session, before[0]), day.rates)
            bad.append(ecb.BadRow(line=day.line, day=day.published_on.isoformat(), reason="differs", detail=detail))
    _insert(session, fresh, source=source, now=now, actor=actor)
    days = [day.published_on for day, _ in fresh]
    done = Imported(
        source=source,
        added=len(fresh),
        unchanged=unchanged,
        bad=tuple(sorted(bad, key=lambda row: row.line)),
        first_on=min(days, default=None),
        last_on=max(days, default=None),
    )
    if done.added:
        facts = {"days": done.added, "first_on": str(done.first_on), "last_on": str(done.last_on)}
        audit.record(
            session, now=now, actor=actor, act="fx.imported", subject_type="fx_source", subject_id=source, facts=facts
        )
    return done


def content_hash(source: str, published_on: date, rates: Mapping[str, str]) -> str:
    """SHA-256 over what a snapshot says, its rates as values: 136 and 136.0 are the same."""
    said = {currency: _normal(text) for currency, text in rates.items()}
    facts = {"source": source, "published_on": published_on.isoformat(), "base": BASE, "rates": said}
    return canonical.digest(_SNAPSHOT, facts)


def get_rate(session: Session, *, from_currency: str, to_currency: str, on: date) -> Rate:
    """The rate of a pair for a day. Raises MissingRate, StaleRate, Invalid for an unknown currency."""
    money.exponent(from_currency), money.exponent(to_currency)
    wanted = [one for one in (from_currency, to_currency) if one != BASE] if from_currency != to_currency else []
    legs = tuple(_leg(session, currency, on, to_currency) for currency in wanted)
    return Rate(from_currency=from_currency, to_currency=to_currency, on=on, legs=legs)


def find_rate(session: Session, *, from_currency: str, to_currency: str, on: date) -> Rate | None:
    """The rate of a pair for a day, None where it is missing or stale."""
    try:
        return get_rate(session, from_currency=from_currency, to_currency=to_currency, on=on)
    except (MissingRate, StaleRate):
        return None


def list_newest(session: Session, *, on: date) -> list[NewestRate]:
    """The newest rate of each currency and source up to a day, by currency; long gone ones are there and stale."""
    newest = (
        select(FxRate.currency, FxRate.source, func.max(FxRate.published_on).label("published_on"))
        .where(FxRate.published_on <= on)
        .group_by(FxRate.currency, FxRate.source)
        .subquery()
    )
    rows = session.execute(
        select(FxRate)
        .join(
            newest,
            (newest.c.currency == FxRate.currency)
            & (newest.c.source == FxRate.source)
            & (newest.c.published_on == FxRate.published_on),
        )
        .order_by(FxRate.currency, FxRate.source)
    ).scalars()
    return [
        NewestRate(
            currency=row.currency,
            source=row.source,
            rate_text=row.rate_text,
            published_on=row.published_on,
            snapshot_id=row.snapshot_id,
            age_days=(on - row.published_on).days,
        )
        for row in rows
    ]


def list_snapshots(
    session: Session, *, source: str | None = None, limit: int = 25, offset: int = 0
) -> tuple[list[SnapshotRow], int]:
    """A page of snapshots, newest first, and how many there are."""
    statement = select(FxSnapshot)
    if source is not None:
        statement = statement.where(FxSnapshot.source == source)
    whole = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    rows = session.scalars(
        statement.order_by(FxSnapshot.published_on.desc(), FxSnapshot.source).limit(limit).offset(offset)
    )
    return [_row(row) for row in rows], whole


def list_sources(session: Session) -> list[str]:
    """The sources that rates are held from."""
    return list(session.scalars(select(FxSnapshot.source).distinct().order_by(FxSnapshot.source)))


def get_snapshot(session: Session, snapshot_id: str) -> tuple[SnapshotRow, list[tuple[str, str]]]:
    """A snapshot and its rates as (currency, text), by currency. Raises NotFound."""
    row = session.get(FxSnapshot, snapshot_id)
    if row is None:
        raise NotFound(snapshot=snapshot_id[:60])
    return _row(row), sorted(_rates_of(session, snapshot_id).items())


def history(session: Session, currency: str, *, since: date, until: date, source: str = ECB) -> list[tuple[date, str]]:
    """(day, rate text) of one currency in a range of days, oldest first."""
    rows = session.execute(
        select(FxRate.published_on, FxRate.rate_text)
        .where(FxRate.source == source, FxRate.currency == currency)
        .where(FxRate.published_on >= since, FxRate.published_on <= until)
        .order_by(FxRate.published_on)
    ).all()
    return [(row.published_on, row.rate_text) for row in rows]


def _leg(session: Session, currency: str, on: date, to_currency: str) -> Leg:
    """The newest fresh rate of a currency, the ECB's before any other's."""
    rows: Sequence[FxRate] = session.scalars(
        select(FxRate)
        .where(FxRate.currency == currency, FxRate.published_on <= on)
        .where(FxRate.published_on >= on - timedelta(days=STALE_AFTER_DAYS))
    ).all()
    if not rows:
        last = session.scalar(
            select(func.max(FxRate.published_on)).where(FxRate.currency == currency, FxRate.published_on <= on)
        )
        if last is None:
            raise MissingRate(currency=currency, to_currency=to_currency, on=on.isoformat())
        raise StaleRate(
            currency=currency,
            to_currency=to_currency,
            on=on.isoformat(),
            published_on=last.isoformat(),
            limit_days=STALE_AFTER_DAYS,
        )
    best = min(rows, key=lambda row: (row.source != ECB, row.source, -row.published_on.toordinal()))
    return Leg(
        currency=currency,
        rate_text=best.rate_text,
        snapshot_id=best.snapshot_id,
        source=best.source,
        published_on=best.published_on,
    )


def _insert(session: Session, fresh: Sequence[tuple[ecb.Day, str]], *, source: str, now: datetime, actor: str) -> None:
    ids = new_ids("fxs", len(fresh))
    snapshots, rates = [], []
    for snapshot_id, (day, digest) in zip(ids, fresh, strict=True):
        snapshots.append((snapshot_id, source, day.published_on, BASE, len(day.rates), digest, now, actor))
        rates += [(source, day.published_on, code, text, snapshot_id) for code, text in sorted(day.rates.items())]
    if snapshots:
        bulk.insert_rows(session, _SNAPSHOTS, _SNAPSHOT_COLUMNS, snapshots)
        bulk.insert_rows(session, _RATES, _RATE_COLUMNS, rates)
        session.flush()


def _rates_of(session: Session, snapshot_id: str) -> dict[str, str]:
    snapshot = session.get_one(FxSnapshot, snapshot_id)
    rows = session.execute(
        select(FxRate.currency, FxRate.rate_text).where(
            FxRate.source == snapshot.source, FxRate.published_on == snapshot.published_on
        )
    )
    return {row.currency: row.rate_text for row in rows}


def _first_difference(held: Mapping[str, str], said: Mapping[str, str]) -> str:
    """ "USD 1.1172, held 1.1171": the first currency on which they disagree."""
    for currency in sorted(held.keys() | said.keys()):
        before, now = held.get(currency, _ABSENT), said.get(currency, _ABSENT)
        if _normal(before) != _normal(now):
            return f"{currency} {now}, held {before}"
    return ""


def _normal(text: str) -> str:
    return (text.rstrip("0").rstrip(".") if "." in text else text).lstrip("0") or "0"


def _row(row: FxSnapshot) -> SnapshotRow:
    return SnapshotRow(
        id=row.id,
        source=row.source,
        published_on=row.published_on,
        rate_count=row.rate_count,
        content_hash=row.content_hash,
        imported_at=row.imported_at,
        imported_by=row.imported_by,
    )
