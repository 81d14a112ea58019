"""The inbox of usage events: what was taken over from its sender is kept until it has become usage or was refused for a reason.

High-volume senders are answered as soon as their event is stored; `consume` turns waiting ones into usage. An event is stored
once per (source, id); a refused one may be sent again, corrected, under the same id.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.catalog.tables import Meter
from billing.kernel import canonical, ids
from billing.metering import event_checks, ingest, known
from billing.metering.ingest import EventResult
from billing.metering.sources import cloud_events
from billing.metering.sources.cloud_events import Envelope
from billing.metering.sources.port import EventFacts, Refused
from billing.metering.tables import InboxEvent
from billing.storage import bulk

BATCH = 1_000
_COLUMNS = [
    "id", "billing_account_id", "source", "source_id", "content_hash", "payload", "state", "received_at",
]  # fmt: skip


class Received(NamedTuple):
    """One event and its facts, as its source reads them."""

    event: Envelope
    facts: EventFacts


def receive(session: Session, received: Sequence[Received], *, now: datetime) -> list[EventResult]:
    """Keep events for `consume`; one result each, in their order: accepted, duplicate, or rejected with a reason.

    The caller gives only accounts it may write to. Locks the heads of the accounts in id order.
    """
    heads.lock(session, {facts.account_id for _, facts in received})
    base_per_unit = dict(session.execute(select(Meter.code, Meter.base_per_unit)).all())
    pairs = {(facts.source, facts.source_id) for _, facts in received if facts.source_id.isprintable()}
    pairs = {pair for pair in pairs if pair[0].isprintable()}
    seen = known.find_received(session, pairs) | known.find_hashes(session, pairs)
    refused_before = known.find_refused(session, pairs)
    results, rows = [], []
    for event, facts in received:
        fault = event_checks.find_fault(facts, base_per_unit)
        pair = (facts.source, facts.source_id)
        said = "" if fault else ingest.content_hash(facts, canonical.dumps(dict(facts.tags)))
        if fault is None and pair in seen and pair not in refused_before:
            if seen[pair] == said:
                results.append(EventResult(facts.source_id, "duplicate"))
                continue
            fault = "other_content", "this id was used before with other content"
        if fault is not None:
            results.append(EventResult(facts.source_id, "rejected", *fault))
            continue
        seen[pair] = said
        payload = _payload(event)
        if pair in refused_before:
            _wait_again(session, refused_before.pop(pair), said, payload, now)
        else:
            rows.append((facts.account_id, *pair, said, payload, "waiting", now))
        results.append(EventResult(facts.source_id, "accepted"))
    made = [(row_id, *row) for row_id, row in zip(ids.new_ids("inb", len(rows)), rows, strict=True)]
    bulk.insert_rows(session, InboxEvent.__table__, _COLUMNS, made)  # type: ignore[arg-type]
    return results


def consume(session: Session, *, now: datetime, limit: int = BATCH) -> int:
    """Turn waiting events into usage, oldest first; how many were taken from the inbox, refused ones among them.

    Locks the events it takes (those another consumer holds are passed over), then the heads of their accounts in id order.
    """
    query = (
        select(InboxEvent)
        .where(InboxEvent.state == "waiting")
        .order_by(InboxEvent.received_at, InboxEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = session.scalars(query).all()
    facts: list[EventFacts] = []
    places: list[InboxEvent] = []
    outcomes: list[dict[str, Any]] = []
    for row in taken:
        try:
            event = cloud_events.read_one(json.dumps(row.payload).encode())
            facts.append(cloud_events.facts_of(event, account_id=row.billing_account_id, source=row.source)[1])
        except Refused as refused:
            outcomes.append(_outcome(row, "refused", refused.reason, refused.detail, now))
        else:
            places.append(row)
    results = ingest.ingest_events(session, facts, now=now, keep_rejects=False) if facts else []
    for row, result in zip(places, results, strict=True):
        state = "refused" if result.status == "rejected" else "consumed"
        outcomes.append(_outcome(row, state, result.reason, result.detail, now))
    if outcomes:
        table = InboxEvent.__table__
        changed: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in ("state", "reason", "detail", "consumed_at")
        }
        session.connection().execute(
            update(table).where(table.c.id == bindparam("row_id")).values(changed),  # type: ignore[arg-type]
            outcomes,
        )
    return len(taken)


def _outcome(row: InboxEvent, state: str, reason: str | None, detail: str | None, now: datetime) -> dict[str, Any]:
    return {"row_id": row.id, "new_state": state, "new_reason": reason, "new_detail": detail, "new_consumed_at": now}


def _wait_again(session: Session, row_id: str, said: str, payload: str, now: datetime) -> None:
    session.execute(
        update(InboxEvent)
        .where(InboxEvent.id == row_id, InboxEvent.state == "refused")
        .values(
            content_hash=said,
            payload=json.loads(payload),
            state="waiting",
            reason=None,
            detail=None,
            received_at=now,
            consumed_at=None,
        )
    )


def _payload(event: Envelope) -> str:
    """The event as canonical JSON; numbers with a point as text, which every source reads as the same number."""
    data = json.loads(bytes(event.data), parse_float=str)
    said = {
        "specversion": event.specversion,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "data": data,
        "time": event.time.isoformat() if event.time is not None else None,
        "correlationid": event.correlationid,
    }
    return canonical.dumps({name: value for name, value in said.items() if value is not None})
