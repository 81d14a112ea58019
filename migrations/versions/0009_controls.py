"""Budgets and their crossings."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "budget_policies",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("project_id", types.ident(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("thresholds_percent", sa.Text(), nullable=False),
        sa.Column("is_active", types.flag(), nullable=False),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_budget_policies_amount")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_budget_policies_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_budget_policies_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_policies")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_budget_policies_billing_account_id", "budget_policies", ["billing_account_id", "id"], unique=False
    )
    op.create_table(
        "budget_events",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("policy_id", types.ident(), nullable=False),
        sa.Column("period_label", types.ident(), nullable=False),
        sa.Column("threshold_percent", types.count(), nullable=False),
        sa.Column("first_seen_at", types.instant(), nullable=False),
        sa.Column("last_seen_at", types.instant(), nullable=False),
        sa.Column("seen_count", types.count(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["budget_policies.id"], name=op.f("fk_budget_events_policy_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_events")),
        sa.UniqueConstraint(
            "policy_id",
            "period_label",
            "threshold_percent",
            name=op.f("uq_budget_events_policy_id_period_label_threshold_percent"),
        ),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("budget_events")
    op.drop_table("budget_policies")
