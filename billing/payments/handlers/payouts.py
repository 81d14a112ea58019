"""Events of payouts: what the provider says of the payout now is kept, and what it moved is booked in the house's chain."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments.cash import sync
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider

_TYPES = frozenset(
    {
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)


def find(_session: Session, notice: Notice, _provider_name: str) -> Look | None:
    """Every payout of our account at the provider is ours; none needs a row of ours before."""
    if notice.object_kind != "payout" or not notice.object_id:
        return None

    def look(provider: Provider) -> Effect:
        facts = provider.fetch_payout(notice.object_id)

        def record(session: Session, now: datetime) -> None:
            sync.record_payout(session, now=now, provider=provider, facts=facts)

        return record

    return look


HANDLER = Handler(types=_TYPES, find=find)
