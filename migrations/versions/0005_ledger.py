"""The books."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "accounting_periods",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("month", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("closed_at", types.instant(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_accounting_periods_state")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_accounting_periods_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_periods")),
        sa.UniqueConstraint("seller_id", "month", name=op.f("uq_accounting_periods_seller_id_month")),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("owner", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("name", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_ledger_accounts_currency")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_ledger_accounts_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint("id", "currency", "owner", name=op.f("uq_ledger_accounts_id_currency_owner")),
        sa.UniqueConstraint(
            "owner", "seller_id", "name", "currency", name=op.f("uq_ledger_accounts_owner_seller_id_name_currency")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "balance_checkpoints",
        sa.Column("ledger_account_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("through_chain_seq", types.count(), nullable=False),
        sa.Column("revision", types.count(), nullable=False),
        sa.Column("sum_minor", types.count(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_balance_checkpoints_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["ledger_account_id"], ["ledger_accounts.id"], name=op.f("fk_balance_checkpoints_ledger_account_id")
        ),
        sa.PrimaryKeyConstraint(
            "ledger_account_id",
            "billing_account_id",
            "through_chain_seq",
            "revision",
            name=op.f("pk_balance_checkpoints"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_transactions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("chain_seq", types.count(), nullable=False),
        sa.Column("type", types.ident(), nullable=False),
        sa.Column("source_type", types.ident(), nullable=False),
        sa.Column("source_id", types.ident(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("anchor_hash", types.ident(), nullable=True),
        sa.Column("accounting_period_id", types.ident(), nullable=False),
        sa.Column("occurred_at", types.instant(), nullable=False),
        sa.Column("effective_at", types.instant(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.Column("reverses_id", types.ident(), nullable=True),
        sa.Column("linked_id", types.ident(), nullable=True),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("memo_hash", types.ident(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.Column("entry_count", types.count(), nullable=False),
        sa.Column("prev_hash", types.ident(), nullable=False),
        sa.Column("hash", types.ident(), nullable=False),
        sa.CheckConstraint("chain_seq > 0", name=op.f("ck_ledger_transactions_chain_seq")),
        sa.ForeignKeyConstraint(
            ["accounting_period_id"],
            ["accounting_periods.id"],
            name=op.f("fk_ledger_transactions_accounting_period_id"),
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_ledger_transactions_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["linked_id"], ["ledger_transactions.id"], name=op.f("fk_ledger_transactions_linked_id")
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["ledger_transactions.id"], name=op.f("fk_ledger_transactions_reverses_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transactions")),
        sa.UniqueConstraint(
            "billing_account_id", "chain_seq", name=op.f("uq_ledger_transactions_billing_account_id_chain_seq")
        ),
        sa.UniqueConstraint("id", "billing_account_id", name=op.f("uq_ledger_transactions_id_billing_account_id")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_ledger_transactions_reverses_id")),
        sa.UniqueConstraint(
            "type", "source_type", "source_id", name=op.f("uq_ledger_transactions_type_source_type_source_id")
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_ledger_transactions_correlation_id", "ledger_transactions", ["correlation_id"], unique=False)
    op.create_table(
        "ledger_entries",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("chain_seq", types.count(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("debit_account_id", types.ident(), nullable=False),
        sa.Column("debit_owner", types.ident(), nullable=False),
        sa.Column("credit_account_id", types.ident(), nullable=False),
        sa.Column("credit_owner", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "credit_owner IN ('house', billing_account_id)", name=op.f("ck_ledger_entries_credit_owner")
        ),
        sa.CheckConstraint("debit_owner IN ('house', billing_account_id)", name=op.f("ck_ledger_entries_debit_owner")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_ledger_entries_amount")),
        sa.CheckConstraint("debit_account_id <> credit_account_id", name=op.f("ck_ledger_entries_sides")),
        sa.ForeignKeyConstraint(
            ["credit_account_id", "currency", "credit_owner"],
            ["ledger_accounts.id", "ledger_accounts.currency", "ledger_accounts.owner"],
            name=op.f("fk_ledger_entries_credit_account_id_currency_credit_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["debit_account_id", "currency", "debit_owner"],
            ["ledger_accounts.id", "ledger_accounts.currency", "ledger_accounts.owner"],
            name=op.f("fk_ledger_entries_debit_account_id_currency_debit_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id", "billing_account_id"],
            ["ledger_transactions.id", "ledger_transactions.billing_account_id"],
            name=op.f("fk_ledger_entries_transaction_id_billing_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("transaction_id", "seq", name=op.f("uq_ledger_entries_transaction_id_seq")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_ledger_entries_credit",
        "ledger_entries",
        ["credit_account_id", "billing_account_id", "chain_seq"],
        unique=False,
    )
    op.create_index(
        "ix_ledger_entries_debit",
        "ledger_entries",
        ["debit_account_id", "billing_account_id", "chain_seq"],
        unique=False,
    )
    op.create_table(
        "ledger_memos",
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("salt", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_ledger_memos_transaction_id")
        ),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_ledger_memos")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("ledger_memos")
    op.drop_table("ledger_entries")
    op.drop_table("ledger_transactions")
    op.drop_table("balance_checkpoints")
    op.drop_table("ledger_accounts")
    op.drop_table("accounting_periods")
