"""Events and windows told one by one: each gets its own answer, accepted, duplicate or rejected with a reason.

Bulk path: plain tuples, one look at the ids of a batch, one insert an account.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.accounts.tables import AccountHead
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import Meter
from billing.kernel import canonical, ids
from billing.kernel.clock import require_utc
from billing.metering import event_checks, known, owners, records, windows
from billing.metering.corrections import Corrections
from billing.metering.counters import Counters
from billing.metering.cutting import Cutter
from billing.metering.files import storable
from billing.metering.sources.port import EventFacts, Refused
from billing.metering.tables import CounterReading, UsageReject
from billing.storage import bulk
from billing.storage.columns import micros

Status = Literal["accepted", "duplicate", "rejected"]

_REJECT_COLUMNS = ["id", "source", "source_id", "reason", "detail", "raw", "rejected_at"]
_READING_COLUMNS = [
    "id", "billing_account_id", "source", "source_id", "series", "meter_code", "read_at", "value_base", "content_hash",
    "recorded_at",
]  # fmt: skip
_MAX_ID = 200


class EventResult(NamedTuple):
    """What became of one event. `reason` is a stable code and `detail` the fact behind it, for rejected ones."""

    source_id: str
    status: Status
    reason: str | None = None
    detail: str | None = None


def ingest_events(
    session: Session,
    events: Sequence[EventFacts],
    *,
    now: datetime,
    import_id: str | None = None,
    keep_rejects: bool = True,
) -> list[EventResult]:
    """Store events once per (source, id); one result each, in their order. A rejected event stops no other.

    A counted event (start = end) becomes one usage record per meter, a window one per piece between month and price borders; a
    correction records on what it corrects, a reading what its counter rose by. The caller gives only accounts it may write to, and
    keeps sources of different senders apart. Locks the heads of the accounts in id order. Refused events are kept as rejects
    unless the caller keeps them.
    """
    return _Batch(session, events, now=now, import_id=import_id, keep_rejects=keep_rejects).store()


def content_hash(event: EventFacts, tags_json: str) -> str:
    """The hash of what the sender said, without what a repeat may say otherwise (its correlation id).

    The canonical bytes of ["usage-event/1", ...], and of "usage-event/2" with all that came later where any of it is said.
    """
    text = (
        f"{_quoted(event.account_id)},{_quoted(event.meter_code)},"
        f'"{event.quantity_base}",{micros(event.start_at)},{micros(event.end_at)},{_quoted(event.project_code)},'
        f"{_quoted(event.member_handle)},{_quoted(event.resource)},{tags_json}"
    )
    if event[12:] == _PLAIN:
        return sha256(f'["usage-event/1",{text}]'.encode()).hexdigest()
    more = canonical.dumps([*event[12:16], [[code, str(amount)] for code, amount in event.also], *event[17:]])
    return sha256(f'["usage-event/2",{text},{more[1:]}'.encode()).hexdigest()


_PLAIN = ("", "on_demand", None, None, (), None, None)


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


class _Batch:
    """One call of `ingest_events` under way."""

    def __init__(
        self,
        session: Session,
        events: Sequence[EventFacts],
        *,
        now: datetime,
        import_id: str | None,
        keep_rejects: bool,
    ) -> None:
        self._session, self._events, self._now, self._import_id = session, events, now, import_id
        self._keep_rejects = keep_rejects
        self._base_per_unit = dict(session.execute(select(Meter.code, Meter.base_per_unit)).all())
        self._accounts = owners.find(session, {event.account_id for event in events})
        self._heads = heads.lock(session, self._accounts)
        self._attributor = Attributor(session, now=now)
        self._results: list[EventResult | None] = [None] * len(events)
        self._pieces: defaultdict[str, list[records.Piece]] = defaultdict(list)
        self._cutter_made: Cutter | None = None

    def store(self) -> list[EventResult]:
        plain, readings, corrections = self._sorted()
        self._take_plain(plain)
        if readings:
            self._take_readings(readings)
        self._insert()
        if corrections:  # after the insert: they may correct what came before them in the batch
            self._take_corrections(corrections)
            self._insert()
        self._write_rejects()
        self._session.flush()
        return [result for result in self._results if result is not None]

    def _sorted(self) -> tuple[list[int], list[int], list[int]]:
        """Places of plain events, readings and corrections that are well formed; the others are refused."""
        plain: list[int] = []
        readings: list[int] = []
        corrections: list[int] = []
        for place, event in enumerate(self._events):
            fault = event_checks.find_fault(event, self._base_per_unit)
            if event.account_id not in self._accounts:
                fault = "unknown_account", "no such billing account"
            if fault is not None:
                self._refuse(place, *fault)
            elif event.corrects is not None:
                corrections.append(place)
            elif event.series is not None:
                readings.append(place)
            else:
                plain.append(place)
        return plain, readings, corrections

    def _take_plain(self, places: Sequence[int]) -> None:
        events = self._events
        seen = known.find_hashes(self._session, {(events[place].source, events[place].source_id) for place in places})
        for place in places:
            event = events[place]
            origin = self._origin(event)
            if not self._is_new(place, event, origin.content_hash, seen):
                continue
            if event.start_at is event.end_at or event.start_at == event.end_at:
                at = _whole_ms(event.start_at)
                window = (at, at)
                item = Item(event.meter_code, event.variant, event.mode)
                self._pieces[event.account_id].append(records.Piece(origin, item, window, event.quantity_base))
                for meter_code, quantity_base in event.also:
                    item = Item(meter_code, event.variant, event.mode)
                    self._pieces[event.account_id].append(records.Piece(origin, item, window, quantity_base))
            else:
                self._add_window(event, origin)

    def _take_readings(self, places: Sequence[int]) -> None:
        events = [self._events[place]._replace(start_at=_whole_ms(self._events[place].start_at)) for place in places]
        pairs = {(event.source, event.source_id) for event in events}
        seen = known.find_readings(self._session, pairs) | known.find_hashes(self._session, pairs)
        counters = Counters(self._session, events)
        rows = []
        for place, event in zip(places, events, strict=True):
            origin = self._origin(event)
            is_known = counters.knows(event)
            try:
                if not self._is_new(place, event, origin.content_hash, seen):
                    continue
                taken = counters.take(event)
            except Refused as refused:
                self._refuse(place, refused.reason, refused.detail)
                continue
            if is_known:
                self._results[place] = EventResult(event.source_id, "duplicate")
                continue
            rows.append(
                (
                    ids.new_id("rdg"), event.account_id, event.source, event.source_id, event.series, event.meter_code,
                    event.start_at, event.quantity_base, origin.content_hash, self._now,
                )
            )  # fmt: skip
            if taken is not None:
                (start_at, end_at), added_base = taken
                self._add_window(event._replace(start_at=start_at, end_at=end_at, quantity_base=added_base), origin)
        bulk.insert_rows(self._session, CounterReading.__table__, _READING_COLUMNS, rows)  # type: ignore[arg-type]

    def _take_corrections(self, places: Sequence[int]) -> None:
        events = self._events
        seen = known.find_hashes(self._session, {(events[place].source, events[place].source_id) for place in places})
        found = Corrections(self._session, {(events[place].source, events[place].corrects or "") for place in places})
        for place in places:
            event = events[place]
            origin = self._origin(event)
            if not self._is_new(place, event, origin.content_hash, seen):
                continue
            try:
                self._pieces[event.account_id] += found.pieces(event, origin)
            except Refused as refused:
                self._refuse(place, refused.reason, refused.detail)

    def _is_new(self, place: int, event: EventFacts, said: str, seen: dict[known.Pair, str]) -> bool:
        """Whether an event is to be taken; its result says so, or what it is instead. A new one is then seen."""
        before = seen.get((event.source, event.source_id))
        if before is None:
            seen[event.source, event.source_id] = said
            self._results[place] = EventResult(event.source_id, "accepted")
            return True
        if before == said:
            self._results[place] = EventResult(event.source_id, "duplicate")
        else:
            self._refuse(place, "other_content", "this id was used before with other content")
        return False

    def _origin(self, event: EventFacts) -> records.Origin:
        account_id = event.account_id
        tags_json = canonical.dumps(dict(event.tags)) if event.tags else "{}"
        return records.Origin(
            event.source,
            event.source_id,
            None,
            self._attributor.project_id(account_id, event.project_code) if event.project_code else None,
            self._attributor.member_id(account_id, event.member_handle) if event.member_handle else None,
            event.resource,
            tags_json,
            event.correlation_id,
            content_hash(event, tags_json),
            self._import_id,
            event.route,
            event.route_kind,
            self._accounts[account_id].reseller_id,
        )

    def _add_window(self, event: EventFacts, origin: records.Origin) -> None:
        start_at, end_at = _whole_ms(event.start_at), _whole_ms(event.end_at)
        cut = [(start_at, end_at)]
        zone = self._accounts[event.account_id].zone
        for meter_code, quantity_base in ((event.meter_code, event.quantity_base), *event.also):
            item = Item(meter_code, event.variant, event.mode)
            if start_at != end_at:
                cut = self._cutter().cut(event.account_id, zone, item, start_at, end_at)
            if len(cut) == 1:
                self._pieces[event.account_id].append(records.Piece(origin, item, cut[0], quantity_base))
                continue
            self._pieces[event.account_id] += [
                records.Piece(origin, item, piece, windows.share(quantity_base, (start_at, end_at), piece))
                for piece in cut
            ]

    def _cutter(self) -> Cutter:
        """Made when the first window comes: instants are never cut."""
        if self._cutter_made is None:
            self._cutter_made = Cutter(PriceTable.load(self._session, list(self._accounts)))
        return self._cutter_made

    def _insert(self) -> None:
        made: list[tuple[object, ...]] = []
        for account_id in sorted(self._pieces):
            head: AccountHead = self._heads[account_id]
            made += records.rows(head, self._pieces[account_id], now=self._now)
        if made:
            records.insert(self._session, made)
        self._pieces.clear()

    def _refuse(self, place: int, reason: str, detail: str) -> None:
        self._results[place] = EventResult(self._events[place].source_id, "rejected", reason, detail)

    def _write_rejects(self) -> None:
        if not self._keep_rejects:
            return
        refused = [
            (event, result)
            for event, result in zip(self._events, self._results, strict=True)
            if result is not None and result.status == "rejected"
        ]
        if refused:
            keep_rejects(
                self._session,
                [
                    (event.source, event.source_id, result.reason or "", result.detail or "", repr(tuple(event)))
                    for event, result in refused
                ],
                now=self._now,
            )


def keep_rejects(session: Session, refused: Sequence[tuple[str, str, str, str, str]], *, now: datetime) -> None:
    """Keep refused events, (source, id, reason, detail, what was sent) each, so that nothing is lost."""
    rows = [
        (
            reject_id,
            storable(source)[:_MAX_ID] or "unnamed",
            storable(source_id)[:_MAX_ID],
            reason,
            storable(detail),
            storable(raw)[:4000],
            now,
        )
        for reject_id, (source, source_id, reason, detail, raw) in zip(
            ids.new_ids("rej", len(refused)), refused, strict=True
        )
    ]
    bulk.insert_rows(session, UsageReject.__table__, _REJECT_COLUMNS, rows)  # type: ignore[arg-type]


def _whole_ms(at: datetime) -> datetime:
    """Milliseconds are the finest time there is: shares of a window are counted in them."""
    at = require_utc(at)
    return at.replace(microsecond=at.microsecond // 1000 * 1000) if at.microsecond % 1000 else at
