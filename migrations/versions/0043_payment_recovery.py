"""Recovery of payments and the inbox of events."""

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0043"
down_revision = "0042"

_STATES_BEFORE = "state IN ('received', 'processed', 'ignored', 'failed')"
_STATES = "state IN ('received', 'processed', 'ignored', 'failed', 'closed')"
_COLUMNS = (
    ("next_try_at", types.instant),
    ("object_id", types.ident),
    ("reference", types.ident),
    ("payment_id", types.ident),
    ("closed_by", types.ident),
    ("closed_reason", sa.Text),
)
_PARTIAL = ("next_try_at", "reference", "payment_id")


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("stripe_events", sa.Column(name, kind(), nullable=True))
    _change_states(_STATES_BEFORE, _STATES)
    op.execute("UPDATE stripe_events SET next_try_at = received_at WHERE state = 'received'")
    for name in _PARTIAL:
        where = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_stripe_events_{name}", "stripe_events", [name], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_payment_sessions_created_at", "payment_sessions", ["created_at", "id"])
    op.create_index("ix_payment_sessions_due", "payment_sessions", ["state", "looked_up_at", "updated_at"])
    _create_tables()


def downgrade() -> None:
    op.drop_table("unmatched_payments")
    op.drop_table("provider_listings")
    op.drop_table("stripe_event_tries")
    op.drop_index("ix_payment_sessions_due", "payment_sessions")
    op.drop_index("ix_payment_sessions_created_at", "payment_sessions")
    for name in _PARTIAL:
        op.drop_index(f"ix_stripe_events_{name}", "stripe_events")
    op.execute("UPDATE stripe_events SET state = 'failed' WHERE state = 'closed'")
    _change_states(_STATES, _STATES_BEFORE)
    for name, _kind in reversed(_COLUMNS):
        if _is_sqlite():
            op.execute(f"ALTER TABLE stripe_events DROP COLUMN {name}")
        else:
            op.drop_column("stripe_events", name)


def _create_tables() -> None:
    op.create_table(
        "stripe_event_tries",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("event_id", types.ident(), nullable=False),
        sa.Column("tried_at", types.instant(), nullable=False),
        sa.Column("outcome", types.ident(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["stripe_events.id"], name=op.f("fk_stripe_event_tries_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_event_tries")),
        sqlite_strict=True,
    )
    op.create_index("ix_stripe_event_tries_event_id", "stripe_event_tries", ["event_id", "id"])
    op.create_table(
        "provider_listings",
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("read_through_at", types.instant(), nullable=False),
        sa.Column("deep_at", types.instant(), nullable=False),
        sa.Column("ran_at", types.instant(), nullable=False),
        sa.Column("read_count", types.count(), nullable=False),
        sa.Column("found_count", types.count(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_listings")),
        sqlite_strict=True,
    )
    op.create_table(
        "unmatched_payments",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_payment_id", types.ident(), nullable=False),
        sa.Column("kind", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("reference", types.ident(), nullable=True),
        sa.Column("customer_id", types.ident(), nullable=True),
        sa.Column("source_id", types.ident(), nullable=True),
        sa.Column("method_label", sa.Text(), nullable=True),
        sa.Column("paid_at", types.instant(), nullable=False),
        sa.Column("is_given_back", types.flag(), nullable=False),
        sa.Column("reason", types.ident(), nullable=True),
        sa.Column("session_id", types.ident(), nullable=True),
        sa.Column("payment_id", types.ident(), nullable=True),
        sa.Column("first_seen_at", types.instant(), nullable=False),
        sa.Column("last_seen_at", types.instant(), nullable=False),
        sa.Column("ended_at", types.instant(), nullable=True),
        sa.Column("ended_by", types.ident(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_unmatched_payments_amount")),
        sa.CheckConstraint("kind IN ('foreign', 'orphan', 'uncredited')", name=op.f("ck_unmatched_payments_kind")),
        sa.CheckConstraint("state IN ('open', 'credited', 'closed')", name=op.f("ck_unmatched_payments_state")),
        sa.CheckConstraint("(state = 'open') = (ended_at IS NULL)", name=op.f("ck_unmatched_payments_ended")),
        sa.CheckConstraint(
            "(state = 'credited') = (payment_id IS NOT NULL)", name=op.f("ck_unmatched_payments_payment")
        ),
        sa.ForeignKeyConstraint(["session_id"], ["payment_sessions.id"], name=op.f("fk_unmatched_payments_session_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_unmatched_payments_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmatched_payments")),
        sa.UniqueConstraint(
            "provider", "provider_payment_id", name=op.f("uq_unmatched_payments_provider_provider_payment_id")
        ),
        sqlite_strict=True,
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "ix_unmatched_payments_open",
        "unmatched_payments",
        ["first_seen_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_unmatched_payments_session_id", "unmatched_payments", ["session_id"])


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _change_states(before: str, now: str) -> None:
    if _is_sqlite():
        _rebuild("stripe_events", before, now)
        return
    op.drop_constraint(op.f("ck_stripe_events_state"), "stripe_events", type_="check")
    op.create_check_constraint(op.f("ck_stripe_events_state"), "stripe_events", now)


def _rebuild(table: str, before: str, now: str) -> None:
    """SQLite cannot change a CHECK: the table is written anew under its name, while the migrator's connection holds no references."""
    bind = op.get_bind()
    rows = bind.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", (table,)
    ).all()
    create = next(sql for kind, sql in rows if kind == "table")
    if create.count(f"({before})") != 1:
        raise RuntimeError(f"{table} has no CHECK ({before})")
    head, _, body = create.replace(f"({before})", f"({now})").partition("(")
    if table not in head:
        raise RuntimeError(f"{table} is written otherwise than expected")
    columns = ", ".join(row[1] for row in bind.exec_driver_sql(f"PRAGMA table_info({table})").all())
    op.execute(f"CREATE TABLE {table}_new ({body}")
    op.execute(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table}")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    for kind, sql in rows:
        if kind == "index":
            op.execute(sql)
