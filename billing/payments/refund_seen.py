"""A provider's refund as it was last seen, as it is kept beside ours: ids, codes and integers. Pure."""

from datetime import datetime
from typing import Any

from billing.kernel.money import Money
from billing.payments.providers.port import RefundFacts


def to_json(facts: RefundFacts) -> dict[str, Any]:
    """What is kept of the provider's object."""
    return {
        "id": facts.id,
        "reference": facts.reference,
        "payment_id": facts.payment_id,
        "state": facts.state,
        "status": facts.status,
        "amount_minor": facts.amount.minor,
        "currency": facts.amount.currency,
        "source_id": facts.source_id,
        "failure_source_id": facts.failure_source_id,
        "failure": facts.failure,
        "reason": facts.reason,
        "created_at": facts.created_at.isoformat() if facts.created_at else None,
    }


def of_json(kept: dict[str, Any]) -> RefundFacts:
    """The facts that were kept."""
    created_at = kept["created_at"]
    return RefundFacts(
        id=kept["id"],
        reference=kept["reference"],
        payment_id=kept["payment_id"],
        state=kept["state"],
        status=kept["status"],
        amount=Money(minor=kept["amount_minor"], currency=kept["currency"]),
        source_id=kept["source_id"],
        failure_source_id=kept["failure_source_id"],
        failure=kept["failure"],
        reason=kept["reason"],
        created_at=datetime.fromisoformat(created_at) if created_at else None,
    )
