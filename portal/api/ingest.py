"""POST /billing/usage:ingest: CloudEvents 1.0, one or up to 1,000, each with its own result. And the older POST /usage/report."""

from collections.abc import Sequence
from decimal import Decimal

from flask import Response
from msgspec import Struct
from msgspec.json import Encoder, encode

from billing.kernel.errors import Invalid, NotFound
from billing.metering import ingest, intake
from billing.metering.ingest import EventResult
from billing.metering.intake import Sent
from billing.metering.sources import cloud_events, legacy
from billing.metering.sources.cloud_events import Envelope, NotEvents
from billing.metering.sources.port import Refused
from billing.storage import correlation
from billing.storage.database import Session
from portal import sentences, services
from portal.api import answers, bodies, keys
from portal.api.schemas import UsageReport

MAX_EVENTS = 1000


class _Answer(Struct):
    """As schemas.EventAnswer, without the cost of a model per event."""

    index: int
    id: str | None
    status: str
    reason: str | None
    detail: str | None


class _ReportAnswer(Struct):
    """As schemas.UsageReportAnswer; callers of the older service read the quantity as a number."""

    id: str
    status: str
    tenant_id: str
    quantity: Decimal
    message: str = "Usage recorded successfully"


_NUMBERS = Encoder(decimal_format="number")


class _Answers(Struct):
    """As schemas.IngestAnswer."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[_Answer]


@keys.needs("usage.write")
def ingest_usage() -> Response:
    """200 with a result per event; a single event that is rejected is 422 with the same body."""
    raw = bodies.read_bytes()
    is_batch = raw.lstrip()[:1] == b"["
    try:
        sent = cloud_events.read_batch(raw if is_batch else b"[" + raw + b"]")
    except NotEvents as fault:
        raise bodies.NotJson(fault=str(fault)) from None
    if not 1 <= len(sent) <= MAX_EVENTS or (len(sent) > 1 and not is_batch):
        raise Invalid(field="body", count=len(sent), limit=MAX_EVENTS, reason="wrong_number_of_events")
    with services.database().transaction() as session:
        results = _take(session, sent)
    counts = {status: sum(one.status == status for one in results) for status in ("accepted", "duplicate", "rejected")}
    status = 422 if not is_batch and counts["rejected"] else 200
    return answers.encoded(encode(_Answers(results=results, **counts)).decode(), status)


@keys.needs("usage.write")
def report_usage() -> Response:
    """One report of the older simple service, in its words. Raises Invalid for one that cannot be taken."""
    report = bodies.read(UsageReport)
    with services.database().transaction() as session:
        account = keys.account_of(session, report.tenant_id)
        try:
            facts = legacy.facts_of(
                source=intake.source_of(account.id, "usage-report"),
                account_id=account.id,
                service=report.service,
                usage_type=report.usage_type,
                quantity=Decimal(report.quantity),
                timestamp=report.timestamp,
                correlation_id=correlation.current(),
            )
        except Refused as refused:
            raise Invalid(reason=refused.reason, value=refused.detail) from None
        (result,) = ingest.ingest_events(session, [facts], now=services.now())
    if result.status == "rejected":
        raise Invalid(reason=result.reason, value=result.detail)
    answer = _ReportAnswer(facts.source_id, "recorded", report.tenant_id, Decimal(report.quantity))
    return answers.encoded(_NUMBERS.encode(answer).decode())


def _take(session: Session, sent: Sequence[Envelope | Refused]) -> list[_Answer]:
    accounts: dict[str | None, str | Refused] = {}
    results: list[EventResult | None] = [None] * len(sent)
    ids: list[str | None] = []
    taken: list[Sent] = []
    places: list[int] = []
    for place, event in enumerate(sent):
        fault: Refused | None = None
        if isinstance(event, Refused):
            ids.append(event.source_id)
            fault = event
        else:
            ids.append(event.id)
            account = accounts.get(event.subject) or _account(session, event.subject, accounts)
            if isinstance(account, Refused):
                fault = account
            else:
                places.append(place)
                taken.append(Sent(event, account))
        if fault is not None:
            results[place] = EventResult(ids[place] or "", "rejected", fault.reason, fault.detail)
    if taken:
        made = intake.take(session, taken, now=services.now(), correlation_id=correlation.current())
        for place, result in zip(places, made, strict=True):
            results[place] = result
    return [
        _Answer(place, ids[place], result.status, result.reason, result.detail)
        for place, result in enumerate(results)
        if result is not None
    ]


def _account(session: Session, code: str | None, known: dict[str | None, str | Refused]) -> str | Refused:
    """The id of the account that an event names by its code, or why it may not."""
    try:
        known[code] = keys.account_of(session, code).id
    except NotFound:
        known[code] = Refused("unknown_account", "There is no such billing account.")
    except Invalid as refusal:
        known[code] = Refused("account_needed", sentences.of(refusal))
    return known[code]
