"""Keeping what the provider says: movements and payouts, each once, by the provider's id."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.payments.cash.tables import BalanceTransaction, Payout
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.ports.cash import BalanceTransactionFacts, PayoutFacts
from billing.storage import audit, upsert

# From a state to those that a provider can tell afterwards: what is read late must not turn time back.
_NEXT = {
    "pending": ("in_transit", "paid", "failed", "canceled"),
    "in_transit": ("paid", "failed", "canceled"),
    "paid": ("failed",),
}


def keep_transactions(
    session: Session,
    *,
    now: datetime,
    provider: str,
    facts: Iterable[BalanceTransactionFacts],
    paid_out_by: str | None = None,
) -> list[str]:
    """Store movements that are not stored yet, as waiting for their explanation; our ids of all of them, known ones too.

    `paid_out_by` names the provider's payout that took them along. What was stored before stays as it is.
    """
    facts = list(facts)
    known = find_ids(session, provider, [each.id for each in facts])
    new = {each.id: _values(each, provider, now) for each in facts if each.id not in known}
    if new:
        statement = upsert.insert(session, BalanceTransaction).on_conflict_do_nothing(
            index_elements=["provider", "provider_id"]
        )
        session.execute(statement, list(new.values()))
        known = find_ids(session, provider, [each.id for each in facts])
    if paid_out_by is not None and known:
        session.execute(
            update(BalanceTransaction)
            .where(BalanceTransaction.id.in_(known.values()), BalanceTransaction.paid_out_by.is_(None))
            .values(paid_out_by=paid_out_by)
            .execution_options(synchronize_session=False)
        )
    return [known[each.id] for each in facts]


def find_ids(session: Session, provider: str, provider_ids: Iterable[str]) -> Mapping[str, str]:
    """Our ids of the movements that are stored, by the provider's."""
    query = select(BalanceTransaction.provider_id, BalanceTransaction.id).where(
        BalanceTransaction.provider == provider, BalanceTransaction.provider_id.in_(list(provider_ids))
    )
    return {row.provider_id: row.id for row in session.execute(query)}


def keep_payout(
    session: Session, *, now: datetime, provider: str, is_live: bool, facts: PayoutFacts, was_asked: bool = False
) -> str:
    """Store a payout, or bring it to what the provider says; our id. `was_asked`: the provider was asked for this one just now.

    What has failed or arrived is not under way again, whatever comes in late. Raises ProviderMismatch for one of another mode, or whose amount or currency
    is another than before.
    """
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", payout_id=facts.id)
    query = select(Payout).where(Payout.provider == provider, Payout.provider_id == facts.id).with_for_update()
    row = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None:
        row = _new_payout(session, now, provider, facts)
    elif (row.amount_minor, row.currency) != (facts.amount.minor, facts.amount.currency):
        raise ProviderMismatch(
            reason="amount_mismatch",
            payout_id=facts.id,
            expected_minor=row.amount_minor,
            found_minor=facts.amount.minor,
        )
    if facts.state in _NEXT.get(row.state, ()):
        row.state, row.updated_at = facts.state, now
        _tell(session, now, row)
    row.destination, row.arrives_on = facts.destination or row.destination, facts.arrives_on
    row.failure_code, row.failure = facts.failure_code, facts.failure
    row.trace = facts.trace
    if was_asked:
        row.looked_at = now
    session.flush()
    return row.id


def _new_payout(session: Session, now: datetime, provider: str, facts: PayoutFacts) -> Payout:
    row = Payout(
        id=new_id("ppo"),
        provider=provider,
        provider_id=facts.id,
        state=facts.state,
        amount_minor=facts.amount.minor,
        currency=facts.amount.currency,
        is_automatic=facts.is_automatic,
        method=facts.method,
        statement_text=facts.statement_text,
        created_at=facts.created_at,
        updated_at=now,
    )
    session.add(row)
    session.flush()  # unique on the provider's id: a second one fails here
    _tell(session, now, row)
    return row


def _tell(session: Session, now: datetime, row: Payout) -> None:
    audit.record(
        session,
        now=now,
        actor=f"provider:{row.provider}",
        act="payout.change",
        subject_type="payout",
        subject_id=row.id,
        facts={"state": row.state, "amount_minor": row.amount_minor, "currency": row.currency},
    )


def _values(facts: BalanceTransactionFacts, provider: str, now: datetime) -> dict[str, object]:
    presented = facts.source.presented or facts.amount
    return {
        "id": new_id("pbt"),
        "provider": provider,
        "provider_id": facts.id,
        "type": facts.type,
        "category": facts.category,
        "description": facts.description,
        "amount_minor": facts.amount.minor,
        "fee_minor": facts.fee.minor,
        "net_minor": facts.net.minor,
        "currency": facts.amount.currency,
        "exchange_rate": facts.exchange_rate,
        # In its own currency a movement is its own amount: a source may be paid in several parts.
        "presented_minor": facts.amount.minor if presented.currency == facts.amount.currency else presented.minor,
        "presented_currency": presented.currency,
        "source_kind": facts.source.kind,
        "source_id": facts.source.id,
        "payment_ref": facts.source.payment_id,
        "refund_ref": facts.source.refund_id,
        "dispute_ref": facts.source.dispute_id,
        "payout_ref": facts.source.payout_id,
        "paid_out_by": None,
        "created_at": facts.created_at,
        "available_at": facts.available_at,
        "read_at": now,
        "state": "waiting" if facts.unreadable is None else "finding",
        "reason": None if facts.unreadable is None else f"unreadable:{facts.unreadable}"[:80],
        "pair_id": None,
        "payment_id": None,
        "refund_id": None,
        "looked_at": None,
    }
