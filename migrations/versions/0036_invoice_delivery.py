"""Who gets documents by e-mail, verified; how documents are written for them."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0036"
down_revision = "0035"

_COLUMNS = ("buyer_reference", "language", "page_size")


def upgrade() -> None:
    op.create_table(
        "document_recipients",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("email", types.ident(), nullable=False),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("asked_at", types.instant(), nullable=False),
        sa.Column("verified_at", types.instant(), nullable=True),
        sa.Column("removed_at", types.instant(), nullable=True),
        sa.Column("removed_by", types.ident(), nullable=True),
        sa.CheckConstraint("(removed_at IS NULL) = (removed_by IS NULL)", name=op.f("ck_document_recipients_removed")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"],
            ["billing_accounts.id"],
            name=op.f("fk_document_recipients_billing_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_recipients")),
        sqlite_strict=True,
    )
    op.create_index("ix_document_recipients_billing_account_id", "document_recipients", ["billing_account_id", "email"])
    op.create_index("ix_invoice_headers_due_on", "invoice_headers", ["due_on"])
    op.add_column("billing_profiles", sa.Column("buyer_reference", sa.Text(), nullable=True))
    op.add_column("billing_profiles", sa.Column("language", types.ident(), nullable=True))
    op.add_column("billing_profiles", sa.Column("page_size", types.ident(), nullable=True))


def downgrade() -> None:
    for column in _COLUMNS:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE billing_profiles DROP COLUMN {column}")
        else:
            op.drop_column("billing_profiles", column)
    op.drop_index("ix_invoice_headers_due_on", "invoice_headers")
    op.drop_table("document_recipients")
