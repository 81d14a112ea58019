"""Tables of disputes: the dispute, what happened to it, what was answered, and early warnings."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Blob,
    Code,
    Count,
    Flag,
    Hash,
    Ident,
    Instant,
    Json,
    Minor,
    Words,
    table_args,
)


class Dispute(Base):
    """A dispute as its provider holds it. With a `finding` it is a case for people: what it is about is not as we know it, and
    nothing is posted. Without a payment it is about money that we never credited."""

    __tablename__ = "payment_disputes"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    payment_id: Mapped[str | None] = mapped_column(ForeignKey("payments.id"))
    invoice_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_headers.id"))  # that the payment paid
    provider: Mapped[str] = mapped_column(Code)
    provider_dispute_id: Mapped[str] = mapped_column(Code)
    provider_payment_id: Mapped[str | None] = mapped_column(Code)
    provider_charge_id: Mapped[str | None] = mapped_column(Code)
    is_inquiry: Mapped[bool] = mapped_column(Flag)  # the bank only asks: no money moves
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    reason: Mapped[str] = mapped_column(Code)
    network_reason_code: Mapped[str | None] = mapped_column(Code)
    provider_state: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    funds: Mapped[str] = mapped_column(Code, default="none")
    finding: Mapped[str | None] = mapped_column(Code)  # payment_unknown, currency_mismatch
    due_by: Mapped[datetime | None] = mapped_column(Instant)
    submission_count: Mapped[int] = mapped_column(Count, default=0)
    version: Mapped[int] = mapped_column(
        Count, default=0
    )  # one more with each look taken over: a look that is older is refused
    opened_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    looked_up_at: Mapped[datetime] = mapped_column(Instant)  # when the provider was last asked
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_dispute_id"),
        CheckConstraint("amount_minor >= 0", name="amount"),
        CheckConstraint("(payment_id IS NULL) = (billing_account_id IS NULL)", name="payment"),
        CheckConstraint("payment_id IS NOT NULL OR finding IS NOT NULL", name="finding"),
        CheckConstraint(
            "state IN ('opened', 'needs_response', 'evidence_due', 'evidence_submitted', 'won', 'lost', 'closed')",
            name="state",
        ),
        CheckConstraint("funds IN ('none', 'withdrawn', 'reinstated')", name="funds"),
        CheckConstraint("(ended_at IS NOT NULL) = (state IN ('won', 'lost', 'closed'))", name="ended"),
        Index("ix_payment_disputes_billing_account_id", "billing_account_id", "id"),
        Index("ix_payment_disputes_payment_id", "payment_id"),
        Index("ix_payment_disputes_invoice_id", "invoice_id"),
        Index("ix_payment_disputes_state", "state", "due_by"),
        Index("ix_payment_disputes_provider_payment_id", "provider_payment_id"),
        Index("ix_payment_disputes_correlation_id", "correlation_id"),
    )


class DisputeEvent(Base):
    """What happened to a dispute, in our order; a movement of money names its transaction and what it moved."""

    __tablename__ = "dispute_events"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    dispute_id: Mapped[str] = mapped_column(ForeignKey("payment_disputes.id"))
    seq: Mapped[int] = mapped_column(Count)
    type: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int | None] = mapped_column(
        Minor
    )  # signed as the balance of the account moves: held is below zero
    currency: Mapped[str | None] = mapped_column(Code)
    source_id: Mapped[str | None] = mapped_column(Code)  # the provider's balance transaction
    transaction_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    actor: Mapped[str] = mapped_column(Code)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("dispute_id", "seq"),
        UniqueConstraint("dispute_id", "type", "source_id"),
        CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount"),
        Index("ix_dispute_events_transaction_id", "transaction_id"),
        guard=APPEND_ONLY,
    )


class DisputeEvidence(Base):
    """What we would answer, while people still work on it: texts by the provider's field names; files lie beside it."""

    __tablename__ = "dispute_evidence"

    dispute_id: Mapped[str] = mapped_column(ForeignKey("payment_disputes.id"), primary_key=True)
    texts: Mapped[dict[str, str]] = mapped_column(Json)
    files: Mapped[dict[str, str]] = mapped_column(Json)  # field -> dispute_files.id
    version: Mapped[int] = mapped_column(Count)
    updated_by: Mapped[str] = mapped_column(Code)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class DisputeFile(Base):
    """The bytes of one piece of evidence, as they were made or given."""

    __tablename__ = "dispute_files"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    dispute_id: Mapped[str] = mapped_column(ForeignKey("payment_disputes.id"))
    name: Mapped[str] = mapped_column(Words)
    media_type: Mapped[str] = mapped_column(Code)
    sha256: Mapped[str] = mapped_column(Hash)
    content: Mapped[bytes] = mapped_column(Blob)
    made_by: Mapped[str] = mapped_column(Code)
    made_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(Index("ix_dispute_files_dispute_id", "dispute_id"), guard=APPEND_ONLY)


class DisputeSubmission(Base):
    """One final answer to a dispute, evidence or acceptance, stored byte for byte before it is sent (Law 6)."""

    __tablename__ = "dispute_submissions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    dispute_id: Mapped[str] = mapped_column(ForeignKey("payment_disputes.id"))
    kind: Mapped[str] = mapped_column(Code)
    form_key: Mapped[str] = mapped_column(Code)
    content: Mapped[bytes] = mapped_column(Blob)  # canonical JSON: texts, and of each file its name, hash and field
    sha256: Mapped[str] = mapped_column(Hash)
    submission_count: Mapped[int] = mapped_column(
        Count
    )  # the provider's count before it: one more proves that it arrived
    state: Mapped[str] = mapped_column(Code)
    uploads: Mapped[dict[str, str]] = mapped_column(Json)  # dispute_files.id -> the provider's file
    failure: Mapped[str | None] = mapped_column(Words)
    submitted_by: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    looked_up_at: Mapped[datetime | None] = mapped_column(Instant)
    correlation_id: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        UniqueConstraint("dispute_id", "form_key"),
        CheckConstraint("kind IN ('evidence', 'acceptance')", name="kind"),
        CheckConstraint("state IN ('created', 'unknown', 'submitted', 'failed')", name="state"),
        CheckConstraint("(ended_at IS NOT NULL) = (state IN ('submitted', 'failed'))", name="ended"),
        Index("ix_dispute_submissions_state", "state", "created_at"),
        Index("ix_dispute_submissions_correlation_id", "correlation_id"),
        guard="OLD.ended_at IS NOT NULL",
    )


class FraudWarning(Base):
    """A card issuer's early word that a payment may be fraud: a dispute often follows, a refund in time avoids it."""

    __tablename__ = "fraud_warnings"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    payment_id: Mapped[str | None] = mapped_column(ForeignKey("payments.id"))
    provider: Mapped[str] = mapped_column(Code)
    provider_warning_id: Mapped[str] = mapped_column(Code)
    provider_payment_id: Mapped[str | None] = mapped_column(Code)
    provider_charge_id: Mapped[str | None] = mapped_column(Code)
    fraud_type: Mapped[str] = mapped_column(Code)
    is_actionable: Mapped[bool] = mapped_column(Flag)
    warned_at: Mapped[datetime] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("provider", "provider_warning_id"),
        CheckConstraint("(payment_id IS NULL) = (billing_account_id IS NULL)", name="payment"),
        Index("ix_fraud_warnings_billing_account_id", "billing_account_id", "id"),
        Index("ix_fraud_warnings_payment_id", "payment_id"),
        Index("ix_fraud_warnings_is_actionable", "is_actionable", "id"),
    )
