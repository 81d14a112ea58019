"""Rescaled counters, and what each day cost."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "counter_rescales",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("counter_id", types.ident(), nullable=False),
        sa.Column("counter_seq", types.count(), nullable=False),
        sa.Column("line_seq", types.count(), nullable=False),
        sa.Column("old_scale", sa.Text(), nullable=True),
        sa.Column("new_scale", sa.Text(), nullable=True),
        sa.Column("rescaled_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_counter_rescales_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["counter_id"], ["counters.id"], name=op.f("fk_counter_rescales_counter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counter_rescales")),
        sa.UniqueConstraint("counter_id", "counter_seq", name=op.f("uq_counter_rescales_counter_id_counter_seq")),
        sqlite_strict=True,
    )
    op.create_index("ix_counter_rescales_billing_account_id", "counter_rescales", ["billing_account_id"], unique=False)
    op.create_table(
        "rated_days",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("day", types.day(), nullable=False),
        sa.Column("key", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("sku_code", types.ident(), nullable=False),
        sa.Column("project_id", types.ident(), nullable=True),
        sa.Column("resource", types.ident(), nullable=False),
        sa.Column("route", types.ident(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("amount_micro", types.quantity(), nullable=False),
        sa.Column("line_count", types.count(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_rated_days_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_rated_days_project_id")),
        sa.ForeignKeyConstraint(["sku_code"], ["sku_catalog.code"], name=op.f("fk_rated_days_sku_code")),
        sa.PrimaryKeyConstraint("billing_account_id", "day", "key", name=op.f("pk_rated_days")),
        sqlite_strict=True,
    )
    op.create_table(
        "rated_day_marks",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("line_seq", types.count(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_rated_day_marks_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("billing_account_id", name=op.f("pk_rated_day_marks")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("rated_day_marks")
    op.drop_table("rated_days")
    op.drop_index("ix_counter_rescales_billing_account_id", table_name="counter_rescales")
    op.drop_table("counter_rescales")
