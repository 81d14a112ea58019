"""Charges without the customer: automatic payment and top-up, dunning."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0041"
down_revision = "0040"

_LIVE = "state IN ('created', 'open', 'unknown')"
_INDEXES = (
    (
        "uq_payment_sessions_live_charge",
        ["invoice_id"],
        True,
        f"channel = 'off_session' AND purpose = 'invoice' AND {_LIVE}",
    ),
    (
        "uq_payment_sessions_live_top_up",
        ["billing_account_id"],
        True,
        f"channel = 'off_session' AND purpose = 'top_up' AND {_LIVE}",
    ),
    (
        "uq_payment_sessions_provider_intent_id",
        ["provider", "provider_intent_id"],
        True,
        "provider_intent_id IS NOT NULL",
    ),
    ("ix_payment_sessions_invoice_id", ["invoice_id"], False, "invoice_id IS NOT NULL"),
)


def upgrade() -> None:
    _add("channel", "NOT NULL DEFAULT 'checkout'", "channel", "channel IN ('checkout', 'off_session')")
    triggers = "trigger IN ('person', 'auto_pay', 'auto_top_up')"
    _add(
        "trigger",
        "NOT NULL DEFAULT 'person'",
        "trigger",
        f"{triggers} AND (trigger = 'person') = (channel = 'checkout')",
    )
    op.add_column("payment_sessions", sa.Column("provider_intent_id", types.ident(), nullable=True))
    for name, columns, is_unique, where in _INDEXES:
        op.create_index(
            name,
            "payment_sessions",
            columns,
            unique=is_unique,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    _settings()
    _attempts()
    _calendars()


def _settings() -> None:
    op.create_table(
        "automatic_payments",
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("is_paying", types.flag(), nullable=False),
        sa.Column("is_topping_up", types.flag(), nullable=False),
        sa.Column("threshold_minor", types.count(), nullable=True),
        sa.Column("amount_minor", types.count(), nullable=True),
        sa.Column("cap_minor", types.count(), nullable=True),
        sa.Column("paying_since", types.instant(), nullable=True),
        sa.Column("off_reason", types.ident(), nullable=True),
        sa.Column("version", types.count(), nullable=False),
        sa.Column("updated_by", types.ident(), nullable=False),
        sa.Column("updated_at", types.instant(), nullable=False),
        sa.CheckConstraint("threshold_minor >= 0", name=op.f("ck_automatic_payments_threshold")),
        sa.CheckConstraint(
            "amount_minor > 0 AND cap_minor >= amount_minor", name=op.f("ck_automatic_payments_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_automatic_payments_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("billing_account_id", name=op.f("pk_automatic_payments")),
        sqlite_strict=True,
    )
    op.create_table(
        "charge_consents",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("purpose", types.ident(), nullable=False),
        sa.Column("act", types.ident(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("method_label", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("recorded_at", types.instant(), nullable=False),
        sa.CheckConstraint("purpose IN ('auto_pay', 'auto_top_up')", name=op.f("ck_charge_consents_purpose")),
        sa.CheckConstraint("act IN ('agreed', 'withdrawn')", name=op.f("ck_charge_consents_act")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_charge_consents_billing_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_consents")),
        sqlite_strict=True,
    )
    op.create_index("ix_charge_consents_billing_account_id", "charge_consents", ["billing_account_id", "id"])


def _attempts() -> None:
    outcomes = "outcome IN ('pending', 'processing', 'paid', 'declined', 'action_required', 'never_sent')"
    op.create_table(
        "charge_attempts",
        sa.Column("session_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("step", types.ident(), nullable=False),
        sa.Column("method_id", types.ident(), nullable=False),
        sa.Column("provider_method_id", types.ident(), nullable=False),
        sa.Column("customer_id", types.ident(), nullable=False),
        sa.Column("method_kind", types.ident(), nullable=False),
        sa.Column("method_label", sa.Text(), nullable=False),
        sa.Column("outcome", types.ident(), nullable=False),
        sa.Column("decline_code", types.ident(), nullable=True),
        sa.Column("verdict", types.ident(), nullable=True),
        sa.Column("next_try_on", types.day(), nullable=True),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.CheckConstraint(outcomes, name=op.f("ck_charge_attempts_outcome")),
        sa.CheckConstraint(
            "verdict IN ('soft', 'method', 'request', 'person')", name=op.f("ck_charge_attempts_verdict")
        ),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_charge_attempts_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["session_id"], ["payment_sessions.id"], name=op.f("fk_charge_attempts_session_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_charge_attempts")),
        sqlite_strict=True,
    )
    op.create_index("ix_charge_attempts_billing_account_id", "charge_attempts", ["billing_account_id", "session_id"])


def _calendars() -> None:
    op.create_table(
        "dunning_calendars",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("scope_id", types.ident(), nullable=False),
        sa.Column("seller_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=True),
        sa.Column("version", types.count(), nullable=False),
        sa.Column("is_ended", types.flag(), nullable=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", types.ident(), nullable=False),
        sa.Column("created_at", types.instant(), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_dunning_calendars_version")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_dunning_calendars_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["seller_id"], ["sellers.id"], name=op.f("fk_dunning_calendars_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_calendars")),
        sa.UniqueConstraint("scope_id", "version", name=op.f("uq_dunning_calendars_scope_id_version")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    for table in ("dunning_calendars", "charge_attempts", "charge_consents", "automatic_payments"):
        op.drop_table(table)
    for name, _columns, _is_unique, _where in _INDEXES:
        op.drop_index(name, "payment_sessions")
    for column in ("provider_intent_id", "trigger", "channel"):
        op.drop_column("payment_sessions", column)


def _add(column: str, rest: str, name: str, check: str) -> None:
    """A column with its own CHECK: SQLite can add that to a table in use, and only so."""
    kind = "TEXT" if op.get_bind().dialect.name == "sqlite" else 'TEXT COLLATE "C"'
    named = f"CONSTRAINT ck_payment_sessions_{name} CHECK ({check})"
    op.execute(f"ALTER TABLE payment_sessions ADD COLUMN {column} {kind} {rest} {named}")
