"""Disputes, their funds and their evidence."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0045"
down_revision = "0044"

_STATES = "'opened', 'needs_response', 'evidence_due', 'evidence_submitted', 'won', 'lost', 'closed'"
_INDEXES = (
    ("ix_payment_disputes_billing_account_id", "payment_disputes", ["billing_account_id", "id"]),
    ("ix_payment_disputes_payment_id", "payment_disputes", ["payment_id"]),
    ("ix_payment_disputes_invoice_id", "payment_disputes", ["invoice_id"]),
    ("ix_payment_disputes_state", "payment_disputes", ["state", "due_by"]),
    ("ix_payment_disputes_provider_payment_id", "payment_disputes", ["provider_payment_id"]),
    ("ix_payment_disputes_correlation_id", "payment_disputes", ["correlation_id"]),
    ("ix_dispute_events_transaction_id", "dispute_events", ["transaction_id"]),
    ("ix_dispute_files_dispute_id", "dispute_files", ["dispute_id"]),
    ("ix_dispute_submissions_state", "dispute_submissions", ["state", "created_at"]),
    ("ix_dispute_submissions_correlation_id", "dispute_submissions", ["correlation_id"]),
    ("ix_fraud_warnings_billing_account_id", "fraud_warnings", ["billing_account_id", "id"]),
    ("ix_fraud_warnings_payment_id", "fraud_warnings", ["payment_id"]),
    ("ix_fraud_warnings_is_actionable", "fraud_warnings", ["is_actionable", "id"]),
)
_TABLES = (
    "fraud_warnings",
    "dispute_submissions",
    "dispute_files",
    "dispute_evidence",
    "dispute_events",
    "payment_disputes",
)


def upgrade() -> None:
    _disputes()
    _events()
    _evidence()
    _submissions()
    _warnings()
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns, unique=False)


def downgrade() -> None:
    for name, table, _columns in reversed(_INDEXES):
        op.drop_index(name, table_name=table)
    for table in _TABLES:
        op.drop_table(table)


def _column(name: str, type_: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=nullable)


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _disputes() -> None:
    table = "payment_disputes"
    op.create_table(
        table,
        _column("id", types.ident()),
        _column("billing_account_id", types.ident(), nullable=True),
        _column("payment_id", types.ident(), nullable=True),
        _column("invoice_id", types.ident(), nullable=True),
        _column("provider", types.ident()),
        _column("provider_dispute_id", types.ident()),
        _column("provider_payment_id", types.ident(), nullable=True),
        _column("provider_charge_id", types.ident(), nullable=True),
        _column("is_inquiry", types.flag()),
        _column("amount_minor", types.count()),
        _column("currency", types.ident()),
        _column("reason", types.ident()),
        _column("network_reason_code", types.ident(), nullable=True),
        _column("provider_state", types.ident()),
        _column("state", types.ident()),
        _column("funds", types.ident()),
        _column("finding", types.ident(), nullable=True),
        _column("due_by", types.instant(), nullable=True),
        _column("submission_count", types.count()),
        _column("version", types.count()),
        _column("opened_at", types.instant()),
        _column("ended_at", types.instant(), nullable=True),
        _column("recorded_at", types.instant()),
        _column("updated_at", types.instant()),
        _column("looked_up_at", types.instant()),
        _column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payment_disputes_amount")),
        sa.CheckConstraint(
            "(payment_id IS NULL) = (billing_account_id IS NULL)", name=op.f("ck_payment_disputes_payment")
        ),
        sa.CheckConstraint("payment_id IS NOT NULL OR finding IS NOT NULL", name=op.f("ck_payment_disputes_finding")),
        sa.CheckConstraint(f"state IN ({_STATES})", name=op.f("ck_payment_disputes_state")),
        sa.CheckConstraint("funds IN ('none', 'withdrawn', 'reinstated')", name=op.f("ck_payment_disputes_funds")),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (state IN ('won', 'lost', 'closed'))", name=op.f("ck_payment_disputes_ended")
        ),
        _reference(table, "billing_account_id", "billing_accounts"),
        _reference(table, "payment_id", "payments"),
        _reference(table, "invoice_id", "invoice_headers"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_disputes")),
        sa.UniqueConstraint(
            "provider", "provider_dispute_id", name=op.f("uq_payment_disputes_provider_provider_dispute_id")
        ),
        sqlite_strict=True,
    )


def _events() -> None:
    table = "dispute_events"
    op.create_table(
        table,
        _column("id", types.ident()),
        _column("dispute_id", types.ident()),
        _column("seq", types.count()),
        _column("type", types.ident()),
        _column("amount_minor", types.count(), nullable=True),
        _column("currency", types.ident(), nullable=True),
        _column("source_id", types.ident(), nullable=True),
        _column("transaction_id", types.ident(), nullable=True),
        _column("facts", sa.Text()),
        _column("actor", types.ident()),
        _column("occurred_at", types.instant()),
        _column("recorded_at", types.instant()),
        sa.CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name=op.f("ck_dispute_events_amount")),
        _reference(table, "dispute_id", "payment_disputes"),
        _reference(table, "transaction_id", "ledger_transactions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_events")),
        sa.UniqueConstraint("dispute_id", "seq", name=op.f("uq_dispute_events_dispute_id_seq")),
        sa.UniqueConstraint(
            "dispute_id", "type", "source_id", name=op.f("uq_dispute_events_dispute_id_type_source_id")
        ),
        sqlite_strict=True,
    )


def _evidence() -> None:
    op.create_table(
        "dispute_evidence",
        _column("dispute_id", types.ident()),
        _column("texts", sa.Text()),
        _column("files", sa.Text()),
        _column("version", types.count()),
        _column("updated_by", types.ident()),
        _column("updated_at", types.instant()),
        _reference("dispute_evidence", "dispute_id", "payment_disputes"),
        sa.PrimaryKeyConstraint("dispute_id", name=op.f("pk_dispute_evidence")),
        sqlite_strict=True,
    )
    op.create_table(
        "dispute_files",
        _column("id", types.ident()),
        _column("dispute_id", types.ident()),
        _column("name", sa.Text()),
        _column("media_type", types.ident()),
        _column("sha256", types.ident()),
        _column("content", sa.LargeBinary()),
        _column("made_by", types.ident()),
        _column("made_at", types.instant()),
        _reference("dispute_files", "dispute_id", "payment_disputes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_files")),
        sqlite_strict=True,
    )


def _submissions() -> None:
    table = "dispute_submissions"
    op.create_table(
        table,
        _column("id", types.ident()),
        _column("dispute_id", types.ident()),
        _column("kind", types.ident()),
        _column("form_key", types.ident()),
        _column("content", sa.LargeBinary()),
        _column("sha256", types.ident()),
        _column("submission_count", types.count()),
        _column("state", types.ident()),
        _column("uploads", sa.Text()),
        _column("failure", sa.Text(), nullable=True),
        _column("submitted_by", types.ident()),
        _column("created_at", types.instant()),
        _column("sent_at", types.instant(), nullable=True),
        _column("ended_at", types.instant(), nullable=True),
        _column("looked_up_at", types.instant(), nullable=True),
        _column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint("kind IN ('evidence', 'acceptance')", name=op.f("ck_dispute_submissions_kind")),
        sa.CheckConstraint(
            "state IN ('created', 'unknown', 'submitted', 'failed')", name=op.f("ck_dispute_submissions_state")
        ),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (state IN ('submitted', 'failed'))", name=op.f("ck_dispute_submissions_ended")
        ),
        _reference(table, "dispute_id", "payment_disputes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_submissions")),
        sa.UniqueConstraint("dispute_id", "form_key", name=op.f("uq_dispute_submissions_dispute_id_form_key")),
        sqlite_strict=True,
    )


def _warnings() -> None:
    table = "fraud_warnings"
    op.create_table(
        table,
        _column("id", types.ident()),
        _column("billing_account_id", types.ident(), nullable=True),
        _column("payment_id", types.ident(), nullable=True),
        _column("provider", types.ident()),
        _column("provider_warning_id", types.ident()),
        _column("provider_payment_id", types.ident(), nullable=True),
        _column("provider_charge_id", types.ident(), nullable=True),
        _column("fraud_type", types.ident()),
        _column("is_actionable", types.flag()),
        _column("warned_at", types.instant()),
        _column("recorded_at", types.instant()),
        _column("updated_at", types.instant()),
        sa.CheckConstraint(
            "(payment_id IS NULL) = (billing_account_id IS NULL)", name=op.f("ck_fraud_warnings_payment")
        ),
        _reference(table, "billing_account_id", "billing_accounts"),
        _reference(table, "payment_id", "payments"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fraud_warnings")),
        sa.UniqueConstraint(
            "provider", "provider_warning_id", name=op.f("uq_fraud_warnings_provider_provider_warning_id")
        ),
        sqlite_strict=True,
    )
