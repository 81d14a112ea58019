"""Provider customers with the acts that made them, saved payment methods, and an older system's customer ids."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.add_column("billing_accounts", sa.Column("legacy_customer_id", types.ident(), nullable=True))
    op.add_column("billing_provider_customers", sa.Column("gone_at", types.instant(), nullable=True))
    op.add_column("billing_provider_customers", sa.Column("copied_at", types.instant(), nullable=True))
    op.add_column("billing_provider_customers", sa.Column("copies", types.count(), nullable=False, server_default="0"))
    _acts()
    _methods()
    _setups()


def downgrade() -> None:
    for table in ("payment_method_setups", "payment_methods", "provider_customer_acts"):
        op.drop_table(table)
    for table, column in (
        ("billing_provider_customers", "copies"),
        ("billing_provider_customers", "copied_at"),
        ("billing_provider_customers", "gone_at"),
        ("billing_accounts", "legacy_customer_id"),
    ):
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        else:
            op.drop_column(table, column)


def _acts() -> None:
    table = "provider_customer_acts"
    op.create_table(
        table,
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("act", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("customer_id", types.ident(), nullable=True),
        sa.Column("previous_id", types.ident(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failure", types.ident(), nullable=True),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.CheckConstraint("act IN ('create', 'adopt', 'relink', 'renew')", name=op.f(f"ck_{table}_act")),
        sa.CheckConstraint("state IN ('begun', 'done', 'failed')", name=op.f(f"ck_{table}_state")),
        sa.CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name=op.f(f"ck_{table}_failure")),
        sa.CheckConstraint("state <> 'done' OR customer_id IS NOT NULL", name=op.f(f"ck_{table}_customer")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f(f"fk_{table}_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sqlite_strict=True,
    )
    op.create_index("ix_provider_customer_acts_billing_account_id", table, ["billing_account_id", "id"])
    begun = sa.text("state = 'begun'")
    op.create_index(
        "uq_provider_customer_acts_begun",
        table,
        ["billing_account_id", "provider"],
        unique=True,
        sqlite_where=begun,
        postgresql_where=begun,
    )


def _methods() -> None:
    table = "payment_methods"
    op.create_table(
        table,
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_method_id", types.ident(), nullable=False),
        sa.Column("customer_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("brand", types.ident(), nullable=True),
        sa.Column("last4", types.ident(), nullable=True),
        sa.Column("exp_month", types.count(), nullable=True),
        sa.Column("exp_year", types.count(), nullable=True),
        sa.Column("is_default", types.flag(), nullable=False),
        sa.Column("saved_at", types.instant(), nullable=False),
        sa.Column("removal_asked_at", types.instant(), nullable=True),
        sa.Column("removal_asked_by", types.ident(), nullable=True),
        sa.Column("detached_at", types.instant(), nullable=True),
        sa.CheckConstraint("last4 IS NULL OR length(last4) = 4", name=op.f(f"ck_{table}_last4")),
        sa.CheckConstraint("(removal_asked_at IS NULL) = (removal_asked_by IS NULL)", name=op.f(f"ck_{table}_removal")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f(f"fk_{table}_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("provider", "provider_method_id", name=op.f(f"uq_{table}_provider_provider_method_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_payment_methods_billing_account_id", table, ["billing_account_id", "id"])
    op.create_index("ix_payment_methods_removal_asked_at", table, ["removal_asked_at"])
    default = sa.text("is_default")
    op.create_index(
        "uq_payment_methods_default",
        table,
        ["billing_account_id", "provider"],
        unique=True,
        sqlite_where=default,
        postgresql_where=default,
    )


def _setups() -> None:
    table = "payment_method_setups"
    op.create_table(
        table,
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("makes_default", types.flag(), nullable=False),
        sa.Column("form_key", types.ident(), nullable=False),
        sa.Column("customer_id", types.ident(), nullable=True),
        sa.Column("provider_session_id", types.ident(), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("provider_method_id", types.ident(), nullable=True),
        sa.Column("failure", types.ident(), nullable=True),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.Column("looked_up_at", types.instant(), nullable=True),
        sa.Column("correlation_id", types.ident(), nullable=True),
        sa.CheckConstraint(
            "state IN ('created', 'open', 'unknown', 'saved', 'failed', 'expired')", name=op.f(f"ck_{table}_state")
        ),
        sa.CheckConstraint("(state = 'saved') = (provider_method_id IS NOT NULL)", name=op.f(f"ck_{table}_method")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f(f"fk_{table}_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("billing_account_id", "form_key", name=op.f(f"uq_{table}_billing_account_id_form_key")),
        sa.UniqueConstraint("provider", "provider_session_id", name=op.f(f"uq_{table}_provider_provider_session_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_payment_method_setups_billing_account_id", table, ["billing_account_id", "id"])
    op.create_index("ix_payment_method_setups_state", table, ["state", "updated_at"])
