"""What waits for a person: each queue with its count and oldest age, and its cases."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts.access_tables import Approval
from billing.accounts.tables import BillingAccount
from billing.assurance.tables import ReconciliationFinding
from billing.invoicing.tables import InvoiceHeader
from billing.jobs.runner import NOBODY
from billing.kernel.errors import NotFound
from billing.notices import topics
from billing.payments.disputes import states as dispute_states
from billing.payments.disputes.tables import Dispute
from billing.payments.recovery.tables import UnmatchedPayment
from billing.payments.tables import PaymentSession, ProviderEvent, RefundRequest
from billing.rating import unrated
from billing.rating.tables import BillingPeriod, UnratedUsage
from billing.storage.tables import Delivery, JobRun, OutboxMessage


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue: its stable name, how many cases wait, since when the oldest does."""

    name: str
    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case. `kind` says what `id` names: refund, payment_session, provider_event, usage, job_run, notice, delivery; `detail` is for
    people and comes from a source that may say anything."""

    id: str
    kind: str
    account_id: str | None
    account_code: str | None
    account_name: str | None
    subject: str
    detail: str | None
    count: int
    amount_minor: int | None
    currency: str | None
    since_at: datetime


# How a queue counts: (number, oldest).
Counting = Select[int, Any]
_STUCK_ATTEMPTS = 3
_IS_STUCK = OutboxMessage.delivered_at.is_(None) & (OutboxMessage.attempts >= _STUCK_ATTEMPTS)
# Given up, and nobody has taken it off the list.
_IS_UNSENT = (Delivery.state == "failed") & Delivery.set_aside_at.is_(None)


def measure(session: Session) -> list[Queue]:
    """Every queue in the order in which a person should look, empty ones too."""
    counted = [(name, session.execute(query()).one()) for name, query in _COUNTS.items()]
    return [Queue(name=name, count=int(row[0]), oldest_at=row[1]) for name, row in counted]


def list_cases(session: Session, name: str, *, limit: int = 200) -> list[Case]:
    """The cases of one queue, oldest first. Raises NotFound for a name that is no queue with a list of its own."""
    if name not in _CASES:
        raise NotFound(queue=name[:40])
    return _CASES[name](session, limit)


def draft_periods(session: Session, state: str) -> list[str]:
    """The months that have documents in that state, oldest first: where a count of drafts leads to."""
    rows = session.scalars(
        select(BillingPeriod.label)
        .join(InvoiceHeader, InvoiceHeader.billing_period_id == BillingPeriod.id)
        .where(InvoiceHeader.state == state)
        .distinct()
    )
    return sorted(rows)


def _unknown_intents(session: Session, limit: int) -> list[Case]:
    payments = session.execute(
        select(PaymentSession, BillingAccount)
        .join(BillingAccount, BillingAccount.id == PaymentSession.billing_account_id)
        .where(PaymentSession.state == "unknown")
        .order_by(PaymentSession.created_at)
        .limit(limit)
    ).all()
    refunds = session.execute(
        select(RefundRequest, BillingAccount)
        .join(BillingAccount, BillingAccount.id == RefundRequest.billing_account_id)
        .where(RefundRequest.state == "unknown")
        .order_by(RefundRequest.requested_at)
        .limit(limit)
    ).all()
    cases = [
        _of_account(
            account, id=item.id, kind="payment_session", subject=item.purpose, detail=item.failure,
            amount_minor=item.amount_minor, currency=item.currency, since_at=item.created_at,
        )
        for item, account in payments
    ]  # fmt: skip
    cases += [
        _of_account(
            account, id=item.id, kind="refund", subject=item.mode, detail=item.failure,
            amount_minor=item.amount_minor, currency=item.currency, since_at=item.sent_at or item.requested_at,
        )
        for item, account in refunds
    ]  # fmt: skip
    return sorted(cases, key=lambda case: case.since_at)[:limit]


def _without_price(session: Session, limit: int) -> list[Case]:
    waiting = unrated.summarize(session)
    accounts = {
        account.id: account
        for account in session.scalars(
            select(BillingAccount).where(BillingAccount.id.in_({row.billing_account_id for row in waiting}))
        )
    }
    cases = [
        _of_account(
            accounts[row.billing_account_id], id=f"{row.billing_account_id}:{row.meter_code}:{row.reason}", kind="usage",
            subject=row.meter_code, detail=row.reason, count=row.count, since_at=row.since_at,
        )
        for row in waiting
    ]  # fmt: skip
    return sorted(cases, key=lambda case: case.since_at)[:limit]


def _failed_jobs(session: Session, limit: int) -> list[Case]:
    runs = session.scalars(_failing().order_by(JobRun.started_at).limit(limit))
    return [
        _of_account(None, id=run.id, kind="job_run", subject=run.job, detail=run.detail, since_at=run.started_at)
        for run in runs
    ]


def _stuck_notices(session: Session, limit: int) -> list[Case]:
    messages = session.scalars(_stuck().order_by(OutboxMessage.created_at).limit(limit))
    cases = [
        _of_account(
            None, id=message.id, kind="notice", subject=message.topic, detail=message.last_error, count=message.attempts,
            since_at=message.created_at,
        )
        for message in messages
    ]  # fmt: skip
    unsent = session.execute(
        select(Delivery, OutboxMessage.topic, BillingAccount)
        .join(OutboxMessage, OutboxMessage.id == Delivery.message_id)
        .outerjoin(BillingAccount, BillingAccount.id == Delivery.billing_account_id)
        .where(_IS_UNSENT)
        .order_by(Delivery.created_at)
        .limit(limit)
    ).all()
    cases += [
        _of_account(
            account, id=delivery.id, kind="delivery", subject=topics.get_topic(topic).words, detail=delivery.last_error, count=delivery.attempts,
            since_at=delivery.created_at,
        )
        for delivery, topic, account in unsent
    ]  # fmt: skip
    return sorted(cases, key=lambda case: case.since_at)[:limit]


def _of_account(
    account: BillingAccount | None,
    *,
    id: str,
    kind: str,
    subject: str,
    since_at: datetime,
    detail: str | None = None,
    count: int = 1,
    amount_minor: int | None = None,
    currency: str | None = None,
) -> Case:
    return Case(
        id=id,
        kind=kind,
        account_id=account.id if account else None,
        account_code=account.code if account else None,
        account_name=account.name if account else None,
        subject=subject,
        detail=detail,
        count=count,
        amount_minor=amount_minor,
        currency=currency,
        since_at=since_at,
    )


def _failing() -> Select[JobRun]:
    """The newest ended run of each job, where it did not succeed."""
    newest = select(func.max(JobRun.id)).where(JobRun.result.is_not(None), JobRun.holder != NOBODY).group_by(JobRun.job)
    return select(JobRun).where(JobRun.id.in_(newest), JobRun.result != "succeeded")


def _stuck() -> Select[OutboxMessage]:
    return select(OutboxMessage).where(_IS_STUCK)


def _documents_in(state: str) -> Callable[[], Counting]:
    at = InvoiceHeader.drafted_at if state == "draft" else InvoiceHeader.approved_at
    return lambda: select(func.count(InvoiceHeader.id), func.min(at)).where(InvoiceHeader.state == state)


def _unknown() -> Counting:
    payments = select(PaymentSession.created_at.label("at")).where(PaymentSession.state == "unknown")
    refunds = select(RefundRequest.requested_at.label("at")).where(RefundRequest.state == "unknown")
    both = payments.union_all(refunds).subquery()
    return select(func.count(both.c.at), func.min(both.c.at))


def _of_runs() -> Counting:
    runs = _failing().subquery()
    return select(func.count(runs.c.id), func.min(runs.c.started_at))


def _of_notices() -> Counting:
    messages = select(OutboxMessage.created_at.label("at")).where(_IS_STUCK)
    unsent = select(Delivery.created_at.label("at")).where(_IS_UNSENT)
    both = messages.union_all(unsent).subquery()
    return select(func.count(both.c.at), func.min(both.c.at))


_COUNTS: dict[str, Callable[[], Counting]] = {
    "approvals": lambda: select(func.count(Approval.id), func.min(Approval.requested_at)).where(
        Approval.state == "requested"
    ),
    "drafts": _documents_in("draft"),
    "approved": _documents_in("approved"),
    "intents": _unknown,
    "webhooks": lambda: select(func.count(ProviderEvent.id), func.min(ProviderEvent.received_at)).where(
        ProviderEvent.state == "failed"
    ),
    "disputes": lambda: select(func.count(Dispute.id), func.min(Dispute.opened_at)).where(
        Dispute.state.in_(dispute_states.WAITING)
    ),
    "unrated": lambda: select(func.count(UnratedUsage.usage_record_id), func.min(UnratedUsage.since_at)),
    "unmatched": lambda: select(func.count(UnmatchedPayment.id), func.min(UnmatchedPayment.first_seen_at)).where(
        UnmatchedPayment.state == "open"
    ),
    "differences": lambda: select(
        func.count(ReconciliationFinding.id), func.min(ReconciliationFinding.first_seen_at)
    ).where(ReconciliationFinding.state == "open"),
    "jobs": _of_runs,
    "notices": _of_notices,
}
_CASES: dict[str, Callable[[Session, int], list[Case]]] = {
    "intents": _unknown_intents,
    "unrated": _without_price,
    "jobs": _failed_jobs,
    "notices": _stuck_notices,
}
