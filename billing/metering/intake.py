"""Events as they come in: each to the source that understands it, then at once to usage, or to the inbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from billing.metering import inbox, ingest
from billing.metering.ingest import EventResult
from billing.metering.sources import cloud_events
from billing.metering.sources.cloud_events import Envelope
from billing.metering.sources.port import EventFacts, Refused


class Sent(NamedTuple):
    """One event and the billing account that it is for."""

    event: Envelope
    account_id: str


def source_of(account_id: str, source: str) -> str:
    """The name under which a sender's events are kept, by API and by file alike: of its account alone."""
    return f"api/{account_id}/{source}"


def take(
    session: Session, sent: Sequence[Sent], *, now: datetime, correlation_id: str | None = None
) -> list[EventResult]:
    """Store events; one result each, in their order. Refused ones are kept with their reason and stop no other.

    The caller gives only accounts it may write to. `correlation_id` holds for events that bring none. Locks the heads of the
    accounts in id order.
    """
    results: list[EventResult | None] = [None] * len(sent)
    at_once: list[tuple[int, EventFacts]] = []
    deferred: list[tuple[int, inbox.Received]] = []
    refused: list[tuple[str, str, str, str, str]] = []
    for place, (event, account_id) in enumerate(sent):
        try:
            source, facts = cloud_events.facts_of(
                event, account_id=account_id, source=source_of(account_id, event.source), correlation_id=correlation_id
            )
        except Refused as fault:
            results[place] = EventResult(event.id, "rejected", fault.reason, fault.detail)
            refused.append(
                (event.source, event.id, fault.reason, fault.detail, bytes(event.data).decode("utf-8", "replace"))
            )
            continue
        if source.is_deferred:
            deferred.append((place, inbox.Received(event, facts)))
        else:
            at_once.append((place, facts))
    for place, result in zip(
        (place for place, _ in at_once),
        ingest.ingest_events(session, [facts for _, facts in at_once], now=now) if at_once else (),
        strict=True,
    ):
        results[place] = result
    for place, result in zip(
        (place for place, _ in deferred),
        inbox.receive(session, [received for _, received in deferred], now=now) if deferred else (),
        strict=True,
    ):
        results[place] = result
    if refused:
        ingest.keep_rejects(session, refused, now=now)
    return [result for result in results if result is not None]
