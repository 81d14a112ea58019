"""One notice on its way to one address: taken up by a worker, sent or tried again, given up, and what a person can do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.tables import BillingAccount
from billing.kernel.errors import Conflict, NotFound
from billing.storage import audit
from billing.storage.tables import Delivery, OutboxMessage

# The pauses after the first, second, ... try: ten tries within 75 hours and a bit, then it is given up.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 360, 720, 1440, 1800))
MAX_ATTEMPTS = len(PAUSES) + 1
# How long a worker may have a delivery before another takes it for abandoned: longer than any conversation can last.
CLAIM = timedelta(minutes=15)
STATES = ("waiting", "sent", "failed")
_ABOUT_DOCUMENTS = ("invoice.issued", "invoice.copy", "invoice.reminder", "credit_note.issued", "credit_note.copy")
ABANDONED = "unanswered: the process that was sending it ended"
# A document is printed within seconds of its issue; a printer that cannot is seen by its own job.
DOCUMENT_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A delivery that this worker and no other may try now: its `attempt` from 1, and the thread it belongs to."""

    id: str
    attempt: int
    correlation_id: str | None


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One delivery as pages and the command line show it. `error` is "code: what the other side said" of the last try."""

    id: str
    message_id: str
    topic: str
    account_id: str | None
    account_code: str | None
    account_name: str | None
    recipient: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    ended_at: datetime | None
    sending_at: datetime | None
    set_aside_at: datetime | None
    error: str | None
    correlation_id: str | None


def claim(session: Session, *, now: datetime) -> Claim | None:
    """Take the delivery that has waited longest; None when none is due. The intent to send is what this writes (Law 6).

    Locks the row, skipping those that others have locked (PostgreSQL; on SQLite one transaction writes at a time). A worker that
    dies leaves it due again after `CLAIM`, under the same Message-ID.
    """
    while True:
        row = session.scalar(
            select(Delivery)
            .where(Delivery.state == "waiting", Delivery.channel == "email", Delivery.next_attempt_at <= now)
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        if row.sending_at is not None:
            row.last_error = ABANDONED
        if row.attempts < MAX_ATTEMPTS:
            break
        row.state, row.ended_at, row.sending_at = "failed", now, None
        session.flush()  # the next look must not find it again
    row.attempts += 1
    row.sending_at, row.next_attempt_at = now, now + CLAIM
    session.flush()  # the id is handed out only with its claim
    return Claim(id=row.id, attempt=row.attempts, correlation_id=row.correlation_id)


def record_sent(session: Session, *, now: datetime, claimed: Claim) -> None:
    """The other side has taken it."""
    row = _locked(session, claimed.id)
    if row.state != "sent":
        row.state, row.ended_at, row.sending_at, row.last_error = "sent", now, None, None
    session.flush()


def record_not_taken(session: Session, *, now: datetime, claimed: Claim, error: str, is_final: bool = False) -> None:
    """It was not taken, or nobody knows: due again after the pause of its attempt, given up after the last or if `is_final`.

    Only while the claim is in force: when another worker has taken it since, its outcome counts.
    """
    row = _locked(session, claimed.id)
    if row.state != "waiting" or row.attempts != claimed.attempt:
        return
    row.last_error, row.sending_at = error[:500], None
    if is_final or claimed.attempt >= MAX_ATTEMPTS:
        row.state, row.ended_at = "failed", now
    else:
        row.next_attempt_at = now + PAUSES[claimed.attempt - 1]
    session.flush()


def put_off(session: Session, *, now: datetime, claimed: Claim) -> None:
    """The document that it brings is not printed yet: due again soon, and this was no try."""
    row = _locked(session, claimed.id)
    if row.state != "waiting" or row.attempts != claimed.attempt:
        return
    row.attempts -= 1
    row.last_error, row.sending_at, row.next_attempt_at = "document_waits", None, now + DOCUMENT_PAUSE
    session.flush()


def again(session: Session, *, now: datetime, delivery_id: str, actor: str) -> None:
    """Let a delivery be tried at once, a failed one with all its tries. Raises NotFound, Conflict (sent, or being sent now)."""
    row = _locked(session, delivery_id)
    if row.state == "sent":
        raise Conflict(delivery_id=row.id, reason="mail_sent_already")
    if row.sending_at is not None and row.next_attempt_at > now:
        raise Conflict(delivery_id=row.id, reason="mail_being_sent")
    if row.state == "failed":
        row.attempts = 0
    row.state, row.ended_at, row.set_aside_at, row.next_attempt_at = "waiting", None, None, now
    _audit(session, now, row, "notice.again", actor)


def set_aside(session: Session, *, now: datetime, delivery_id: str, actor: str) -> None:
    """Take a failed delivery off the list of what waits for a person; it stays as it is. Raises NotFound, Conflict."""
    row = _locked(session, delivery_id)
    if row.state != "failed":
        raise Conflict(delivery_id=row.id, reason="mail_not_failed")
    if row.set_aside_at is None:
        row.set_aside_at = now
        _audit(session, now, row, "notice.set_aside", actor)


def get_delivery(session: Session, *, delivery_id: str) -> DeliveryRow:
    """One delivery. Raises NotFound."""
    found = session.execute(_rows().where(Delivery.id == delivery_id)).one_or_none()
    if found is None:
        raise NotFound(delivery_id=names.shown(delivery_id))
    return _row(*found)


def list_deliveries(
    session: Session,
    *,
    state: str | None = None,
    topic: str | None = None,
    recipient: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[DeliveryRow], int]:
    """Deliveries, newest first, and how many match. `recipient` is any part of the address."""
    query = _rows()
    if state:
        query = query.where(Delivery.state == state)
    if topic:
        query = query.where(OutboxMessage.topic == topic)
    if recipient:
        query = query.where(Delivery.recipient.contains(recipient.strip().lower(), autoescape=True))
    total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    found = session.execute(query.order_by(Delivery.id.desc()).limit(limit).offset(offset)).all()
    return [_row(*one) for one in found], total


def list_about(session: Session, *, invoice_id: str, limit: int = 100) -> list[DeliveryRow]:
    """The mails about one invoice or credit note, newest first: that it was issued, copies, reminders."""
    about = [OutboxMessage.dedup_key.startswith(f"{topic}:{invoice_id}", autoescape=True) for topic in _ABOUT_DOCUMENTS]
    found = session.execute(_rows().where(or_(*about)).order_by(Delivery.id.desc()).limit(limit)).all()
    return [_row(*one) for one in found]


def _locked(session: Session, delivery_id: str) -> Delivery:
    row = session.scalar(select(Delivery).where(Delivery.id == delivery_id).with_for_update())
    if row is None:
        raise NotFound(delivery_id=names.shown(delivery_id))
    return row


def _audit(session: Session, now: datetime, row: Delivery, act: str, actor: str) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="notice_delivery",
        subject_id=row.id,
        billing_account_id=row.billing_account_id,
        facts={"message_id": row.message_id},
    )
    session.flush()


def _rows() -> Select[Delivery, str, str, str]:
    return (
        select(Delivery, OutboxMessage.topic, BillingAccount.code, BillingAccount.name)
        .join(OutboxMessage, OutboxMessage.id == Delivery.message_id)
        .outerjoin(BillingAccount, BillingAccount.id == Delivery.billing_account_id)
    )


def _row(item: Delivery, topic: str, account_code: str | None, account_name: str | None) -> DeliveryRow:
    return DeliveryRow(
        id=item.id,
        message_id=item.message_id,
        topic=topic,
        account_id=item.billing_account_id,
        account_code=account_code,
        account_name=account_name,
        recipient=item.recipient,
        state=item.state,
        attempts=item.attempts,
        created_at=item.created_at,
        next_attempt_at=item.next_attempt_at,
        ended_at=item.ended_at,
        sending_at=item.sending_at,
        set_aside_at=item.set_aside_at,
        error=item.last_error,
        correlation_id=item.correlation_id,
    )
