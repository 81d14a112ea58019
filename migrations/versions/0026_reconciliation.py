"""Reconciliation runs and findings."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "billing_reconciliation_runs",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("period_label", types.ident(), nullable=True),
        sa.Column("started_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=False),
        sa.Column("checked_count", types.count(), nullable=False),
        sa.Column("finding_count", types.count(), nullable=False),
        sa.Column("new_count", types.count(), nullable=False),
        sa.Column("stages", sa.Text(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_reconciliation_runs")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_billing_reconciliation_runs_started_at", "billing_reconciliation_runs", ["started_at"], unique=False
    )
    op.create_table(
        "billing_reconciliation_findings",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("key", types.ident(), nullable=False),
        sa.Column("open_key", types.ident(), nullable=True),
        sa.Column("stage", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("currency", types.ident(), nullable=True),
        sa.Column("period_label", types.ident(), nullable=True),
        sa.Column("subject_type", types.ident(), nullable=False),
        sa.Column("subject_id", types.ident(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("owner", types.ident(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("first_run_id", types.ident(), nullable=False),
        sa.Column("last_run_id", types.ident(), nullable=False),
        sa.Column("first_seen_at", types.instant(), nullable=False),
        sa.Column("last_seen_at", types.instant(), nullable=False),
        sa.Column("closed_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "(state = 'closed') = (open_key IS NULL)", name=op.f("ck_billing_reconciliation_findings_open_key")
        ),
        sa.CheckConstraint(
            "state <> 'explained' OR explanation IS NOT NULL",
            name=op.f("ck_billing_reconciliation_findings_explanation"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'explained', 'closed')", name=op.f("ck_billing_reconciliation_findings_state")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"],
            ["billing_accounts.id"],
            name=op.f("fk_billing_reconciliation_findings_billing_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["first_run_id"],
            ["billing_reconciliation_runs.id"],
            name=op.f("fk_billing_reconciliation_findings_first_run_id"),
        ),
        sa.ForeignKeyConstraint(
            ["last_run_id"],
            ["billing_reconciliation_runs.id"],
            name=op.f("fk_billing_reconciliation_findings_last_run_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_reconciliation_findings")),
        sa.UniqueConstraint("open_key", name=op.f("uq_billing_reconciliation_findings_open_key")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_billing_reconciliation_findings_billing_account_id",
        "billing_reconciliation_findings",
        ["billing_account_id"],
        unique=False,
    )
    op.create_index(
        "ix_billing_reconciliation_findings_state",
        "billing_reconciliation_findings",
        ["state", "first_seen_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_billing_reconciliation_findings_state", table_name="billing_reconciliation_findings")
    op.drop_index("ix_billing_reconciliation_findings_billing_account_id", table_name="billing_reconciliation_findings")
    op.drop_table("billing_reconciliation_findings")
    op.drop_index("ix_billing_reconciliation_runs_started_at", table_name="billing_reconciliation_runs")
    op.drop_table("billing_reconciliation_runs")
