"""Refunds to card, bank and wallet: their history, limits by role, and refunds made at the provider's own pages."""

import json
import secrets

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0044"
down_revision = "0043"

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_OLD_COLUMNS = (
    "id, billing_account_id, payment_id, invoice_id, mode, amount_minor, currency, reason, state, form_key, requested_by,"
    " requested_at, decided_by, decided_at, decision_note, credit_note_id, provider_refund_id, sent_at, ended_at,"
    " looked_up_at, failure, correlation_id"
)
_TEXTS = ("outcome", "payee_iban", "provider_status")
_WORDS = ("policy", "payee_name", "transfer_reference", "provider_facts")
_INSTANTS = ("booked_at", "provider_seen_at")
_DAYS = ("expected_on", "transfer_on")
_OLD_CHECKS = {
    "mode": "mode IN ('card', 'credit')",
    "payment": "(mode = 'card') = (payment_id IS NOT NULL)",
    "invoice": "(mode = 'credit') = (invoice_id IS NOT NULL)",
}
_NEW_CHECKS = {
    "mode": "mode IN ('card', 'bank', 'credit')",
    "payment": "(mode = 'credit') = (payment_id IS NULL)",
    "invoice": "mode <> 'credit' OR invoice_id IS NOT NULL",
    "payee": "(mode = 'bank') = (payee_iban IS NOT NULL)",
    "payee_name": "(payee_iban IS NULL) = (payee_name IS NULL)",
    "transfer": "(transfer_on IS NULL) = (transfer_reference IS NULL)",
    "origin": "origin = 'request' OR (origin = 'provider' AND mode = 'card' AND provider_refund_id IS NOT NULL)",
    "outcome": (
        "outcome IS NULL OR outcome IN"
        " ('refunded', 'credited', 'released', 'returned', 'rejected', 'withdrawn', 'expired')"
    ),
}


def upgrade() -> None:
    if _is_sqlite():
        _rebuild(_NEW_CHECKS, with_new=True)
    else:
        for name in _OLD_CHECKS:
            op.drop_constraint(op.f(f"ck_refund_requests_{name}"), "refund_requests", type_="check")
        op.add_column(
            "refund_requests", sa.Column("origin", types.ident(), nullable=False, server_default=sa.text("'request'"))
        )
        op.alter_column("refund_requests", "origin", server_default=None)
        for name in _TEXTS:
            op.add_column("refund_requests", sa.Column(name, types.ident(), nullable=True))
        for name in _WORDS:
            op.add_column("refund_requests", sa.Column(name, sa.Text(), nullable=True))
        for name in _INSTANTS:
            op.add_column("refund_requests", sa.Column(name, types.instant(), nullable=True))
        for name in _DAYS:
            op.add_column("refund_requests", sa.Column(name, types.day(), nullable=True))
        for name, condition in _NEW_CHECKS.items():
            op.create_check_constraint(op.f(f"ck_refund_requests_{name}"), "refund_requests", condition)
    op.create_index("ix_refund_requests_billing_account_id", "refund_requests", ["billing_account_id", "id"])
    op.create_index(
        "uq_refund_requests_provider_refund_id",
        "refund_requests",
        ["provider_refund_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'rejected'"),
        postgresql_where=sa.text("state <> 'rejected'"),
    )
    _say_outcomes()
    _create_events()
    _tell_history()
    _create_limits()
    _create_foreign()


def downgrade() -> None:
    for table in ("foreign_refunds", "refund_role_limits", "refund_events"):
        op.drop_table(table)
    op.execute("DELETE FROM refund_requests WHERE mode = 'bank'")
    op.execute("UPDATE refund_requests SET invoice_id = NULL WHERE mode = 'card'")
    op.drop_index("uq_refund_requests_provider_refund_id", "refund_requests")
    op.drop_index("ix_refund_requests_billing_account_id", "refund_requests")
    if _is_sqlite():
        _rebuild(_OLD_CHECKS, with_new=False)
        return
    for name in _NEW_CHECKS:
        op.drop_constraint(op.f(f"ck_refund_requests_{name}"), "refund_requests", type_="check")
    for name in ("origin", *_TEXTS, *_WORDS, *_INSTANTS, *_DAYS):
        op.drop_column("refund_requests", name)
    for name, condition in _OLD_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_refund_requests_{name}"), "refund_requests", condition)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _rebuild(checks: dict[str, str], *, with_new: bool) -> None:
    """SQLite cannot exchange a CHECK: the table is written anew under its name, while the migrator's connection holds no references."""
    new = ", origin TEXT NOT NULL DEFAULT 'request'" if with_new else ""
    if with_new:
        new += "".join(f", {name} TEXT" for name in (*_TEXTS, *_WORDS, *_DAYS))
        new += "".join(f", {name} INTEGER" for name in _INSTANTS)
    named = "".join(f", CONSTRAINT ck_refund_requests_{name} CHECK ({condition})" for name, condition in checks.items())
    op.execute(
        "CREATE TABLE refund_requests_new (id TEXT NOT NULL, billing_account_id TEXT NOT NULL, payment_id TEXT,"
        " invoice_id TEXT, mode TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,"
        " reason TEXT NOT NULL, state TEXT NOT NULL, form_key TEXT NOT NULL, requested_by TEXT NOT NULL,"
        " requested_at INTEGER NOT NULL, decided_by TEXT, decided_at INTEGER, decision_note TEXT, credit_note_id TEXT,"
        " provider_refund_id TEXT, sent_at INTEGER, ended_at INTEGER, looked_up_at INTEGER, failure TEXT,"
        f" correlation_id TEXT{new},"
        " CONSTRAINT pk_refund_requests PRIMARY KEY (id),"
        " CONSTRAINT uq_refund_requests_billing_account_id_form_key UNIQUE (billing_account_id, form_key),"
        f" CONSTRAINT ck_refund_requests_amount CHECK (amount_minor > 0){named},"
        " CONSTRAINT ck_refund_requests_second_person CHECK (decided_by IS NULL OR decided_by <> requested_by),"
        " CONSTRAINT ck_refund_requests_state CHECK (state IN"
        " ('requested', 'approved', 'sent', 'succeeded', 'failed', 'rejected', 'unknown')),"
        " CONSTRAINT fk_refund_requests_billing_account_id FOREIGN KEY(billing_account_id)"
        " REFERENCES billing_accounts (id),"
        " CONSTRAINT fk_refund_requests_payment_id FOREIGN KEY(payment_id) REFERENCES payments (id),"
        " CONSTRAINT fk_refund_requests_invoice_id FOREIGN KEY(invoice_id) REFERENCES invoice_headers (id),"
        " CONSTRAINT fk_refund_requests_credit_note_id FOREIGN KEY(credit_note_id) REFERENCES invoice_headers (id)) STRICT"
    )
    op.execute(f"INSERT INTO refund_requests_new ({_OLD_COLUMNS}) SELECT {_OLD_COLUMNS} FROM refund_requests")
    op.execute("DROP TABLE refund_requests")
    op.execute("ALTER TABLE refund_requests_new RENAME TO refund_requests")
    op.create_index("ix_refund_requests_state", "refund_requests", ["state", "id"])
    op.create_index("ix_refund_requests_payment_id", "refund_requests", ["payment_id"])
    op.create_index("ix_refund_requests_provider_refund_id", "refund_requests", ["provider_refund_id"])
    op.create_index("ix_refund_requests_correlation_id", "refund_requests", ["correlation_id"])


def _say_outcomes() -> None:
    """What requests from before this revision came to, and when their money left."""
    op.execute(
        "UPDATE refund_requests SET outcome = CASE WHEN mode = 'card' THEN 'refunded' ELSE 'credited' END"
        " WHERE state = 'succeeded'"
    )
    op.execute("UPDATE refund_requests SET booked_at = ended_at WHERE state = 'succeeded' AND mode = 'card'")
    op.execute("UPDATE refund_requests SET outcome = 'released' WHERE state = 'failed'")
    op.execute(
        "UPDATE refund_requests SET outcome = 'returned', booked_at = sent_at WHERE state = 'failed' AND id IN"
        " (SELECT source_id FROM ledger_transactions WHERE type = 'refund_return' AND source_type = 'refund_request')"
    )
    for state in ("rejected", "withdrawn", "expired"):
        op.execute(
            f"UPDATE refund_requests SET outcome = '{state}' WHERE state = 'rejected' AND id IN (SELECT subject_id"
            f" FROM approvals WHERE subject_type = 'refund_request' AND state = '{state}')"
        )
    op.execute("UPDATE refund_requests SET outcome = 'rejected' WHERE state = 'rejected' AND outcome IS NULL")


def _create_events() -> None:
    op.create_table(
        "refund_events",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("refund_id", types.ident(), nullable=False),
        sa.Column("seq", types.count(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("type", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("actor", types.ident(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("transaction_id", types.ident(), nullable=True),
        sa.Column("at", types.instant(), nullable=False),
        sa.ForeignKeyConstraint(["refund_id"], ["refund_requests.id"], name=op.f("fk_refund_events_refund_id")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_refund_events_billing_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_refund_events_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_events")),
        sa.UniqueConstraint("refund_id", "seq", name=op.f("uq_refund_events_refund_id_seq")),
        sqlite_strict=True,
    )
    op.create_index("ix_refund_events_billing_account_id", "refund_events", ["billing_account_id", "id"])


def _tell_history() -> None:
    """The steps that the dates of older requests show."""
    bind = op.get_bind()
    rows = bind.execute(
        sa.text(
            "SELECT id, billing_account_id, state, outcome, requested_by, requested_at, decided_by, decided_at, sent_at,"
            " ended_at, failure FROM refund_requests ORDER BY id"
        )
    ).all()
    found = []
    for row in rows:
        steps = [("requested", "requested", row.requested_by, row.requested_at)]
        decided = row.outcome if row.state == "rejected" else "approved"
        steps.append((decided, "rejected" if row.state == "rejected" else "approved", row.decided_by, row.decided_at))
        steps.append(("sent", "sent", None, row.sent_at))
        if row.state in ("succeeded", "failed"):
            ended = (
                "credited" if row.outcome == "credited" else "succeeded" if row.state == "succeeded" else row.outcome
            )
            steps.append((ended, row.state, row.decided_by if ended == "credited" else None, row.ended_at))
        for number, (step, state, actor, at) in enumerate((one for one in steps if one[3] is not None), start=1):
            facts = {"failure": row.failure} if step in ("released", "returned") and row.failure else {}
            found.append(
                {
                    "id": "rfe_" + "".join(secrets.choice(_ALPHABET) for _ in range(26)),
                    "refund_id": row.id,
                    "seq": number,
                    "billing_account_id": row.billing_account_id,
                    "type": step,
                    "state": state,
                    "actor": actor or "job:payments",
                    "facts": json.dumps(facts, ensure_ascii=False, separators=(",", ":")),
                    "at": at,
                }
            )
    if found:
        bind.execute(
            sa.text(
                "INSERT INTO refund_events (id, refund_id, seq, billing_account_id, type, state, actor, facts, at)"
                " VALUES (:id, :refund_id, :seq, :billing_account_id, :type, :state, :actor, :facts, :at)"
            ),
            found,
        )


def _create_limits() -> None:
    op.create_table(
        "refund_role_limits",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("role", types.ident(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("per_refund_minor", types.count(), nullable=True),
        sa.Column("per_day_minor", types.count(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", types.ident(), nullable=False),
        sa.Column("approved_by", types.ident(), nullable=False),
        sa.Column("approval_id", types.ident(), nullable=False),
        sa.Column("valid_from", types.instant(), nullable=False),
        sa.CheckConstraint("role IN ('maker', 'approver', 'admin')", name=op.f("ck_refund_role_limits_role")),
        sa.CheckConstraint(
            "per_refund_minor IS NULL OR per_refund_minor >= 0", name=op.f("ck_refund_role_limits_per_refund")
        ),
        sa.CheckConstraint("per_day_minor IS NULL OR per_day_minor >= 0", name=op.f("ck_refund_role_limits_per_day")),
        sa.CheckConstraint("set_by <> approved_by", name=op.f("ck_refund_role_limits_second_person")),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name=op.f("fk_refund_role_limits_approval_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_role_limits")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_refund_role_limits_approval_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_refund_role_limits_role", "refund_role_limits", ["role", "currency", "id"])


def _create_foreign() -> None:
    op.create_table(
        "foreign_refunds",
        sa.Column("id", types.ident(), nullable=False),
        sa.Column("provider", types.ident(), nullable=False),
        sa.Column("provider_refund_id", types.ident(), nullable=False),
        sa.Column("billing_account_id", types.ident(), nullable=False),
        sa.Column("payment_id", types.ident(), nullable=False),
        sa.Column("amount_minor", types.count(), nullable=False),
        sa.Column("currency", types.ident(), nullable=False),
        sa.Column("state", types.ident(), nullable=False),
        sa.Column("provider_status", types.ident(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("refund_id", types.ident(), nullable=True),
        sa.Column("found_at", types.instant(), nullable=False),
        sa.Column("seen_at", types.instant(), nullable=False),
        sa.Column("adopted_at", types.instant(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_foreign_refunds_amount")),
        sa.CheckConstraint("state IN ('open', 'asked', 'adopted')", name=op.f("ck_foreign_refunds_state")),
        sa.CheckConstraint("(state = 'adopted') = (adopted_at IS NOT NULL)", name=op.f("ck_foreign_refunds_adopted")),
        sa.CheckConstraint("state = 'open' OR refund_id IS NOT NULL", name=op.f("ck_foreign_refunds_refund")),
        sa.ForeignKeyConstraint(
            ["billing_account_id"], ["billing_accounts.id"], name=op.f("fk_foreign_refunds_billing_account_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_foreign_refunds_payment_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund_requests.id"], name=op.f("fk_foreign_refunds_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foreign_refunds")),
        sa.UniqueConstraint(
            "provider", "provider_refund_id", name=op.f("uq_foreign_refunds_provider_provider_refund_id")
        ),
        sa.UniqueConstraint("refund_id", name=op.f("uq_foreign_refunds_refund_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_foreign_refunds_state", "foreign_refunds", ["state", "found_at"])
    op.create_index("ix_foreign_refunds_payment_id", "foreign_refunds", ["payment_id"])
    op.create_index("ix_foreign_refunds_billing_account_id", "foreign_refunds", ["billing_account_id", "id"])
