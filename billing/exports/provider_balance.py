"""Movements at the provider as CSV: one row each, newest first, with what explains it."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy.orm import Session

from billing.exports import csv
from billing.kernel import money
from billing.payments.cash import movement_list
from billing.payments.cash.movement_list import Filters

COLUMNS = [
    "movement_id",
    "provider",
    "provider_id",
    "type",
    "category",
    "created_at",
    "available_at",
    "currency",
    "amount",
    "fee",
    "net",
    "net_minor",
    "presented_currency",
    "presented",
    "exchange_rate",
    "account",
    "payment_id",
    "refund_id",
    "provider_source_id",
    "provider_payment_id",
    "provider_refund_id",
    "provider_dispute_id",
    "provider_payout_id",
    "paid_out_by",
    "state",
    "reason",
]


def movements_csv(session: Session, filters: Filters) -> csv.Export:
    """The movements that match. Iterate it while the session is open; memory holds one page of rows."""
    return csv.Export(columns=COLUMNS, rows=_rows(session, filters))


def _rows(session: Session, filters: Filters) -> Iterator[tuple[csv.Cell, ...]]:
    for row in movement_list.iterate(session, filters):
        scale = -money.exponent(row.currency)
        yield (
            row.id,
            row.provider,
            row.provider_id,
            row.type,
            row.category,
            row.created_at,
            row.available_at,
            row.currency,
            *(Decimal(minor).scaleb(scale) for minor in (row.amount_minor, row.fee_minor, row.net_minor)),
            row.net_minor,
            row.presented_currency,
            Decimal(row.presented_minor).scaleb(-money.exponent(row.presented_currency)),
            row.exchange_rate,
            row.account_code,
            row.payment_id,
            row.refund_id,
            row.source_id,
            row.payment_ref,
            row.refund_ref,
            row.dispute_ref,
            row.payout_ref,
            row.taken_by_ref,
            row.state,
            row.reason,
        )
