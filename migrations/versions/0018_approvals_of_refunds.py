"""Refunds that wait for a decision get the approval that decides them from now on."""

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import types

revision = "0018"
down_revision = "0017"

_LASTS = timedelta(days=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

_refunds = sa.table(
    "refund_requests",
    *(
        sa.column(name, types.ident())
        for name in (
            "id",
            "billing_account_id",
            "mode",
            "payment_id",
            "invoice_id",
            "currency",
            "state",
            "requested_by",
        )
    ),
    sa.column("amount_minor", sa.BigInteger()),
    sa.column("reason", sa.Text()),
)
_approvals = sa.table(
    "approvals",
    *(
        sa.column(name, types.ident())
        for name in ("id", "act", "subject_type", "subject_id", "billing_account_id", "content_hash", "maker", "state")
    ),
    sa.column("content", sa.Text()),
    sa.column("reason", sa.Text()),
    sa.column("requested_at"),
    sa.column("expires_at"),
)


def upgrade() -> None:
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    now = datetime.now(UTC)
    waiting = connection.execute(
        sa.select(_refunds)
        .where(_refunds.c.state == "requested", _refunds.c.id.not_in(sa.select(_approvals.c.subject_id)))
        .order_by(_refunds.c.id)
    ).all()
    for row in waiting:
        # From this day on: a request must not be over before anybody could see it among the others.
        asked_us, over_us = _micros(now), _micros(now + _LASTS)
        values: dict[str, Any] = {
            "id": "apr_" + "".join(secrets.choice(_ALPHABET) for _ in range(26)),
            "act": f"refund.{row.mode}",
            "subject_type": "refund_request",
            "subject_id": row.id,
            "billing_account_id": row.billing_account_id,
        }
        content = {
            "refund_id": row.id,
            "account_id": row.billing_account_id,
            "mode": row.mode,
            "payment_id": row.payment_id,
            "invoice_id": row.invoice_id,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
        }
        fixed = ["approval/1", *values.values(), content, row.reason, row.requested_by, asked_us, over_us]
        values |= {
            "content": _canonical(content),
            "content_hash": hashlib.sha256(_canonical(fixed).encode()).hexdigest(),
            "reason": row.reason,
            "maker": row.requested_by,
            "state": "requested",
            "requested_at": asked_us if is_sqlite else now,
            "expires_at": over_us if is_sqlite else now + _LASTS,
        }
        connection.execute(_approvals.insert().values(**values))


def downgrade() -> None:
    op.execute("DELETE FROM approvals WHERE subject_type = 'refund_request' AND state = 'requested'")


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
