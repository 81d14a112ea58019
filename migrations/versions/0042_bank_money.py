"""Bank transfers, and the exchange result of a payment."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0042"
down_revision = "0041"

_SESSION = "ck_payments_session", "(provider = 'bank') = (session_id IS NULL)"
_REVERSED = "ck_payments_reversed", "reversed_at IS NULL OR refunded_minor = 0"
_COLUMNS = (
    *("id", "billing_account_id", "session_id", "provider", "provider_payment_id", "amount_minor", "currency"),
    *("refunded_minor", "transaction_id", "method_label", "received_at"),
)


def upgrade() -> None:
    _alter_payments(session_is_needed=False)
    _bank_transfers()
    _exchange_results()
    _withdrawals()


def downgrade() -> None:
    op.drop_table("subscription_withdrawals")
    _alter_subscriptions(has_take=False)
    op.drop_table("invoice_fx_results")
    op.drop_table("bank_transfers")
    _alter_payments(session_is_needed=True)


def _bank_transfers() -> None:
    op.create_table(
        "bank_transfers",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("bank_account", types.ident(), nullable=False),
        sa.Column("bank_reference", types.ident(), nullable=False),
        sa.Column("value_on", types.day(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("payment_id", types.ident(), nullable=False),
        sa.Column("booked_by", types.ident(), nullable=False),
        sa.Column("booked_at", types.instant(), nullable=False),
        sa.Column("reversed_at", types.instant(), nullable=True),
        sa.Column("reversed_by", types.ident(), nullable=True),
        sa.Column("reversal_id", types.ident(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_bank_transfers_amount")),
        sa.CheckConstraint(
            "(reversed_at IS NULL) = (reversed_by IS NULL) AND (reversed_at IS NULL) = (reversal_id IS NULL)",
            name=op.f("ck_bank_transfers_reversed"),
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_bank_transfers_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_bank_transfers_seller_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_bank_transfers_payment_id")),
        sa.ForeignKeyConstraint(
            ["reversal_id"], ["ledger_transactions.id"], name=op.f("fk_bank_transfers_reversal_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_transfers")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_bank_transfers_payment_id")),
        sqlite_strict=True,
    )
    standing = sa.text("reversed_at IS NULL")
    op.create_index(
        "uq_bank_transfers_line",
        "bank_transfers",
        ["seller_id", "bank_account", "bank_reference"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_index("ix_bank_transfers_billing_account_id", "bank_transfers", ["billing_account_id", "id"])


def _exchange_results() -> None:
    op.create_table(
        "invoice_fx_results",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=True),
        sa.Column("carried_minor", types.count(), nullable=True),
        sa.Column("value_minor", types.count(), nullable=True),
        sa.Column("result_minor", types.count(), nullable=True),
        sa.Column("rate_text", types.ident(), nullable=True),
        sa.Column("rate_on", types.day(), nullable=True),
        sa.Column("snapshot_id", types.ident(), nullable=True),
        sa.Column("second_snapshot_id", types.ident(), nullable=True),
        sa.Column("result_transaction_id", types.ident(), nullable=True),
        sa.Column("noted_at", types.instant(), nullable=False),
        sa.Column("booked_at", types.instant(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'booked')", name=op.f("ck_invoice_fx_results_state")),
        sa.CheckConstraint(
            "(state = 'waiting') = (result_minor IS NULL) AND (state = 'waiting') = (booked_at IS NULL)"
            " AND (state = 'waiting') = (currency IS NULL)",
            name=op.f("ck_invoice_fx_results_booked"),
        ),
        sa.CheckConstraint(
            "(result_transaction_id IS NULL) = (result_minor IS NULL OR result_minor = 0)",
            name=op.f("ck_invoice_fx_results_entry"),
        ),
        sa.CheckConstraint(
            "kind IN ('wallet', 'payment', 'credit_note', 'write_off', 'dispute', 'given_back')",
            name=op.f("ck_invoice_fx_results_kind"),
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_fx_results_invoice_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_invoice_fx_results_transaction_id")
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["billing_fx_rate_snapshots.id"], name=op.f("fk_invoice_fx_results_snapshot_id")
        ),
        sa.ForeignKeyConstraint(
            ["second_snapshot_id"],
            ["billing_fx_rate_snapshots.id"],
            name=op.f("fk_invoice_fx_results_second_snapshot_id"),
        ),
        sa.ForeignKeyConstraint(
            ["result_transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_invoice_fx_results_result_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_fx_results")),
        sa.UniqueConstraint(
            "invoice_id", "transaction_id", "kind", name=op.f("uq_invoice_fx_results_invoice_id_transaction_id_kind")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_invoice_fx_results_waiting",
        "invoice_fx_results",
        ["noted_at"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    # What settled invoices before: its results are booked like those to come. No credit to a wallet is told apart by an index
    # there, so it is read from the entries.
    settled = (
        "SELECT s.id, s.invoice_id, s.transaction_id, s.kind, s.amount_minor, 'waiting', s.settled_at"
        " FROM invoice_settlements s JOIN invoice_headers h ON h.id = s.invoice_id"
        " JOIN sellers l ON l.id = h.seller_id WHERE h.currency <> l.functional_currency"
    )
    given_back = (
        "SELECT n.id, n.corrects_id, n.transaction_id, 'given_back', SUM(e.amount_minor), 'waiting', n.issued_at"
        " FROM invoice_headers n JOIN sellers l ON l.id = n.seller_id"
        " JOIN ledger_entries e ON e.transaction_id = n.transaction_id"
        " JOIN ledger_accounts c ON c.id = e.credit_account_id"
        " WHERE n.kind = 'credit_note' AND n.state = 'issued' AND n.currency <> l.functional_currency"
        " AND c.name = 'wallet' GROUP BY n.id, n.corrects_id, n.transaction_id, n.issued_at"
    )
    columns = "id, invoice_id, transaction_id, kind, amount_minor, state, noted_at"
    for select in (settled, given_back):
        op.execute(f"INSERT INTO invoice_fx_results ({columns}) {select}")


def _withdrawals() -> None:
    _alter_subscriptions(has_take=True)
    op.create_table(
        "subscription_withdrawals",
        sa.Column("subscription_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("withdrawn_by", types.ident(), nullable=False),
        sa.Column("withdrawn_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_subscription_withdrawals_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"],
            ["billing_accounts.id"],
            name=op.f("fk_subscription_withdrawals_billing_account_id"),
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_withdrawals")),
        sqlite_strict=True,
    )


def _alter_subscriptions(*, has_take: bool) -> None:
    """An instant can have a change that was withdrawn and another one; SQLite writes the table anew under its name."""
    before, after = ("billing_account_id", "valid_from"), ("billing_account_id", "valid_from", "take")
    old, new = (before, after) if has_take else (after, before)
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("uq_subscriptions_" + "_".join(old)), "subscriptions", type_="unique")
        if has_take:
            op.add_column("subscriptions", sa.Column("take", types.count(), nullable=False, server_default="0"))
            op.alter_column("subscriptions", "take", server_default=None)
        else:
            op.drop_column("subscriptions", "take")
        op.create_unique_constraint(op.f("uq_subscriptions_" + "_".join(new)), "subscriptions", list(new))
        return
    op.create_table(
        "subscriptions_new",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("plan_id", types.ident(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        *([sa.Column("take", types.count(), nullable=False)] if has_take else []),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_subscriptions_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["pricing_plans.id"], name=op.f("fk_subscriptions_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(*new, name=op.f("uq_subscriptions_" + "_".join(new))),
        sqlite_strict=True,
    )
    columns = "id, billing_account_id, plan_id, valid_from, created_at"
    more = (", take", ", 0") if has_take else ("", "")
    op.execute(f"INSERT INTO subscriptions_new ({columns}{more[0]}) SELECT {columns}{more[1]} FROM subscriptions")
    op.execute("DROP TABLE subscriptions")
    op.execute("ALTER TABLE subscriptions_new RENAME TO subscriptions")


def _alter_payments(*, session_is_needed: bool) -> None:
    """A payment without a session is bank money; SQLite writes the table anew under its name."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("payments", "session_id", nullable=not session_is_needed)
        if session_is_needed:
            for name, _ in (_SESSION, _REVERSED):
                op.drop_constraint(op.f(name), "payments", type_="check")
            op.drop_column("payments", "reversed_at")
            return
        op.add_column("payments", sa.Column("reversed_at", types.instant(), nullable=True))
        for name, text in (_SESSION, _REVERSED):
            op.create_check_constraint(op.f(name), "payments", text)
        return
    new = "payments_new"
    added = [] if session_is_needed else [sa.Column("reversed_at", types.instant(), nullable=True)]
    checks = () if session_is_needed else (_SESSION, _REVERSED)
    op.create_table(
        new,
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("session_id", types.ident(), nullable=session_is_needed is False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_payment_id", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("refunded_minor", types.count(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("method_label", sa.Text(), nullable=True),
        sa.Column("received_at", types.instant(), nullable=False),
        *added,
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name=op.f("ck_payments_refunded")),
        *(sa.CheckConstraint(text, name=op.f(name)) for name, text in checks),
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
    columns = ", ".join(_COLUMNS)
    op.execute(f"INSERT INTO {new} ({columns}) SELECT {columns} FROM payments")
    op.execute("DROP TABLE payments")
    op.execute(f"ALTER TABLE {new} RENAME TO payments")
    op.create_index("ix_payments_billing_account_id", "payments", ["billing_account_id", "id"])
