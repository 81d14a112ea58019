"""Balance transactions and payouts of the provider; what the sandbox moved before gets its balance transactions."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.create_table(
        "provider_balance_transactions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_id", types.ident(), nullable=False),
        sa.Column("type", types.ident(), nullable=False),
        sa.Column("category", types.ident(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("fee_minor", types.count(), nullable=False),
        sa.Column("net_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("exchange_rate", types.ident(), nullable=True),
        sa.Column("presented_minor", types.count(), nullable=False),
        sa.Column("presented_currency", types.ident(), nullable=False),
        sa.Column("source_kind", types.ident(), nullable=True),
        sa.Column("source_id", types.ident(), nullable=True),
        sa.Column("payment_ref", types.ident(), nullable=True),
        sa.Column("refund_ref", types.ident(), nullable=True),
        sa.Column("dispute_ref", types.ident(), nullable=True),
        sa.Column("payout_ref", types.ident(), nullable=True),
        sa.Column("paid_out_by", types.ident(), nullable=True),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("available_at", types.instant(), nullable=False),
        sa.Column("read_at", types.instant(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("reason", types.ident(), nullable=True),
        sa.Column("pair_id", types.ident(), nullable=True),
        sa.Column("payment_id", types.ident(), nullable=True),
        sa.Column("refund_id", types.ident(), nullable=True),
        sa.Column("looked_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "state <> 'finding' OR reason IS NOT NULL", name=op.f("ck_provider_balance_transactions_reason")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'explained', 'booked', 'finding')",
            name=op.f("ck_provider_balance_transactions_state"),
        ),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_provider_balance_transactions_currency")),
        sa.CheckConstraint("net_minor = amount_minor - fee_minor", name=op.f("ck_provider_balance_transactions_net")),
        sa.ForeignKeyConstraint(
            ["pair_id"], ["provider_balance_transactions.id"], name=op.f("fk_provider_balance_transactions_pair_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_provider_balance_transactions_payment_id")
        ),
        sa.ForeignKeyConstraint(
            ["refund_id"], ["refund_requests.id"], name=op.f("fk_provider_balance_transactions_refund_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_balance_transactions")),
        sa.UniqueConstraint(
            "provider", "provider_id", name=op.f("uq_provider_balance_transactions_provider_provider_id")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_provider_balance_transactions_created_at",
        "provider_balance_transactions",
        ["created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_provider_balance_transactions_dispute_ref", "provider_balance_transactions", ["dispute_ref"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_paid_out_by", "provider_balance_transactions", ["paid_out_by"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_pair_id", "provider_balance_transactions", ["pair_id"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_payment_ref", "provider_balance_transactions", ["payment_ref"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_payout_ref", "provider_balance_transactions", ["payout_ref"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_refund_ref", "provider_balance_transactions", ["refund_ref"], unique=False
    )
    op.create_index(
        "ix_provider_balance_transactions_state", "provider_balance_transactions", ["state", "looked_at"], unique=False
    )
    op.create_table(
        "provider_balance_explanations",
        sa.Column("balance_transaction_id", types.ident(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("part", types.ident(), nullable=False),
        sa.CheckConstraint(
            "part IN ('whole', 'fee', 'conversion')", name=op.f("ck_provider_balance_explanations_part")
        ),
        sa.ForeignKeyConstraint(
            ["balance_transaction_id"],
            ["provider_balance_transactions.id"],
            name=op.f("fk_provider_balance_explanations_balance_transaction_id"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_provider_balance_explanations_transaction_id")
        ),
        sa.PrimaryKeyConstraint(
            "balance_transaction_id", "transaction_id", name=op.f("pk_provider_balance_explanations")
        ),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_provider_balance_explanations_transaction_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "provider_payouts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_id", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("is_automatic", types.flag(), nullable=False),
        sa.Column("method", types.ident(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("statement_text", sa.Text(), nullable=True),
        sa.Column("trace", types.ident(), nullable=True),
        sa.Column("failure_code", types.ident(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("arrives_on", types.day(), nullable=True),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.Column("looked_at", types.instant(), nullable=True),
        sa.Column("contents_read_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'in_transit', 'paid', 'failed', 'canceled')", name=op.f("ck_provider_payouts_state")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_provider_payouts_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_payouts")),
        sa.UniqueConstraint("provider", "provider_id", name=op.f("uq_provider_payouts_provider_provider_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_provider_payouts_created_at", "provider_payouts", ["created_at", "id"], unique=False)
    op.create_index("ix_provider_payouts_state", "provider_payouts", ["state", "looked_at"], unique=False)
    op.create_table(
        "provider_balances",
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("available_minor", types.count(), nullable=False),
        sa.Column("pending_minor", types.count(), nullable=False),
        sa.Column("moved_minor", types.count(), nullable=False),
        sa.Column("read_at", types.instant(), nullable=False),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_provider_balances_currency")),
        sa.PrimaryKeyConstraint("provider", "currency", name=op.f("pk_provider_balances")),
        sqlite_strict=True,
    )
    op.create_table(
        "provider_balance_cursors",
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("read_until", types.instant(), nullable=True),
        sa.Column("pass_since", types.instant(), nullable=True),
        sa.Column("pass_until", types.instant(), nullable=True),
        sa.Column("pass_after", types.ident(), nullable=True),
        sa.Column("asked_at", types.instant(), nullable=True),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_balance_cursors")),
        sqlite_strict=True,
    )
    _give_sandbox_its_movements(op.get_bind())


def downgrade() -> None:
    op.execute("DELETE FROM sandbox_objects WHERE kind = 'balance_transaction'")
    op.drop_table("provider_balance_cursors")
    op.drop_table("provider_balances")
    op.drop_index("ix_provider_payouts_state", table_name="provider_payouts")
    op.drop_index("ix_provider_payouts_created_at", table_name="provider_payouts")
    op.drop_table("provider_payouts")
    op.drop_table("provider_balance_explanations")
    op.drop_index("ix_provider_balance_transactions_state", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_refund_ref", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_payout_ref", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_payment_ref", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_pair_id", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_paid_out_by", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_dispute_ref", table_name="provider_balance_transactions")
    op.drop_index("ix_provider_balance_transactions_created_at", table_name="provider_balance_transactions")
    op.drop_table("provider_balance_transactions")


def _give_sandbox_its_movements(bind: sa.Connection) -> None:
    """Of charges and refunds that were made before: their ids stand in them already, their fee was nothing."""
    query = (
        "SELECT id, kind, parent_id, body, created_at FROM sandbox_objects WHERE kind IN ('payment_intent', 'refund')"
    )
    rows = [row for item in bind.execute(sa.text(query)).all() for row in _movements(item)]
    table = sa.table(
        "sandbox_objects",
        *(sa.column(name) for name in ("id", "kind", "reference", "parent_id", "body")),
        sa.column("created_at", types.instant()),
    )
    for start in range(0, len(rows), 1000):
        bind.execute(table.insert(), rows[start : start + 1000])


def _movements(item: Any) -> list[dict[str, Any]]:
    body = json.loads(item.body)
    at = item.created_at
    created = int(at.timestamp()) if isinstance(at, datetime) else at // 1_000_000
    if item.kind == "payment_intent":
        charge = body.get("latest_charge") or {}
        balance = charge.get("balance_transaction") or {}
        if body.get("status") != "succeeded" or not balance.get("id"):
            return []
        created = charge.get("created") or created
        moved = [(balance["id"], "charge", charge["id"], "charge", item.id, body["amount_received"])]
    else:
        moved = [(body["balance_transaction"], "refund", item.id, "refund", item.parent_id, -body["amount"])]
        if body.get("status") == "failed":
            moved.append((f"txn_{item.id}", "refund_failure", item.id, "refund", item.parent_id, body["amount"]))
    return [
        {
            "id": movement_id,
            "kind": "balance_transaction",
            "reference": source_id,
            "parent_id": payment_id,
            "body": json.dumps(
                {
                    "id": movement_id,
                    "object": "balance_transaction",
                    "type": kind,
                    "reporting_category": kind,
                    "amount": amount,
                    "fee": 0,
                    "net": amount,
                    "currency": body["currency"],
                    "exchange_rate": None,
                    "description": None,
                    "source": source_id,
                    "source_kind": source_kind,
                    "payment_intent": payment_id,
                    "created": created,
                    "available_on": created,
                    "payout": None,
                },
                sort_keys=True,
                separators=(",", ":"),
            ),
            "created_at": at,
        }
        for movement_id, kind, source_id, source_kind, payment_id, amount in moved
    ]
