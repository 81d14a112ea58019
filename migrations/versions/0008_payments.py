"""Money in and out."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "sandbox_objects",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("reference", types.ident(), nullable=True),
        sa.Column("parent_id", types.ident(), nullable=True),
        sa.Column("idempotency_key", types.ident(), nullable=True),
        sa.Column("request_hash", types.ident(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_objects")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_sandbox_objects_idempotency_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_sandbox_objects_parent_id", "sandbox_objects", ["parent_id"], unique=False)
    op.create_index("ix_sandbox_objects_reference", "sandbox_objects", ["kind", "reference"], unique=False)
    op.create_table(
        "stripe_events",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("event_id", types.ident(), nullable=False),
        sa.Column("type", types.ident(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("attempts", types.count(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("received_at", types.instant(), nullable=False),
        sa.Column("processed_at", types.instant(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'processed', 'ignored', 'failed')", name=op.f("ck_stripe_events_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_events")),
        sa.UniqueConstraint("provider", "event_id", name=op.f("uq_stripe_events_provider_event_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_stripe_events_state", "stripe_events", ["state", "received_at"], unique=False)
    op.create_table(
        "billing_provider_customers",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("customer_id", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"],
            ["billing_accounts.id"],
            name=op.f("fk_billing_provider_customers_billing_account_id"),
        ),
        sa.PrimaryKeyConstraint("billing_account_id", "provider", name=op.f("pk_billing_provider_customers")),
        sa.UniqueConstraint("provider", "customer_id", name=op.f("uq_billing_provider_customers_provider_customer_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "payment_sessions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("purpose", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=True),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=False),
        sa.Column("provider_session_id", types.ident(), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.Column("looked_up_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "(purpose = 'invoice') = (invoice_id IS NOT NULL)", name=op.f("ck_payment_sessions_invoice")
        ),
        sa.CheckConstraint("purpose IN ('top_up', 'invoice')", name=op.f("ck_payment_sessions_purpose")),
        sa.CheckConstraint(
            "state IN ('created', 'open', 'unknown', 'paid', 'failed', 'expired')",
            name=op.f("ck_payment_sessions_state"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_sessions_amount")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_payment_sessions_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_payment_sessions_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_sessions")),
        sa.UniqueConstraint(
            "billing_account_id", "form_key", name=op.f("uq_payment_sessions_billing_account_id_form_key")
        ),
        sa.UniqueConstraint(
            "provider", "provider_session_id", name=op.f("uq_payment_sessions_provider_provider_session_id")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_payment_sessions_billing_account_id", "payment_sessions", ["billing_account_id", "id"], unique=False
    )
    op.create_index("ix_payment_sessions_state", "payment_sessions", ["state", "updated_at"], unique=False)
    op.create_table(
        "payments",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("session_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_payment_id", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("refunded_minor", types.count(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("method_label", sa.Text(), nullable=True),
        sa.Column("received_at", types.instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name=op.f("ck_payments_refunded")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_payments_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["session_id"], ["payment_sessions.id"], name=op.f("fk_payments_session_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_payments_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("provider", "provider_payment_id", name=op.f("uq_payments_provider_provider_payment_id")),
        sa.UniqueConstraint("session_id", name=op.f("uq_payments_session_id")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_payments_transaction_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_payments_billing_account_id", "payments", ["billing_account_id", "id"], unique=False)
    op.create_table(
        "refund_requests",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("payment_id", types.ident(), nullable=True),
        sa.Column("invoice_id", types.ident(), nullable=True),
        sa.Column("mode", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=False),
        sa.Column("requested_by", types.ident(), nullable=False),
        sa.Column("requested_at", types.instant(), nullable=False),
        sa.Column("decided_by", types.ident(), nullable=True),
        sa.Column("decided_at", types.instant(), nullable=True),
        sa.Column("decision_note", sa.Text(), nullable=True),
        sa.Column("credit_note_id", types.ident(), nullable=True),
        sa.Column("provider_refund_id", types.ident(), nullable=True),
        sa.Column("sent_at", types.instant(), nullable=True),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("looked_up_at", types.instant(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint("(mode = 'card') = (payment_id IS NOT NULL)", name=op.f("ck_refund_requests_payment")),
        sa.CheckConstraint("(mode = 'credit') = (invoice_id IS NOT NULL)", name=op.f("ck_refund_requests_invoice")),
        sa.CheckConstraint("mode IN ('card', 'credit')", name=op.f("ck_refund_requests_mode")),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'sent', 'succeeded', 'failed', 'rejected', 'unknown')",
            name=op.f("ck_refund_requests_state"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_requests_amount")),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> requested_by", name=op.f("ck_refund_requests_second_person")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_refund_requests_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["invoice_headers.id"], name=op.f("fk_refund_requests_credit_note_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_refund_requests_invoice_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refund_requests_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_requests")),
        sa.UniqueConstraint(
            "billing_account_id", "form_key", name=op.f("uq_refund_requests_billing_account_id_form_key")
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_refund_requests_payment_id", "refund_requests", ["payment_id"], unique=False)
    op.create_index("ix_refund_requests_state", "refund_requests", ["state", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("refund_requests")
    op.drop_table("payments")
    op.drop_table("payment_sessions")
    op.drop_table("billing_provider_customers")
    op.drop_table("stripe_events")
    op.drop_table("sandbox_objects")
