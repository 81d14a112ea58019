"""Readings of counters that only rise until they start again at zero: usage is what they rose by. No session in the sums.

Between two readings that follow each other a counter rose by their difference, or, where the later is lower, by the later: it
began anew. A reading told late lies between two that are known and adds what they did not show; the sum over any order of the
same readings is the same, and no step is negative. The first reading of a counter is where counting begins.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.metering.sources.port import EventFacts, Refused
from billing.metering.tables import CounterReading
from billing.metering.windows import Window

Series = tuple[str, str, str]  # source, counter, meter


def risen(before: int, after: int) -> int:
    """Base units between two readings that follow each other."""
    return after - before if after >= before else after


class Counters:
    """The readings around those of a batch, and the batch's own as they are taken."""

    def __init__(self, session: Session, events: Iterable[EventFacts]) -> None:
        """Read the neighbours. The heads of the accounts are locked by the caller, so nobody adds readings meanwhile."""
        wanted: defaultdict[Series, list[datetime]] = defaultdict(list)
        for event in events:
            wanted[_series(event)].append(event.start_at)
        self._times: dict[Series, list[datetime]] = {}
        self._values: dict[Series, list[int]] = {}
        for series, instants in wanted.items():
            readings = _around(session, series, min(instants), max(instants))
            self._times[series] = [read_at for read_at, _ in readings]
            self._values[series] = [value for _, value in readings]

    def take(self, event: EventFacts) -> tuple[Window, int] | None:
        """(the window over which the reading shows usage, its base units); None for the first of its counter, and for the same
        value at the same instant. Raises Refused where another value is known at that instant.
        """
        series, at, value = _series(event), event.start_at, event.quantity_base
        times, values = self._times[series], self._values[series]
        place = bisect_left(times, at)
        if place < len(times) and times[place] == at:
            if values[place] != value:
                raise Refused("other_reading", "another value of this counter is known at that instant")
            return None
        before = values[place - 1] if place else None
        after = values[place] if place < len(values) else None
        times.insert(place, at)
        values.insert(place, value)
        if before is None:
            return None if after is None else ((at, times[1]), risen(value, after))
        added = risen(before, value)
        if after is not None:
            added += risen(value, after) - risen(before, after)
        return (times[place - 1], at), added

    def knows(self, event: EventFacts) -> bool:
        """Whether the counter has a reading at the event's instant."""
        times = self._times[_series(event)]
        place = bisect_left(times, event.start_at)
        return place < len(times) and times[place] == event.start_at


def _series(event: EventFacts) -> Series:
    return event.source, event.series or "", event.meter_code


def _around(session: Session, series: Series, first_at: datetime, last_at: datetime) -> list[tuple[datetime, int]]:
    """[(instant, value)] from the last reading before `first_at` to the first one after `last_at`, rising."""
    source, name, meter_code = series
    query = select(CounterReading.read_at, CounterReading.value_base).where(
        CounterReading.source == source, CounterReading.series == name, CounterReading.meter_code == meter_code
    )
    at = CounterReading.read_at
    before = session.execute(query.where(at < first_at).order_by(at.desc()).limit(1)).all()
    within = session.execute(query.where(at >= first_at, at <= last_at).order_by(at)).all()
    after = session.execute(query.where(at > last_at).order_by(at).limit(1)).all()
    return [(read_at, value) for read_at, value in (*before, *within, *after)]
