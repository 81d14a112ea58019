"""Allowances and commitment lines of documents."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "invoice_allowances",
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("grant_id", types.ident(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tax_category", types.ident(), nullable=False),
        sa.Column("tax_rate_bp", types.count(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("issued_at", types.instant(), nullable=True),
        sa.CheckConstraint("(kind = 'promo') = (grant_id IS NOT NULL)", name=op.f("ck_invoice_allowances_grant")),
        sa.CheckConstraint("kind IN ('promo', 'discount')", name=op.f("ck_invoice_allowances_kind")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_invoice_allowances_amount")),
        sa.ForeignKeyConstraint(["grant_id"], ["promo_grants.id"], name=op.f("fk_invoice_allowances_grant_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_allowances_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", "seq", name=op.f("pk_invoice_allowances")),
        sqlite_strict=True,
    )

    op.add_column("invoice_headers", sa.Column("allowance_minor", types.count(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "ALTER TABLE invoice_lines ADD COLUMN contract_id TEXT"
            " CONSTRAINT fk_invoice_lines_contract_id REFERENCES commit_contracts (id)"
        )
    else:
        op.add_column("invoice_lines", sa.Column("contract_id", types.ident(), nullable=True))
        op.create_foreign_key(
            op.f("fk_invoice_lines_contract_id"), "invoice_lines", "commit_contracts", ["contract_id"], ["id"]
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE invoice_lines DROP COLUMN contract_id")
        op.execute("ALTER TABLE invoice_headers DROP COLUMN allowance_minor")
    else:
        op.drop_column("invoice_lines", "contract_id")
        op.drop_column("invoice_headers", "allowance_minor")
    op.drop_table("invoice_allowances")
