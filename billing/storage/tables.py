"""Tables that every room shares: audit and its seals, outbox, keys of requests, limits, job runs, long works, signing keys, settings."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Hash, Ident, Instant, Json, Words, table_args


class AuditRecord(Base):
    """Who did what to which object, written in the act's own transaction. Names and free text stay out of `facts`."""

    __tablename__ = "audit_log"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(
        Code
    )  # a user id, "job:<name>", "cli:<login>", "provider:<name>" or "apikey:<id>"
    act: Mapped[str] = mapped_column(Code)
    subject_type: Mapped[str] = mapped_column(Code)
    subject_id: Mapped[str] = mapped_column(Ident)
    billing_account_id: Mapped[str | None] = mapped_column(Ident)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        Index("ix_audit_log_subject", "subject_type", "subject_id", "id"),
        Index("ix_audit_log_billing_account_id", "billing_account_id", "id"),
        Index("ix_audit_log_correlation_id", "correlation_id"),
        guard=APPEND_ONLY,
    )


class AuditSeal(Base):
    """The place of one audit row in the chain, given by a job after the row was committed; `chain_hash` covers all before it."""

    __tablename__ = "audit_seals"

    audit_id: Mapped[str] = mapped_column(ForeignKey("audit_log.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Count, unique=True)  # from 1, without gaps
    row_hash: Mapped[str] = mapped_column(Hash)
    chain_hash: Mapped[str] = mapped_column(Hash)
    sealed_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)


class SigningKey(Base):
    """The public half of a key that signed something here (Ed25519). A new key is signed by the one before it."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    public_key: Mapped[str] = mapped_column(Code, unique=True)  # 32 bytes in hex
    fingerprint: Mapped[str] = mapped_column(Hash, unique=True)  # SHA-256 of those bytes
    previous_id: Mapped[str | None] = mapped_column(ForeignKey("signing_keys.id"), unique=True)
    signature: Mapped[str | None] = mapped_column(Code)  # of this public key by the previous key, in hex
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("(previous_id IS NULL) = (signature IS NULL)", name="signature"), guard=APPEND_ONLY
    )


class OutboxMessage(Base):
    """A notice decided inside a transaction, to be delivered after it by the relay."""

    __tablename__ = "outbox_messages"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    topic: Mapped[str] = mapped_column(Code)
    billing_account_id: Mapped[str | None] = mapped_column(Ident)
    dedup_key: Mapped[str] = mapped_column(Code)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("dedup_key"),
        Index("ix_outbox_messages_due", "delivered_at", "next_attempt_at"),
        Index("ix_outbox_messages_correlation_id", "correlation_id"),
    )


class Delivery(Base):
    """One notice on its way to one recipient by one channel: tried until it is sent, or given up."""

    __tablename__ = "notice_deliveries"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("outbox_messages.id"))
    billing_account_id: Mapped[str | None] = mapped_column(Ident)
    channel: Mapped[str] = mapped_column(Code)
    recipient: Mapped[str] = mapped_column(Code)  # an e-mail address, or a webhook endpoint's id
    state: Mapped[str] = mapped_column(Code)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)
    correlation_id: Mapped[str | None] = mapped_column(Code)
    sending_at: Mapped[datetime | None] = mapped_column(Instant)  # since when a worker has it, None between the tries
    set_aside_at: Mapped[datetime | None] = mapped_column(Instant)  # a person took a failed one off the list

    __table_args__ = table_args(
        CheckConstraint("channel IN ('email', 'webhook')", name="channel"),
        CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        UniqueConstraint("message_id", "channel", "recipient"),
        Index("ix_notice_deliveries_due", "state", "next_attempt_at"),
        Index("ix_notice_deliveries_billing_account_id", "billing_account_id", "id"),
    )


class IdempotencyKey(Base):
    """The stored answer to a keyed request: a repeat gets it again, other content under the key is refused."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(Code, primary_key=True)
    key: Mapped[str] = mapped_column(Code, primary_key=True)
    request_hash: Mapped[str] = mapped_column(Ident)
    status: Mapped[int] = mapped_column(Count)
    body: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)


class IdempotencyClaim(Base):
    """A keyed request that is being worked on at this moment; gone when it has its answer. A dead one is taken over."""

    __tablename__ = "idempotency_claims"

    scope: Mapped[str] = mapped_column(Code, primary_key=True)
    key: Mapped[str] = mapped_column(Code, primary_key=True)
    request_hash: Mapped[str] = mapped_column(Hash)
    holder: Mapped[str] = mapped_column(Ident)
    claimed_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class RateLimit(Base):
    """How much of a limit was used in the window that began at `window_started_at`, over all processes."""

    __tablename__ = "rate_limits"

    bucket: Mapped[str] = mapped_column(Code, primary_key=True)
    window_started_at: Mapped[datetime] = mapped_column(Instant)
    used_count: Mapped[int] = mapped_column(Count)

    __table_args__ = table_args(Index("ix_rate_limits_window_started_at", "window_started_at"))


class Work(Base):
    """Something long that a person asked for: a job does it, a page with its own URL shows how far it is and keeps its result."""

    __tablename__ = "works"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)  # what was asked for
    form_key: Mapped[str] = mapped_column(Code, unique=True)
    requested_by: Mapped[str] = mapped_column(Ident)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(Code)
    total_count: Mapped[int | None] = mapped_column(Count)
    done_count: Mapped[int] = mapped_column(Count, default=0)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    moved_at: Mapped[datetime | None] = mapped_column(Instant)  # last sign of life; a dead one is begun again
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    failure: Mapped[str | None] = mapped_column(Words)
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("state IN ('waiting', 'running', 'succeeded', 'failed')", name="state"),
        CheckConstraint("(state IN ('succeeded', 'failed')) = (ended_at IS NOT NULL)", name="ended"),
        Index("ix_works_state", "state", "id"),
        Index("ix_works_correlation_id", "correlation_id"),
    )


class JobRun(Base):
    """One run of one job: started, then its result. A run without an end belongs to a process that died."""

    __tablename__ = "job_runs"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    job: Mapped[str] = mapped_column(Code)
    trigger: Mapped[str] = mapped_column(Code)  # schedule, manual
    started_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    result: Mapped[str | None] = mapped_column(Code)  # succeeded, failed, abandoned
    done_count: Mapped[int] = mapped_column(Count, default=0)
    detail: Mapped[str | None] = mapped_column(Words)
    holder: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("result IS NULL OR result IN ('succeeded', 'failed', 'abandoned')", name="result"),
        Index("ix_job_runs_job", "job", "started_at"),
    )


class Lease(Base):
    """Who leads: at most one holder until `expires_at`; `term` rises with every change of holder (a fencing token)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(Code, primary_key=True)
    holder: Mapped[str] = mapped_column(Code)
    term: Mapped[int] = mapped_column(Count)
    expires_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class Setting(Base):
    """One fact about this installation, such as when the demo was loaded."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(Code, primary_key=True)
    value: Mapped[str] = mapped_column(Words)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()
