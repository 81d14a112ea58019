"""What waits, per stage: how much and since when. The age of the oldest unprocessed record is the one figure to alert on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.invoicing.tables import InvoiceDocument, InvoiceHeader
from billing.metering.tables import InboxEvent, UsageRecord
from billing.payments.tables import PaymentSession, ProviderEvent, RefundRequest
from billing.rating.tables import RatedLine, UnratedUsage
from billing.storage.tables import Delivery, JobRun, OutboxMessage

# (number that waits, instant of the oldest)
Waiting = Select[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """One stage: how many records wait and when the oldest was written, None when none does."""

    stage: str
    waiting: int
    oldest_at: datetime | None


def measure(session: Session) -> list[Backlog]:
    """Every stage of the way of a record, in its order."""
    return [
        Backlog(stage=stage, waiting=int(row[0] or 0), oldest_at=row[1])
        for stage, query in _STAGES.items()
        for row in [session.execute(query()).one()]
    ]


def last_results(session: Session) -> dict[tuple[str, str], tuple[int, datetime]]:
    """{(job, result): (number of runs kept, newest end)}."""
    rows = session.execute(
        select(JobRun.job, JobRun.result, func.count(), func.max(JobRun.ended_at))
        .where(JobRun.result.is_not(None), JobRun.ended_at.is_not(None))
        .group_by(JobRun.job, JobRun.result)
    ).all()
    return {(job, str(result)): (count, ended_at) for job, result, count, ended_at in rows if ended_at is not None}


def count_unknown_intents(session: Session) -> int:
    """Payments and refunds whose outcome at the provider nobody knows yet."""
    sessions = select(func.count()).select_from(PaymentSession).where(PaymentSession.state == "unknown")
    refunds = select(func.count()).select_from(RefundRequest).where(RefundRequest.state == "unknown")
    return int(session.execute(sessions).scalar_one()) + int(session.execute(refunds).scalar_one())


def count_events(session: Session) -> dict[tuple[str, str], int]:
    """{(event type, state): number of provider events}."""
    rows = session.execute(
        select(ProviderEvent.type, ProviderEvent.state, func.count()).group_by(ProviderEvent.type, ProviderEvent.state)
    ).all()
    return {(event_type, state): count for event_type, state, count in rows}


def _unrated() -> Waiting:
    # Through the account's head and the index (account, seq): cost follows what waits, not what there is.
    return (
        select(func.count(UsageRecord.id), func.min(UsageRecord.recorded_at))
        .select_from(AccountHead)
        .join(
            UsageRecord,
            (UsageRecord.billing_account_id == AccountHead.billing_account_id)
            & (UsageRecord.usage_seq > AccountHead.rated_usage_seq),
        )
        .where(AccountHead.usage_seq > AccountHead.rated_usage_seq)
    )


def _unposted() -> Waiting:
    return (
        select(func.count(RatedLine.id), func.min(RatedLine.rated_at))
        .select_from(AccountHead)
        .join(
            RatedLine,
            (RatedLine.billing_account_id == AccountHead.billing_account_id)
            & (RatedLine.line_seq > AccountHead.posted_line_seq),
        )
        .where(AccountHead.line_seq > AccountHead.posted_line_seq)
    )


def _unrendered() -> Waiting:
    return (
        select(func.count(InvoiceHeader.id), func.min(InvoiceHeader.issued_at))
        .outerjoin(InvoiceDocument, InvoiceDocument.invoice_id == InvoiceHeader.id)
        .where(InvoiceHeader.state == "issued", InvoiceDocument.invoice_id.is_(None))
    )


_STAGES: dict[str, Callable[[], Waiting]] = {
    "consume": lambda: select(func.count(InboxEvent.id), func.min(InboxEvent.received_at)).where(
        InboxEvent.state == "waiting"
    ),
    "rate": _unrated,
    "price": lambda: select(func.count(UnratedUsage.usage_record_id), func.min(UnratedUsage.since_at)),
    "post": _unposted,
    "review": lambda: select(func.count(InvoiceHeader.id), func.min(InvoiceHeader.drafted_at)).where(
        InvoiceHeader.state == "draft"
    ),
    "documents": _unrendered,
    "webhooks": lambda: select(func.count(ProviderEvent.id), func.min(ProviderEvent.received_at)).where(
        ProviderEvent.state.in_(("received", "failed"))
    ),
    "refunds": lambda: select(func.count(RefundRequest.id), func.min(RefundRequest.requested_at)).where(
        RefundRequest.state.in_(("requested", "approved", "unknown"))
    ),
    "outbox": lambda: select(func.count(OutboxMessage.id), func.min(OutboxMessage.created_at)).where(
        OutboxMessage.delivered_at.is_(None)
    ),
    "mail": lambda: select(func.count(Delivery.id), func.min(Delivery.created_at)).where(Delivery.state == "waiting"),
}
