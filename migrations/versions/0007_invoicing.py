"""What we say they owe."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "invoice_batches",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("period_label", types.ident(), nullable=False),
        sa.Column("act", types.ident(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=False),
        sa.Column("requested_by", types.ident(), nullable=False),
        sa.Column("requested_at", types.instant(), nullable=False),
        sa.CheckConstraint("act IN ('approve', 'issue')", name=op.f("ck_invoice_batches_act")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_batches")),
        sa.UniqueConstraint("form_key", name=op.f("uq_invoice_batches_form_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "number_series",
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("series", types.ident(), nullable=False),
        sa.Column("last_number", types.count(), nullable=False),
        sa.Column("last_issued_on", types.day(), nullable=True),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_number_series_seller_id")),
        sa.PrimaryKeyConstraint("seller_id", "series", name=op.f("pk_number_series")),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_headers",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("number", types.ident(), nullable=True),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("billing_period_id", types.ident(), nullable=True),
        sa.Column("corrects_id", types.ident(), nullable=True),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("net_minor", types.count(), nullable=False),
        sa.Column("tax_minor", types.count(), nullable=False),
        sa.Column("total_minor", types.count(), nullable=False),
        sa.Column("prepaid_minor", types.count(), nullable=False),
        sa.Column("rounding_minor", types.count(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("drafted_at", types.instant(), nullable=False),
        sa.Column("approved_at", types.instant(), nullable=True),
        sa.Column("approved_by", types.ident(), nullable=True),
        sa.Column("issued_at", types.instant(), nullable=True),
        sa.Column("issued_on", types.day(), nullable=True),
        sa.Column("due_on", types.day(), nullable=True),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("snapshot_hash", types.ident(), nullable=True),
        sa.Column("transaction_id", types.ident(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (corrects_id IS NOT NULL)", name=op.f("ck_invoice_headers_corrects")
        ),
        sa.CheckConstraint("(state = 'issued') = (number IS NOT NULL)", name=op.f("ck_invoice_headers_number")),
        sa.CheckConstraint("kind = 'credit_note' OR rounding_minor = 0", name=op.f("ck_invoice_headers_rounding")),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f("ck_invoice_headers_kind")),
        sa.CheckConstraint("state IN ('draft', 'approved', 'issued', 'void')", name=op.f("ck_invoice_headers_state")),
        sa.CheckConstraint(
            "(number IS NULL) OR (snapshot_hash IS NOT NULL AND transaction_id IS NOT NULL)",
            name=op.f("ck_invoice_headers_evidence"),
        ),
        sa.CheckConstraint("net_minor + tax_minor = total_minor", name=op.f("ck_invoice_headers_total")),
        sa.CheckConstraint(
            "prepaid_minor >= 0 AND prepaid_minor <= total_minor", name=op.f("ck_invoice_headers_prepaid")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_invoice_headers_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["billing_period_id"], ["billing_periods.id"], name=op.f("fk_invoice_headers_billing_period_id")
        ),
        sa.ForeignKeyConstraint(["corrects_id"], ["invoice_headers.id"], name=op.f("fk_invoice_headers_corrects_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_invoice_headers_seller_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_invoice_headers_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_headers")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_headers_number")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_invoice_headers_billing_account_id", "invoice_headers", ["billing_account_id", "id"], unique=False
    )
    op.create_index("ix_invoice_headers_billing_period_id", "invoice_headers", ["billing_period_id"], unique=False)
    op.create_table(
        "invoice_batch_items",
        sa.Column("batch_id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("refusal_code", types.ident(), nullable=True),
        sa.Column("refusal_facts", sa.Text(), nullable=True),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "(state = 'refused') = (refusal_code IS NOT NULL)", name=op.f("ck_invoice_batch_items_refusal")
        ),
        sa.CheckConstraint("state IN ('waiting', 'done', 'refused')", name=op.f("ck_invoice_batch_items_state")),
        sa.ForeignKeyConstraint(["batch_id"], ["invoice_batches.id"], name=op.f("fk_invoice_batch_items_batch_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_batch_items_invoice_id")),
        sa.PrimaryKeyConstraint("batch_id", "invoice_id", name=op.f("pk_invoice_batch_items")),
        sqlite_strict=True,
    )
    op.create_index("ix_invoice_batch_items_state", "invoice_batch_items", ["state", "batch_id"], unique=False)
    op.create_table(
        "invoice_documents",
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("format", types.ident(), nullable=False),
        sa.Column("sha256", types.ident(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("rendered_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_documents_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", "format", name=op.f("pk_invoice_documents")),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_events",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("type", types.ident(), nullable=False),
        sa.Column("happened_at", types.instant(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_events_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_invoice_events_invoice_id", "invoice_events", ["invoice_id", "id"], unique=False)
    op.create_table(
        "invoice_settlements",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("settled_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_settlements_invoice_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_invoice_settlements_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_settlements")),
        sa.UniqueConstraint(
            "invoice_id", "transaction_id", "kind", name=op.f("uq_invoice_settlements_invoice_id_transaction_id_kind")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_taxes",
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("category", types.ident(), nullable=False),
        sa.Column("rate_bp", types.count(), nullable=False),
        sa.Column("jurisdiction", types.ident(), nullable=False),
        sa.Column("taxable_minor", types.count(), nullable=False),
        sa.Column("tax_minor", types.count(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("issued_at", types.instant(), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_taxes_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", "category", "rate_bp", name=op.f("pk_invoice_taxes")),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_lines",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("charge_id", types.ident(), nullable=True),
        sa.Column("corrects_line_id", types.ident(), nullable=True),
        sa.Column("sku_code", types.ident(), nullable=True),
        sa.Column("project_id", types.ident(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity_base", types.quantity(), nullable=True),
        sa.Column("quantity_text", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_price_text", sa.Text(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("tax_category", types.ident(), nullable=False),
        sa.Column("tax_rate_bp", types.count(), nullable=False),
        sa.Column("issued_at", types.instant(), nullable=True),
        sa.CheckConstraint(
            "tax_category IN ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')", name=op.f("ck_invoice_lines_tax_category")
        ),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"], name=op.f("fk_invoice_lines_charge_id")),
        sa.ForeignKeyConstraint(
            ["corrects_line_id"], ["invoice_lines.id"], name=op.f("fk_invoice_lines_corrects_line_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_lines_invoice_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_invoice_lines_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_lines")),
        sa.UniqueConstraint("invoice_id", "seq", name=op.f("uq_invoice_lines_invoice_id_seq")),
        sqlite_strict=True,
    )
    op.create_index("ix_invoice_lines_charge_id", "invoice_lines", ["charge_id"], unique=False)


def downgrade() -> None:
    op.drop_table("invoice_lines")
    op.drop_table("invoice_taxes")
    op.drop_table("invoice_settlements")
    op.drop_table("invoice_events")
    op.drop_table("invoice_documents")
    op.drop_table("invoice_batch_items")
    op.drop_table("invoice_headers")
    op.drop_table("number_series")
    op.drop_table("invoice_batches")
