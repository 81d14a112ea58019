"""POST /billing/usage:ingest: CloudEvents 1.0, one or up to 1,000, each with its own result."""

from fractions import Fraction
from typing import Any

from flask import Response

from billing.accounts.listing import AccountRow
from billing.catalog.meters import METERS
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.rounding import half_up_fraction
from billing.metering import ingest
from billing.metering.files import storable
from billing.metering.sources.port import EventFacts
from billing.storage import correlation
from billing.storage.database import Session
from portal import sentences, services
from portal.api import answers, bodies, keys
from portal.api.schemas import EventAnswer, IngestAnswer, UsageEvent

MAX_EVENTS = 1000


class _Refused(Exception):
    """One event that cannot be taken: a stable reason and the fact behind it."""

    def __init__(self, *, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason)


@keys.needs("usage.write")
def ingest_usage() -> Response:
    """200 with a result per event; a single event that is rejected is 422 with the same body."""
    body = bodies.read_any()
    sent = body if isinstance(body, list) else [body]
    if not 1 <= len(sent) <= MAX_EVENTS:
        raise Invalid(field="body", count=len(sent), limit=MAX_EVENTS, reason="wrong_number_of_events")
    with services.database().transaction() as session:
        results = _take(session, sent)
    counts = {status: sum(one.status == status for one in results) for status in ("accepted", "duplicate", "rejected")}
    status = 422 if not isinstance(body, list) and counts["rejected"] else 200
    return answers.of(IngestAnswer(results=results, **counts), status)


def _take(session: Session, sent: list[Any]) -> list[EventAnswer]:
    accounts: dict[str | None, AccountRow | None] = {}
    refused: dict[int, EventAnswer] = {}
    facts: dict[int, EventFacts] = {}
    for index, value in enumerate(sent):
        try:
            event = _shaped(value)
            facts[index] = _facts(event, _account(session, event.subject, accounts))
        except _Refused as fault:
            refused[index] = EventAnswer(
                index=index, id=_id_of(value), status="rejected", reason=fault.reason, detail=fault.detail
            )
    taken = ingest.ingest_events(session, list(facts.values()), now=services.now()) if facts else []
    for (index, event_facts), result in zip(facts.items(), taken, strict=True):
        refused[index] = EventAnswer(
            index=index,
            id=event_facts.source_id,
            status=result.status,
            reason=result.reason,
            detail=result.detail,
        )
    return [refused[index] for index in range(len(sent))]


def _shaped(value: Any) -> UsageEvent:
    try:
        return bodies.shaped(UsageEvent, value)
    except bodies.BadShape as fault:
        pointer, sentence = fault.faults[0]
        raise _Refused(reason="invalid_event", detail=f"{pointer or '/'}: {sentence}"[:300]) from None


def _account(session: Session, code: str | None, known: dict[str | None, AccountRow | None]) -> AccountRow:
    if code not in known:
        try:
            known[code] = keys.account_of(session, code)
        except NotFound:
            known[code] = None
        except Invalid as refusal:
            raise _Refused(reason="account_needed", detail=sentences.of(refusal)) from None
    account = known[code]
    if account is None:
        raise _Refused(reason="unknown_account", detail="There is no such billing account.")
    return account


def _facts(event: UsageEvent, account: AccountRow) -> EventFacts:
    data = event.data
    if storable(event.id) != event.id or storable(event.source) != event.source:
        raise _Refused(reason="control_character", detail="The id or the source holds a control character.")
    meter = METERS.get(data.meter)
    if meter is None:
        raise _Refused(reason="unknown_meter", detail=f"There is no meter {data.meter[:60]!a}.")
    if data.unit is not None and data.unit != meter.unit:
        raise _Refused(reason="unknown_unit", detail=f"The meter {meter.code} counts in {meter.unit}.")
    start_at, end_at = data.start or event.time, data.end or event.time
    if start_at is None or end_at is None:
        raise _Refused(reason="missing_time", detail="An event needs its time, or start and end in its data.")
    exact = Fraction(data.quantity) * meter.base_per_unit
    if meter.base_per_unit == 1 and exact.denominator != 1:
        raise _Refused(reason="not_whole_units", detail=f"The meter {meter.code} counts whole units.")
    return EventFacts(
        source=f"api/{account.id}/{event.source}",
        source_id=event.id,
        account_id=account.id,
        meter_code=meter.code,
        quantity_base=half_up_fraction(exact),  # such as core-milliseconds: finer than any clock that made the event
        start_at=start_at,
        end_at=end_at,
        project_code=data.project,
        member_handle=data.submitter,
        resource=data.resource,
        tags=tuple(sorted(data.tags.items())),
        correlation_id=event.correlationid or correlation.current(),
    )


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found[:200] if isinstance(found, str) else None
