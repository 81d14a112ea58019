"""Exchange rates as immutable snapshots, and what was converted with them."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "billing_fx_rate_snapshots",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("published_on", types.day(), nullable=False),
        sa.Column("base_currency", types.ident(), nullable=False),
        sa.Column("rate_count", types.count(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("imported_at", types.instant(), nullable=False),
        sa.Column("imported_by", types.ident(), nullable=False),
        sa.CheckConstraint("rate_count > 0", name=op.f("ck_billing_fx_rate_snapshots_rate_count")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_fx_rate_snapshots")),
        sa.UniqueConstraint("source", "published_on", name=op.f("uq_billing_fx_rate_snapshots_source_published_on")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_billing_fx_rate_snapshots_published_on", "billing_fx_rate_snapshots", ["published_on"], unique=False
    )
    op.create_table(
        "fx_rates",
        sa.Column("source", types.ident(), nullable=False),
        sa.Column("published_on", types.day(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("rate_text", types.ident(), nullable=False),
        sa.Column("snapshot_id", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["billing_fx_rate_snapshots.id"], name=op.f("fk_fx_rates_snapshot_id")
        ),
        sa.PrimaryKeyConstraint("source", "published_on", "currency", name=op.f("pk_fx_rates")),
        sqlite_strict=True,
    )
    op.create_index("ix_fx_rates_currency", "fx_rates", ["currency", "published_on", "source"], unique=False)
    op.create_table(
        "invoice_rates",
        sa.Column("invoice_id", types.ident(), nullable=False),
        sa.Column("purpose", types.ident(), nullable=False),
        sa.Column("from_currency", types.ident(), nullable=False),
        sa.Column("to_currency", types.ident(), nullable=False),
        sa.Column("rate_text", types.ident(), nullable=False),
        sa.Column("rate_on", types.day(), nullable=False),
        sa.Column("snapshot_id", types.ident(), nullable=False),
        sa.Column("second_snapshot_id", types.ident(), nullable=True),
        sa.Column("from_minor", types.count(), nullable=False),
        sa.Column("to_minor", types.count(), nullable=False),
        sa.Column("taken_at", types.instant(), nullable=False),
        sa.Column("issued_at", types.instant(), nullable=True),
        sa.CheckConstraint("purpose IN ('lines', 'tax', 'functional')", name=op.f("ck_invoice_rates_purpose")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice_headers.id"], name=op.f("fk_invoice_rates_invoice_id")),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["billing_fx_rate_snapshots.id"], name=op.f("fk_invoice_rates_snapshot_id")
        ),
        sa.ForeignKeyConstraint(
            ["second_snapshot_id"], ["billing_fx_rate_snapshots.id"], name=op.f("fk_invoice_rates_second_snapshot_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "purpose", "from_currency", name=op.f("pk_invoice_rates")),
        sqlite_strict=True,
    )
    op.create_index("ix_invoice_rates_snapshot_id", "invoice_rates", ["snapshot_id"], unique=False)
    # What a line's charge holds in its own currency, where the document is in another.
    op.add_column("invoice_lines", sa.Column("charged_currency", types.ident(), nullable=True))
    op.add_column("invoice_lines", sa.Column("charged_minor", types.count(), nullable=True))
    # None: the currency that the account is priced in.
    op.add_column("billing_accounts", sa.Column("invoice_currency", types.ident(), nullable=True))
    # None: the functional currency, as for every seller so far.
    op.add_column("sellers", sa.Column("tax_currency", types.ident(), nullable=True))


def downgrade() -> None:
    for table, column in (
        ("sellers", "tax_currency"),
        ("billing_accounts", "invoice_currency"),
        ("invoice_lines", "charged_minor"),
        ("invoice_lines", "charged_currency"),
    ):
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        else:
            op.drop_column(table, column)
    for table in ("invoice_rates", "fx_rates", "billing_fx_rate_snapshots"):
        op.drop_table(table)
