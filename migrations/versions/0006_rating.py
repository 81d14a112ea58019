"""What usage costs."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "billing_periods",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("label", types.ident(), nullable=False),
        sa.Column("start_at", types.instant(), nullable=False),
        sa.Column("end_at", types.instant(), nullable=False),
        sa.Column("invoiced_at", types.instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_billing_periods_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_periods")),
        sa.UniqueConstraint("billing_account_id", "label", name=op.f("uq_billing_periods_billing_account_id_label")),
        sa.UniqueConstraint(
            "billing_account_id", "start_at", name=op.f("uq_billing_periods_billing_account_id_start_at")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "counters",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("price_version_id", types.ident(), nullable=False),
        sa.Column("billing_period_id", types.ident(), nullable=False),
        sa.Column("segment_start_at", types.instant(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=True),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("counter_seq", types.count(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_counters_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["billing_period_id"], ["billing_periods.id"], name=op.f("fk_counters_billing_period_id")
        ),
        sa.ForeignKeyConstraint(["price_version_id"], ["price_versions.id"], name=op.f("fk_counters_price_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counters")),
        sa.UniqueConstraint(
            "billing_account_id",
            "price_version_id",
            "billing_period_id",
            "segment_start_at",
            name=op.f("uq_counters_billing_account_id_price_version_id_billing_period_id_segment_start_at"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "charges",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("counter_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("billing_period_id", types.ident(), nullable=False),
        sa.Column("project_key", types.ident(), nullable=False),
        sa.Column("generation", types.count(), nullable=False),
        sa.Column("sku_code", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("before_base", types.quantity(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("posted_minor", types.count(), nullable=False),
        sa.Column("posting_seq", types.count(), nullable=False),
        sa.Column("draft_id", types.ident(), nullable=True),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_charges_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["billing_period_id"], ["billing_periods.id"], name=op.f("fk_charges_billing_period_id")
        ),
        sa.ForeignKeyConstraint(["counter_id"], ["counters.id"], name=op.f("fk_charges_counter_id")),
        sa.ForeignKeyConstraint(["sku_code"], ["sku_catalog.code"], name=op.f("fk_charges_sku_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.UniqueConstraint(
            "counter_id", "project_key", "generation", name=op.f("uq_charges_counter_id_project_key_generation")
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_charges_billing_period_id", "charges", ["billing_period_id"], unique=False)
    op.create_index("ix_charges_draft_id", "charges", ["draft_id"], unique=False)
    op.create_table(
        "postings",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("charge_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("from_line_seq", types.count(), nullable=False),
        sa.Column("to_line_seq", types.count(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("increment_minor", types.count(), nullable=False),
        sa.Column("posted_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.CheckConstraint("to_line_seq > from_line_seq", name=op.f("ck_postings_lines")),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name=op.f("fk_postings_charge_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_postings_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postings")),
        sa.UniqueConstraint("charge_id", "seq", name=op.f("uq_postings_charge_id_seq")),
        sqlite_strict=True,
    )
    op.create_index("ix_postings_transaction_id", "postings", ["transaction_id"], unique=False)
    op.create_table(
        "rated_usage_lines",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("line_seq", types.count(), nullable=False),
        sa.Column("usage_record_id", types.ident(), nullable=False),
        sa.Column("counter_id", types.ident(), nullable=False),
        sa.Column("counter_seq", types.count(), nullable=False),
        sa.Column("charge_id", types.ident(), nullable=False),
        sa.Column("price_version_id", types.ident(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=False),
        sa.Column("before_base", types.quantity(), nullable=False),
        sa.Column("amount_micro", types.quantity(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("rated_at", types.instant(), nullable=False),
        sa.Column("line_hash", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_rated_usage_lines_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name=op.f("fk_rated_usage_lines_charge_id")),
        sa.ForeignKeyConstraint(["counter_id"], ["counters.id"], name=op.f("fk_rated_usage_lines_counter_id")),
        sa.ForeignKeyConstraint(
            ["price_version_id"], ["price_versions.id"], name=op.f("fk_rated_usage_lines_price_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["usage_record_id"], ["usage_records.id"], name=op.f("fk_rated_usage_lines_usage_record_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rated_usage_lines")),
        sa.UniqueConstraint(
            "billing_account_id", "line_seq", name=op.f("uq_rated_usage_lines_billing_account_id_line_seq")
        ),
        sa.UniqueConstraint("counter_id", "counter_seq", name=op.f("uq_rated_usage_lines_counter_id_counter_seq")),
        sa.UniqueConstraint("usage_record_id", name=op.f("uq_rated_usage_lines_usage_record_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_rated_usage_lines_charge_id", "rated_usage_lines", ["charge_id", "line_seq"], unique=False)
    op.create_table(
        "unrated_usage",
        sa.Column("usage_record_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("reason", types.ident(), nullable=False),
        sa.Column("price_state", types.ident(), nullable=False),
        sa.Column("since_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_unrated_usage_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["usage_record_id"], ["usage_records.id"], name=op.f("fk_unrated_usage_usage_record_id")
        ),
        sa.PrimaryKeyConstraint("usage_record_id", name=op.f("pk_unrated_usage")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_unrated_usage_billing_account_id", "unrated_usage", ["billing_account_id", "price_state"], unique=False
    )


def downgrade() -> None:
    op.drop_table("unrated_usage")
    op.drop_table("rated_usage_lines")
    op.drop_table("postings")
    op.drop_table("charges")
    op.drop_table("counters")
    op.drop_table("billing_periods")
