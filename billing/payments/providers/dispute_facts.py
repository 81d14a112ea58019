"""Disputes and early warnings of Stripe's shape in our words. The sandbox answers in the same shapes."""

import logging
from datetime import datetime
from fractions import Fraction
from typing import Any

from billing.kernel.money import Money, exponent
from billing.kernel.rounding import half_up_fraction
from billing.payments.errors import ProviderMismatch
from billing.payments.providers import shapes
from billing.payments.providers.ports.disputes import DisputeFacts, DisputeMovement, WarningFacts

_log = logging.getLogger("billing.payments")
_INQUIRY = "warning_"


def dispute_facts(item: dict[str, Any]) -> DisputeFacts:
    """A `dispute` with its balance transactions, its payment intent expanded where it can be. Raises ProviderMismatch when it cannot be read."""
    amount = shapes.money(item, "amount")
    intent = item.get("payment_intent")
    details = item.get("evidence_details") or {}
    card = (item.get("payment_method_details") or {}).get("card") or {}
    status = shapes.text(item, "status")
    moved = item.get("balance_transactions") or []
    count = details.get("submission_count")
    code = item.get("network_reason_code") or card.get("network_reason_code")
    return DisputeFacts(
        id=shapes.text(item, "id"),
        payment_id=_id_of(intent),
        charge_id=_id_of(item.get("charge")),
        amount=amount,
        reason=str(item.get("reason") or "general")[:80],
        network_reason_code=str(code)[:80] if code else None,
        status=status,
        is_inquiry=status.startswith(_INQUIRY),
        is_live=item.get("livemode") is True,
        due_by=shapes.instant(details.get("due_by")),
        submission_count=count if isinstance(count, int) and count >= 0 else 0,
        opened_at=_created(item),
        payment_reference=shapes.reference(intent) if isinstance(intent, dict) else None,
        answered_by=shapes.reference(item),
        movements=tuple(_movement(one, amount) for one in moved if isinstance(one, dict)),
    )


def warning_facts(item: dict[str, Any]) -> WarningFacts:
    """A `radar.early_fraud_warning`. Raises ProviderMismatch when it cannot be read."""
    return WarningFacts(
        id=shapes.text(item, "id"),
        payment_id=_id_of(item.get("payment_intent")),
        charge_id=_id_of(item.get("charge")),
        fraud_type=str(item.get("fraud_type") or "misc")[:80],
        is_actionable=item.get("actionable") is True,
        is_live=item.get("livemode") is True,
        warned_at=_created(item),
    )


def _movement(item: dict[str, Any], disputed: Money) -> DisputeMovement:
    moved = shapes.money(item, "amount")
    return DisputeMovement(
        id=shapes.text(item, "id"),
        amount=moved if moved.currency == disputed.currency else _presented(item, moved, disputed),
        fee=_fee(item, moved),
        created_at=_created(item),
    )


def _fee(item: dict[str, Any], moved: Money) -> Money:
    """Nothing where it has no unit in our table: the dispute has its deadline, and the movement becomes a finding."""
    try:
        return shapes.money(item, "fee")
    except ProviderMismatch as mismatch:
        _log.warning("fee of a dispute cannot be read", extra={"facts": dict(mismatch.fields)})
        return Money(minor=0, currency=moved.currency)


def _presented(item: dict[str, Any], moved: Money, disputed: Money) -> Money:
    """What a converted movement is in the dispute's currency, by its own rate; the whole dispute where it is that but for rounding."""
    sign = -1 if moved.minor < 0 else 1
    rate = _rate(item)
    if rate is None:
        return Money(minor=sign * disputed.minor, currency=disputed.currency)
    # The rate is between amounts as people write them; both scales are ISO 4217's here.
    major = Fraction(abs(moved.minor), 10 ** exponent(moved.currency)) / rate
    minor = half_up_fraction(major * 10 ** exponent(disputed.currency))
    tolerance = 1 + disputed.minor // 1000
    if abs(minor - disputed.minor) <= tolerance:
        minor = disputed.minor
    return Money(minor=sign * minor, currency=disputed.currency)


def _rate(item: dict[str, Any]) -> Fraction | None:
    rate = item.get("exchange_rate")
    try:
        found = Fraction(str(rate)) if rate else None
    except ValueError:
        found = None
    return found if found is not None and found > 0 else None


def _created(item: dict[str, Any]) -> datetime:
    at = shapes.instant(item.get("created"))
    if at is None:
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing="created")
    return at


def _id_of(value: object) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None
