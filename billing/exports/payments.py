"""Payment sessions as CSV: one row each, newest first, with what was received."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy.orm import Session

from billing.exports import csv
from billing.kernel import money
from billing.payments.recovery import session_list
from billing.payments.recovery.session_list import Filters

COLUMNS = [
    "payment_session_id",
    "account",
    "provider",
    "channel",
    "purpose",
    "invoice_id",
    "state",
    "failure",
    "currency",
    "amount",
    "amount_minor",
    "begun_at",
    "received_at",
    "refunded_minor",
    "payment_id",
    "provider_object_id",
    "provider_payment_id",
    "transaction_id",
]


def payments_csv(session: Session, filters: Filters) -> csv.Export:
    """The sessions that match. Iterate it while the session is open; memory holds one page of rows."""
    return csv.Export(columns=COLUMNS, rows=_rows(session, filters))


def _rows(session: Session, filters: Filters) -> Iterator[tuple[csv.Cell, ...]]:
    for row in session_list.iterate(session, filters):
        yield (
            row.id,
            row.account_code,
            row.provider,
            row.channel,
            row.purpose,
            row.invoice_id,
            row.state,
            row.failure,
            row.currency,
            Decimal(row.amount_minor).scaleb(-money.exponent(row.currency)),
            row.amount_minor,
            row.created_at,
            row.received_at,
            row.refunded_minor,
            row.payment_id,
            row.object_id,
            row.provider_payment_id,
            row.transaction_id,
        )
