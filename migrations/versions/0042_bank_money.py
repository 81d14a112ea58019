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


def downgrade() -> None:
    _alter_payments(session_is_needed=True)


def _alter_payments(*, session_is_needed: bool) -> None:
    """A payment without a session is bank money; SQLite writes the table anew under its name."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("payments", "session_id", nullable=session_is_needed)
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
