"""What happened to a dispute, as append-only rows: written by the services of this room, read by its pages and its sums."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments.disputes.tables import Dispute, DisputeEvent

MOVEMENTS = ("funds_withdrawn", "funds_reinstated")
LOSSES = ("loss_settled", "loss_undone")


def add(
    session: Session,
    item: Dispute,
    *,
    now: datetime,
    type: str,
    actor: str,
    occurred_at: datetime | None = None,
    money: Money | None = None,
    source_id: str | None = None,
    transaction_id: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """One more row; flushes, so that the next sum sees it. The caller holds the account's head or the dispute's row."""
    session.add(
        DisputeEvent(
            id=new_id("dpe"),
            dispute_id=item.id,
            seq=next_seq(session, item.id),
            type=type,
            amount_minor=money.minor if money else None,
            currency=money.currency if money else None,
            source_id=source_id,
            transaction_id=transaction_id,
            facts=facts or {},
            actor=actor,
            occurred_at=occurred_at or now,
            recorded_at=now,
        )
    )
    session.flush()


def next_seq(session: Session, dispute_id: str) -> int:
    """The number of its next row, from 1."""
    return 1 + int(
        session.execute(
            select(func.coalesce(func.max(DisputeEvent.seq), 0)).where(DisputeEvent.dispute_id == dispute_id)
        ).scalar_one()
    )


def has_source(session: Session, dispute_id: str, source_id: str) -> bool:
    """Whether the provider's balance transaction is booked."""
    query = select(DisputeEvent.id).where(DisputeEvent.dispute_id == dispute_id, DisputeEvent.source_id == source_id)
    return session.execute(query.limit(1)).first() is not None


def movements(session: Session, dispute_id: str) -> list[int]:
    """What was withdrawn (below zero) and reinstated, in order of booking."""
    query = select(DisputeEvent.amount_minor).where(
        DisputeEvent.dispute_id == dispute_id, DisputeEvent.type.in_(MOVEMENTS)
    )
    return [int(minor or 0) for minor in session.execute(query.order_by(DisputeEvent.seq)).scalars()]


def moved_minor(session: Session, dispute_id: str) -> int:
    """Reinstated less withdrawn: below zero while the bank holds something."""
    return sum(movements(session, dispute_id))


def settled(session: Session, dispute_id: str) -> dict[str, int]:
    """{place: what was finally lost there}, undone losses taken off; a place is an invoice's id or "wallet"."""
    query = select(DisputeEvent.facts).where(DisputeEvent.dispute_id == dispute_id, DisputeEvent.type.in_(LOSSES))
    found: dict[str, int] = {}
    for facts in session.execute(query.order_by(DisputeEvent.seq)).scalars():
        for place, minor in facts["parts"].items():
            found[place] = found.get(place, 0) + int(minor)
    return {place: minor for place, minor in found.items() if minor}
