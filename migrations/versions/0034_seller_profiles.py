"""What else a seller says on documents: register, bank, footer, logo, language; receipts."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0034"
down_revision = "0033"

_TEXTS = ("legal_id", "tax_number", "phone", "website", "bank_name", "bic", "footer", "logo_sha256")
_CODES = ("bic", "logo_sha256")
_GIVEN = {"language": "en", "page_size": "A4", "receipt_prefix": "REC-"}


def upgrade() -> None:
    for name in _TEXTS:
        op.add_column("sellers", sa.Column(name, types.ident() if name in _CODES else sa.Text(), nullable=True))
    for name, value in _GIVEN.items():
        op.add_column("sellers", sa.Column(name, types.ident(), nullable=False, server_default=value))
    op.create_table(
        "seller_logos",
        sa.Column("sha256", types.ident(), nullable=False),
        sa.Column("media_type", types.ident(), nullable=False),
        sa.Column("width_px", types.count(), nullable=False),
        sa.Column("height_px", types.count(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("media_type IN ('image/png', 'image/jpeg')", name=op.f("ck_seller_logos_media_type")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_seller_logos")),
        sqlite_strict=True,
    )
    op.create_table(
        "receipts",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("number", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("issued_on", types.day(), nullable=False),
        sa.Column("issued_at", types.instant(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("snapshot_hash", types.ident(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_receipts_amount")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_receipts_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_receipts_seller_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_receipts_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("number", name=op.f("uq_receipts_number")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_receipts_transaction_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_receipts_billing_account_id", "receipts", ["billing_account_id", "id"], unique=False)
    op.create_table(
        "receipt_documents",
        sa.Column("receipt_id", types.ident(), nullable=False),
        sa.Column("format", types.ident(), nullable=False),
        sa.Column("sha256", types.ident(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("rendered_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_receipt_documents_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", "format", name=op.f("pk_receipt_documents")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("receipt_documents")
    op.drop_index("ix_receipts_billing_account_id", table_name="receipts")
    op.drop_table("receipts")
    op.drop_table("seller_logos")
    for name in (*_TEXTS, *_GIVEN):
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE sellers DROP COLUMN {name}")
        else:
            op.drop_column("sellers", name)
