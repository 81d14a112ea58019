"""What is counted and what it costs."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "meters",
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("unit", types.ident(), nullable=False),
        sa.Column("base_unit", types.ident(), nullable=False),
        sa.Column("base_per_unit", types.quantity(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_meters")),
        sqlite_strict=True,
    )
    op.create_table(
        "price_books",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("version", types.count(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("origin", types.ident(), nullable=False),
        sa.Column("content_hash", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_books")),
        sa.UniqueConstraint("code", "content_hash", name=op.f("uq_price_books_code_content_hash")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_price_books_code_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "pricing_plans",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pricing_plans")),
        sa.UniqueConstraint("code", name=op.f("uq_pricing_plans_code")),
        sqlite_strict=True,
    )
    op.create_table(
        "pricing_plan_versions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("plan_id", types.ident(), nullable=False),
        sa.Column("version", types.count(), nullable=False),
        sa.Column("book_code", types.ident(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["pricing_plans.id"], name=op.f("fk_pricing_plan_versions_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pricing_plan_versions")),
        sa.UniqueConstraint("plan_id", "valid_from", name=op.f("uq_pricing_plan_versions_plan_id_valid_from")),
        sa.UniqueConstraint("plan_id", "version", name=op.f("uq_pricing_plan_versions_plan_id_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "sku_catalog",
        sa.Column("code", types.ident(), nullable=False),
        sa.Column("meter_code", types.ident(), nullable=False),
        sa.Column("family", types.ident(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["meter_code"], ["meters.code"], name=op.f("fk_sku_catalog_meter_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_sku_catalog")),
        sa.UniqueConstraint("meter_code", name=op.f("uq_sku_catalog_meter_code")),
        sqlite_strict=True,
    )
    op.create_table(
        "price_versions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("price_book_id", types.ident(), nullable=False),
        sa.Column("book_code", types.ident(), nullable=False),
        sa.Column("sku_code", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("model", types.ident(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        sa.Column("price_hash", types.ident(), nullable=False),
        sa.ForeignKeyConstraint(["price_book_id"], ["price_books.id"], name=op.f("fk_price_versions_price_book_id")),
        sa.ForeignKeyConstraint(["sku_code"], ["sku_catalog.code"], name=op.f("fk_price_versions_sku_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_versions")),
        sa.UniqueConstraint(
            "book_code",
            "sku_code",
            "currency",
            "valid_from",
            name=op.f("uq_price_versions_book_code_sku_code_currency_valid_from"),
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_price_versions_price_book_id", "price_versions", ["price_book_id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("plan_id", types.ident(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_subscriptions_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["pricing_plans.id"], name=op.f("fk_subscriptions_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(
            "billing_account_id", "valid_from", name=op.f("uq_subscriptions_billing_account_id_valid_from")
        ),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("subscriptions")
    op.drop_table("price_versions")
    op.drop_table("sku_catalog")
    op.drop_table("pricing_plan_versions")
    op.drop_table("pricing_plans")
    op.drop_table("price_books")
    op.drop_table("meters")
