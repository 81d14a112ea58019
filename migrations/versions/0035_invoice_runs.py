"""Review of drafts: grace for late usage, what was looked at, documents below zero, documents written anew, dry runs."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("sellers", sa.Column("grace_hours", types.count(), nullable=False, server_default="0"))
    op.add_column("billing_accounts", sa.Column("payment_terms_days", types.count(), nullable=True))
    op.add_column("invoice_batches", sa.Column("outlier_reason", sa.Text(), nullable=True))
    op.add_column("invoice_headers", sa.Column("review_started_at", types.instant(), nullable=True))
    op.add_column("invoice_headers", sa.Column("reviewed_by", types.ident(), nullable=True))
    op.add_column(
        "invoice_headers",
        sa.Column(
            "takes_charges", types.flag(), nullable=False, server_default=sa.text("0") if is_sqlite else sa.false()
        ),
    )
    if is_sqlite:
        op.execute(
            "ALTER TABLE invoice_headers ADD COLUMN replaces_id TEXT"
            " CONSTRAINT fk_invoice_headers_replaces_id REFERENCES invoice_headers (id)"
        )
    else:
        op.add_column("invoice_headers", sa.Column("replaces_id", types.ident(), nullable=True))
        op.create_foreign_key(
            op.f("fk_invoice_headers_replaces_id"), "invoice_headers", "invoice_headers", ["replaces_id"], ["id"]
        )
    op.create_index("ix_invoice_headers_replaces_id", "invoice_headers", ["replaces_id"], unique=True)
    op.create_index("ix_invoice_headers_corrects_id", "invoice_headers", ["corrects_id"], unique=False)
    open_charges = sa.text("draft_id IS NULL")
    op.create_index(
        "ix_charges_open",
        "charges",
        ["billing_period_id"],
        unique=False,
        sqlite_where=open_charges,
        postgresql_where=open_charges,
    )
    not_invoiced = sa.text("invoiced_at IS NULL")
    op.create_index(
        "ix_billing_periods_not_invoiced",
        "billing_periods",
        ["end_at"],
        unique=False,
        sqlite_where=not_invoiced,
        postgresql_where=not_invoiced,
    )
    op.create_table(
        "invoice_dry_run_rows",
        sa.Column("work_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("account_code", types.ident(), nullable=False),
        sa.Column("account_name", sa.Text(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=True),
        sa.Column("currency", types.ident(), nullable=True),
        sa.Column("line_count", types.count(), nullable=False),
        sa.Column("net_minor", types.count(), nullable=False),
        sa.Column("tax_minor", types.count(), nullable=False),
        sa.Column("total_minor", types.count(), nullable=False),
        sa.Column("before_net_minor", types.count(), nullable=True),
        sa.Column("finding", types.ident(), nullable=True),
        sa.Column("change", types.ident(), nullable=True),
        sa.Column("refusal_code", types.ident(), nullable=True),
        sa.Column("refusal_facts", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('ready', 'refused', 'missing')", name=op.f("ck_invoice_dry_run_rows_state")),
        sa.CheckConstraint(
            "(state = 'refused') = (refusal_code IS NOT NULL)", name=op.f("ck_invoice_dry_run_rows_refusal")
        ),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_invoice_dry_run_rows_work_id")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_invoice_dry_run_rows_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("work_id", "seq", name=op.f("pk_invoice_dry_run_rows")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("invoice_dry_run_rows")
    op.drop_index("ix_billing_periods_not_invoiced", table_name="billing_periods")
    op.drop_index("ix_charges_open", table_name="charges")
    op.drop_index("ix_invoice_headers_corrects_id", table_name="invoice_headers")
    op.drop_index("ix_invoice_headers_replaces_id", table_name="invoice_headers")
    columns = (
        ("invoice_headers", "replaces_id"),
        ("invoice_headers", "takes_charges"),
        ("invoice_headers", "reviewed_by"),
        ("invoice_headers", "review_started_at"),
        ("invoice_batches", "outlier_reason"),
        ("billing_accounts", "payment_terms_days"),
        ("sellers", "grace_hours"),
    )
    for table, column in columns:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        else:
            op.drop_column(table, column)
