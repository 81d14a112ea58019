"""Events and windows told one by one: each gets its own answer, accepted, duplicate or rejected with a reason."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads, names
from billing.accounts.attribution import HANDLE_MAX, Attributor
from billing.accounts.tables import BillingAccount
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import Meter
from billing.kernel import canonical, ids
from billing.kernel.clock import require_utc
from billing.kernel.errors import Invalid
from billing.metering import records, windows
from billing.metering.cutting import Cutter
from billing.metering.files import storable
from billing.metering.sources.port import EventFacts
from billing.metering.tables import UsageRecord, UsageReject
from billing.storage.columns import micros

Status = Literal["accepted", "duplicate", "rejected"]

_MAX_ID = 200
_MAX_TEXT = 1000
_MAX_TAGS = 50


@dataclass(frozen=True, kw_only=True)
class EventResult:
    """What became of one event. `reason` is a stable code and `detail` the fact behind it, for rejected ones."""

    source_id: str
    status: Status
    reason: str | None = None
    detail: str | None = None


def ingest_events(session: Session, events: Sequence[EventFacts], *, now: datetime) -> list[EventResult]:
    """Store events once per (source, id); one result each, in their order. A rejected event stops no other.

    A counted event (start = end) becomes one usage record, a window one per piece between month and price borders. The caller
    gives only accounts it may write to, and keeps sources of different senders apart. Locks the heads of the accounts in id order.
    """
    meters = dict(session.execute(select(Meter.code, Meter.base_per_unit)).all())
    zones = _zones(session, {event.account_id for event in events if names.is_safe(event.account_id)})
    heads_by_id = heads.lock(session, zones)
    known = _find_hashes(session, events)
    attributor = Attributor(session, now=now)
    cutter = Cutter(PriceTable.load(session, list(zones)))
    pieces: defaultdict[str, list[records.Piece]] = defaultdict(list)
    results = []
    for event in events:
        refusal = _check(event, meters, zones)
        content_hash = None if refusal else _content_hash(event)
        seen = known.get((event.source, event.source_id))
        if content_hash is not None and seen == content_hash:
            results.append(EventResult(source_id=event.source_id, status="duplicate"))
            continue
        if content_hash is not None and seen is not None:
            refusal = "other_content", "this id was used before with other content"
        if refusal is not None or content_hash is None:
            reason, detail = refusal or ("invalid", "")
            results.append(EventResult(source_id=event.source_id, status="rejected", reason=reason, detail=detail))
            _keep_reject(session, event, reason, detail, now)
            continue
        known[event.source, event.source_id] = content_hash
        pieces[event.account_id] += _pieces(event, content_hash, cutter, zones[event.account_id], attributor)
        results.append(EventResult(source_id=event.source_id, status="accepted"))
    for account_id in sorted(pieces):
        records.insert(session, records.rows(heads_by_id[account_id], pieces[account_id], now=now))
    session.flush()
    return results


def _zones(session: Session, account_ids: set[str]) -> dict[str, str]:
    query = select(BillingAccount.id, BillingAccount.zone).where(
        BillingAccount.id.in_(account_ids), BillingAccount.kind != "house"
    )
    return dict(session.execute(query).all())


def _find_hashes(session: Session, events: Sequence[EventFacts]) -> dict[tuple[str, str], str]:
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        if names.is_safe(event.source) and names.is_safe(
            event.source_id
        ):  # others are refused, and cannot be looked up
            wanted[event.source].add(event.source_id)
    found: dict[tuple[str, str], str] = {}
    for source, source_ids in wanted.items():
        query = select(UsageRecord.source_id, UsageRecord.content_hash).where(
            UsageRecord.source == source, UsageRecord.source_id.in_(source_ids)
        )
        found |= {(source, source_id): content_hash for source_id, content_hash in session.execute(query)}
    return found


def _check(event: EventFacts, meters: dict[str, int], zones: dict[str, str]) -> tuple[str, str] | None:
    """(reason, detail) of what is wrong with an event, None for a good one."""
    if event.account_id not in zones:
        return "unknown_account", "no such billing account"
    if event.meter_code not in meters:
        return "unknown_meter", f"{event.meter_code[:60]!r} is no meter"
    return _check_texts(event) or _check_names(event) or _check_window(event, meters[event.meter_code])


def _check_texts(event: EventFacts) -> tuple[str, str] | None:
    texts = {"source": event.source, "id": event.source_id, "resource": event.resource}
    texts |= {"project": event.project_code or "", "submitter": event.member_handle or ""}
    for name, text in texts.items():
        if len(text) > _MAX_ID:
            return "text_too_long", f"{name} has {len(text)} characters, the limit is {_MAX_ID}"
    if not event.source or not event.source_id:
        return "missing_id", "an event needs a source and an id"
    if len(event.tags) > _MAX_TAGS or any(len(key) > _MAX_ID or len(value) > _MAX_TEXT for key, value in event.tags):
        return "text_too_long", f"at most {_MAX_TAGS} tags, names up to {_MAX_ID}, values up to {_MAX_TEXT} characters"
    if not names.is_safe(event.source) or not names.is_safe(event.source_id):
        return "control_character", "a source and an id are visible characters"
    for text in (*texts.values(), *(part for tag in event.tags for part in tag)):
        if storable(text) != text:
            return "control_character", f"{storable(text)[:80]} holds a control character"
    return None


def _check_names(event: EventFacts) -> tuple[str, str] | None:
    for reason, text, limit in (
        ("bad_project", event.project_code, names.CODE_MAX),
        ("bad_submitter", event.member_handle, HANDLE_MAX),
    ):
        try:
            if text:
                names.require_code(text, max_length=limit)
        except Invalid as error:
            return reason, f"it cannot be a code: {error.fields['reason']}"
    return None


def _check_window(event: EventFacts, base_per_unit: int) -> tuple[str, str] | None:
    if event.start_at.tzinfo is None or event.end_at.tzinfo is None:
        return "naive_time", "a time needs a zone: add Z or an offset"
    if event.end_at < event.start_at:
        return "end_before_start", "the end lies before the start"
    if event.end_at - event.start_at > windows.MAX_WINDOW:
        return "window_too_long", "the limit is ten years"
    if event.quantity_base < 0:
        return "negative_quantity", "a quantity is not negative"
    if event.quantity_base > windows.MAX_QUANTITY_UNITS * base_per_unit:
        return "quantity_too_large", f"more than 2^40 units of {event.meter_code}"
    return None


def _content_hash(event: EventFacts) -> str:
    return canonical.digest(
        "usage-event/1",
        event.account_id,
        event.meter_code,
        str(event.quantity_base),
        micros(require_utc(event.start_at)),
        micros(require_utc(event.end_at)),
        event.project_code,
        event.member_handle,
        event.resource,
        dict(event.tags),
    )


def _pieces(
    event: EventFacts, content_hash: str, cutter: Cutter, zone: str, attributor: Attributor
) -> list[records.Piece]:
    origin = records.Origin(
        event.source,
        event.source_id,
        None,
        attributor.project_id(event.account_id, event.project_code),
        attributor.member_id(event.account_id, event.member_handle),
        event.resource,
        canonical.dumps(dict(event.tags)),
        event.correlation_id,
        content_hash,
        None,
    )
    # Milliseconds are the finest time there is: shares of a window are counted in them.
    start_at, end_at = (at.replace(microsecond=at.microsecond // 1000 * 1000) for at in map(require_utc, event[5:7]))
    item = Item(event.meter_code)
    if start_at == end_at:
        return [records.Piece(origin, item, (start_at, end_at), event.quantity_base)]
    return [
        records.Piece(origin, item, piece, windows.share(event.quantity_base, (start_at, end_at), piece))
        for piece in cutter.cut(event.account_id, zone, item, start_at, end_at)
    ]


def _keep_reject(session: Session, event: EventFacts, reason: str, detail: str, now: datetime) -> None:
    session.add(
        UsageReject(
            id=ids.new_id("rej"),
            source=storable(event.source)[:_MAX_ID] or "unnamed",
            source_id=storable(event.source_id)[:_MAX_ID],
            reason=reason,
            detail=storable(detail),
            raw=storable(repr(tuple(event)))[:4000],
            rejected_at=now,
        )
    )
