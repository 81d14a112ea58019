"""What every room shares: audit, outbox, idempotency keys, job runs, leases, settings."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("act", types.ident(), nullable=False),
        sa.Column("subject_type", types.ident(), nullable=False),
        sa.Column("subject_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_log_billing_account_id", "audit_log", ["billing_account_id", "id"], unique=False)
    op.create_index("ix_audit_log_correlation_id", "audit_log", ["correlation_id"], unique=False)
    op.create_index("ix_audit_log_subject", "audit_log", ["subject_type", "subject_id", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", types.ident(), nullable=False),
        sa.Column("key", types.ident(), nullable=False),
        sa.Column("request_hash", types.ident(), nullable=False),
        sa.Column("status", types.count(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
        sqlite_strict=True,
    )
    op.create_table(
        "job_runs",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("job", types.ident(), nullable=False),
        sa.Column("trigger", types.ident(), nullable=False),
        sa.Column("started_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("result", types.ident(), nullable=True),
        sa.Column("done_count", types.count(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("holder", types.ident(), nullable=False),
        sa.CheckConstraint(
            "result IS NULL OR result IN ('succeeded', 'failed', 'abandoned')", name=op.f("ck_job_runs_result")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
        sqlite_strict=True,
    )
    op.create_index("ix_job_runs_job", "job_runs", ["job", "started_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", types.ident(), nullable=False),
        sa.Column("holder", types.ident(), nullable=False),
        sa.Column("term", types.count(), nullable=False),
        sa.Column("expires_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox_messages",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("topic", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("dedup_key", types.ident(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("next_attempt_at", types.instant(), nullable=False),
        sa.Column("attempts", types.count(), nullable=False),
        sa.Column("delivered_at", types.instant(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_messages")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_outbox_messages_dedup_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_outbox_messages_due", "outbox_messages", ["delivered_at", "next_attempt_at"], unique=False)
    op.create_table(
        "settings",
        sa.Column("name", types.ident(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("settings")
    op.drop_table("outbox_messages")
    op.drop_table("leases")
    op.drop_table("job_runs")
    op.drop_table("idempotency_keys")
    op.drop_table("audit_log")
