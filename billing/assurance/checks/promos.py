"""Gifts: each grant says what the ledger entry that gave it says."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance.report import Tally, count
from billing.ledger.tables import LedgerEntry, LedgerMemo, LedgerTransaction, PromoGrant
from billing.storage.columns import micros

NAME = "promo"


def check(session: Session, tally: Tally) -> None:
    """Look at every grant and the entry that gave it."""
    looked = 0
    rows: Sequence[Any] = session.execute(
        select(PromoGrant, LedgerEntry, LedgerTransaction.recorded_at, LedgerMemo.memo)
        .outerjoin(LedgerEntry, LedgerEntry.transaction_id == PromoGrant.transaction_id)
        .outerjoin(LedgerTransaction, LedgerTransaction.id == PromoGrant.transaction_id)
        .outerjoin(LedgerMemo, LedgerMemo.transaction_id == PromoGrant.transaction_id)
        .order_by(PromoGrant.id)
    ).all()
    for grant, entry, recorded_at, memo in rows:
        looked += 1
        tally.look()
        if entry is None:
            tally.differ(grant.id, "was given by no ledger transaction")
            continue
        other = [name for name, said, booked in _pairs(grant, entry, recorded_at, memo) if said != booked]
        if other:
            sentence = f"says other than the entry that gave it: {', '.join(other)}"
            tally.differ(grant.id, sentence, transaction=grant.transaction_id)
    tally.expect("promo_grants", looked, count(session, select(func.count()).select_from(PromoGrant)))


def _pairs(grant: PromoGrant, entry: LedgerEntry, recorded_at: Any, memo: str | None) -> list[tuple[str, Any, Any]]:
    """(field, what the grant says, what the books say); a memo that was erased says nothing."""
    detail = entry.detail
    return [
        ("id", grant.id, detail.get("grant_id")),
        ("billing_account_id", grant.billing_account_id, entry.billing_account_id),
        ("kind", grant.kind, entry.kind),
        ("currency", grant.currency, entry.currency),
        ("amount_minor", grant.amount_minor, entry.amount_minor),
        ("expires_at", grant.expires_at and micros(grant.expires_at), detail.get("expires_micros")),
        ("granted_at", grant.granted_at, recorded_at),
        ("reason", grant.reason, grant.reason if memo is None else memo),
    ]
