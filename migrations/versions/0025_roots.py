"""Promo grants and signed roots."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "promo_grants",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("expires_at", types.instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("granted_at", types.instant(), nullable=False),
        sa.CheckConstraint("kind IN ('admin_credit', 'promo_grant')", name=op.f("ck_promo_grants_kind")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_promo_grants_amount")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_promo_grants_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_promo_grants_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promo_grants")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_promo_grants_transaction_id")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_promo_grants_billing_account_id", "promo_grants", ["billing_account_id", "expires_at"], unique=False
    )
    op.create_table(
        "signed_roots",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("previous_hash", types.ident(), nullable=False),
        sa.Column("merkle_root", types.ident(), nullable=False),
        sa.Column("chain_count", types.count(), nullable=False),
        sa.Column("transaction_count", types.count(), nullable=False),
        sa.Column("signed_at", types.instant(), nullable=False),
        sa.Column("key_id", types.ident(), nullable=False),
        sa.Column("hash", types.ident(), nullable=False),
        sa.Column("signature", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["signing_keys.id"], name=op.f("fk_signed_roots_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signed_roots")),
        sa.UniqueConstraint("seq", name=op.f("uq_signed_roots_seq")),
        sqlite_strict=True,
    )
    op.create_table(
        "root_heads",
        sa.Column("root_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("root_seq", types.count(), nullable=False),
        sa.Column("chain_seq", types.count(), nullable=False),
        sa.Column("chain_hash", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_root_heads_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["root_id"], ["signed_roots.id"], name=op.f("fk_root_heads_root_id")),
        sa.PrimaryKeyConstraint("root_id", "billing_account_id", name=op.f("pk_root_heads")),
        sqlite_strict=True,
    )
    op.create_index("ix_root_heads_billing_account_id", "root_heads", ["billing_account_id", "root_seq"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_root_heads_billing_account_id", table_name="root_heads")
    op.drop_table("root_heads")
    op.drop_table("signed_roots")
    op.drop_index("ix_promo_grants_billing_account_id", table_name="promo_grants")
    op.drop_table("promo_grants")
