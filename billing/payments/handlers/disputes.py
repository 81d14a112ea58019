"""Events of disputes and of early warnings: the object is fetched, whichever event speaks of it."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments.disputes import taking, warnings
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider

_DISPUTES = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
_WARNINGS = frozenset({"radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"})


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """What to ask: every dispute of the provider's is ours to answer, also one of a payment that we do not know."""
    if notice.type in _WARNINGS:
        return _look_at_warning(notice)
    version = taking.find_version(session, provider=provider_name, provider_dispute_id=notice.object_id)

    def look(provider: Provider) -> Effect:
        facts = provider.fetch_dispute(notice.object_id)

        def record(session: Session, now: datetime) -> None:
            taking.record(
                session,
                now=now,
                provider=provider.name,
                is_live=provider.is_live,
                facts=facts,
                version=version,
                actor=f"provider:{provider.name}",
            )

        return record

    return look


def _look_at_warning(notice: Notice) -> Look:
    def look(provider: Provider) -> Effect:
        facts = provider.fetch_warning(notice.object_id)

        def record(session: Session, now: datetime) -> None:
            warnings.record(session, now=now, provider=provider.name, is_live=provider.is_live, facts=facts)

        return record

    return look


HANDLER = Handler(types=_DISPUTES | _WARNINGS, find=find)
