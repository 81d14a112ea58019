"""Candidate prices, what let them in, overrides, commitments and reservations."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "price_trials",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("book_code", types.ident(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("price_book_id", types.ident(), nullable=True),
        sa.Column("from_at", types.instant(), nullable=False),
        sa.Column("to_at", types.instant(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("row_bound", types.count(), nullable=False),
        sa.Column("row_count", types.count(), nullable=False),
        sa.Column("is_whole", types.flag(), nullable=False),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.Column("is_inside", types.flag(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("to_at > from_at", name=op.f("ck_price_trials_range")),
        sa.ForeignKeyConstraint(["price_book_id"], ["price_books.id"], name=op.f("fk_price_trials_price_book_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_trials")),
        sqlite_strict=True,
    )
    op.create_index("ix_price_trials_content_hash", "price_trials", ["content_hash", "created_at"], unique=False)
    op.create_table(
        "price_book_activations",
        sa.Column("price_book_id", types.ident(), nullable=False),
        sa.Column("gate", types.ident(), nullable=False),
        sa.Column("trial_id", types.ident(), nullable=True),
        sa.Column("approval_id", types.ident(), nullable=True),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("activated_at", types.instant(), nullable=False),
        sa.CheckConstraint(
            "(gate = 'second_person') = (approval_id IS NOT NULL)", name=op.f("ck_price_book_activations_second_person")
        ),
        sa.CheckConstraint("(gate = 'trial') = (trial_id IS NOT NULL)", name=op.f("ck_price_book_activations_trial")),
        sa.CheckConstraint(
            "gate IN ('bootstrap', 'trial', 'second_person', 'override')", name=op.f("ck_price_book_activations_gate")
        ),
        sa.ForeignKeyConstraint(
            ["price_book_id"], ["price_books.id"], name=op.f("fk_price_book_activations_price_book_id")
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["price_trials.id"], name=op.f("fk_price_book_activations_trial_id")),
        sa.PrimaryKeyConstraint("price_book_id", name=op.f("pk_price_book_activations")),
        sqlite_strict=True,
    )
    op.create_table(
        "price_overrides",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("sku_code", types.ident(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        sa.Column("price_version_id", types.ident(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_price_overrides_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["price_version_id"], ["price_versions.id"], name=op.f("fk_price_overrides_price_version_id")
        ),
        sa.ForeignKeyConstraint(["sku_code"], ["sku_catalog.code"], name=op.f("fk_price_overrides_sku_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_overrides")),
        sa.UniqueConstraint(
            "billing_account_id",
            "sku_code",
            "valid_from",
            name=op.f("uq_price_overrides_billing_account_id_sku_code_valid_from"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "commit_contracts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("families", sa.Text(), nullable=False),
        sa.Column("starts_at", types.instant(), nullable=False),
        sa.Column("ends_at", types.instant(), nullable=False),
        sa.Column("sale_invoice_id", types.ident(), nullable=True),
        sa.Column("lapsed_at", types.instant(), nullable=True),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_commit_contracts_amount")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_commit_contracts_range")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_commit_contracts_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commit_contracts")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_commit_contracts_billing_account_id", "commit_contracts", ["billing_account_id", "starts_at"], unique=False
    )
    op.create_table(
        "reservations",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("meter_code", types.ident(), nullable=False),
        sa.Column("variant", types.ident(), nullable=False),
        sa.Column("rate_base", types.quantity(), nullable=False),
        sa.Column("starts_at", types.instant(), nullable=False),
        sa.Column("ends_at", types.instant(), nullable=True),
        sa.Column("matched_at", types.instant(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name=op.f("ck_reservations_range")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_reservations_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["meter_code"], ["meters.code"], name=op.f("fk_reservations_meter_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_reservations_billing_account_id", "reservations", ["billing_account_id", "starts_at"], unique=False
    )

    # Prices that were loaded before there was a gate are in force.
    op.execute(
        "INSERT INTO price_book_activations (price_book_id, gate, actor, activated_at)"
        " SELECT id, 'bootstrap', 'migration', created_at FROM price_books"
    )


def downgrade() -> None:
    op.drop_index("ix_reservations_billing_account_id", table_name="reservations")
    op.drop_table("reservations")
    op.drop_index("ix_commit_contracts_billing_account_id", table_name="commit_contracts")
    op.drop_table("commit_contracts")
    op.drop_table("price_overrides")
    op.drop_table("price_book_activations")
    op.drop_index("ix_price_trials_content_hash", table_name="price_trials")
    op.drop_table("price_trials")
