"""Stripe's objects in our words. The sandbox answers in the same shapes, so both adapters translate here."""

import logging
from typing import Any

from billing.kernel.money import Money
from billing.payments.errors import ProviderMismatch
from billing.payments.providers import shapes
from billing.payments.providers.port import (
    CheckoutFacts,
    ListedPayment,
    PaymentFacts,
    PaymentState,
    RefundFacts,
    RefundState,
)
from billing.payments.providers.ports.charges import ChargeFacts, ChargeState

_log = logging.getLogger("billing.payments")
_FAILED_INTENTS = ("requires_payment_method", "canceled")
_REFUND_STATES: dict[str, RefundState] = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}


def checkout_facts(item: dict[str, Any]) -> CheckoutFacts:
    """A `checkout.session`, its payment intent expanded where there is one. Raises ProviderMismatch when it cannot be read."""
    intent = item.get("payment_intent")
    payment = payment_facts(intent) if isinstance(intent, dict) else None
    status = item.get("status")
    payment_state: PaymentState = "unpaid"
    if item.get("payment_status") == "paid":
        payment_state = "paid"
    elif status == "complete":
        # Complete but unpaid: a delayed method. Its intent asks for another method once the delayed one has failed.
        payment_state = "failed" if payment is not None and payment.state == "failed" else "processing"
    return CheckoutFacts(
        id=shapes.text(item, "id"),
        reference=item.get("client_reference_id") or shapes.reference(item),
        state="complete" if status == "complete" else "expired" if status == "expired" else "open",
        payment_state=payment_state,
        amount=shapes.money(item, "amount_total"),
        is_live=item.get("livemode") is True,
        url=item.get("url"),
        payment=payment,
    )


def payment_facts(item: dict[str, Any]) -> PaymentFacts:
    """A `payment_intent`, its latest charge and balance transaction expanded where there are some."""
    charge = item.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    balance = charge.get("balance_transaction")
    error = item.get("last_payment_error") or {}
    status = item.get("status")
    state: PaymentState = "unpaid"
    if status == "succeeded":
        state = "paid"
    elif status == "processing":
        state = "processing"
    elif status == "canceled" or (status in _FAILED_INTENTS and error):
        state = "failed"
    return PaymentFacts(
        id=shapes.text(item, "id"),
        state=state,
        received=shapes.money(item, "amount_received" if state == "paid" else "amount"),
        paid_at=shapes.instant(charge.get("created")) if state == "paid" else None,
        source_id=balance.get("id") if isinstance(balance, dict) else balance,
        fee=_fee(balance),
        method_label=_method_label(charge.get("payment_method_details")),
        failure=error.get("decline_code") or error.get("code"),
        reference=shapes.reference(item),
        is_live=item.get("livemode") if isinstance(item.get("livemode"), bool) else None,
    )


def charge_facts(item: dict[str, Any]) -> ChargeFacts:
    """A `payment_intent` that was confirmed off session, as `payment_facts` reads it, with the bank's answer."""
    payment = payment_facts(item)
    error = item.get("last_payment_error") or {}
    code = error.get("decline_code") or error.get("code")
    status = item.get("status")
    state: ChargeState = "declined"
    if payment.state in ("paid", "processing"):
        state = "paid" if payment.state == "paid" else "processing"
    elif status == "canceled":
        state = "canceled"
    elif status == "requires_action" or code == "authentication_required":
        state = "action_required"
    return ChargeFacts(
        id=payment.id,
        reference=shapes.reference(item),
        state=state,
        amount=shapes.money(item, "amount"),
        is_live=item.get("livemode") is True,
        payment=payment,
        decline_code=code if state in ("declined", "canceled", "action_required") else None,
        is_final=error.get("advice_code") == "do_not_try_again",
        is_waiting=status in ("requires_action", "requires_confirmation"),
    )


def listed_payment(item: dict[str, Any]) -> ListedPayment:
    """A `payment_intent` of a list, its latest charge and balance transaction expanded where there are some."""
    customer, charge = item.get("customer"), item.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    created_at = shapes.instant(item.get("created"))
    if created_at is None:
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing="created")
    refunded = charge.get("amount_refunded")
    return ListedPayment(
        payment=payment_facts(item),
        reference=shapes.reference(item),
        customer_id=customer.get("id") if isinstance(customer, dict) else customer,
        is_live=item.get("livemode") is True,
        created_at=created_at,
        is_given_back=bool(charge.get("refunded")) or (isinstance(refunded, int) and refunded > 0),
        is_disputed=charge.get("disputed") is True,
    )


def listed_payments(items: list[dict[str, Any]]) -> tuple[ListedPayment, ...]:
    """Those of a list that can be read; one in a currency that nobody knows must not hide the others, and is told in the log."""
    found = []
    for item in items:
        try:
            found.append(listed_payment(item))
        except ProviderMismatch as mismatch:
            _log.warning("payment at the provider cannot be read", extra={"facts": dict(mismatch.fields)})
    return tuple(found)


def refund_facts(item: dict[str, Any]) -> RefundFacts:
    """A `refund`, its balance transactions expanded or not."""
    intent = item.get("payment_intent")
    status = str(item.get("status"))
    return RefundFacts(
        id=shapes.text(item, "id"),
        reference=shapes.reference(item),
        payment_id=(intent.get("id") if isinstance(intent, dict) else intent) or "",
        state=_REFUND_STATES.get(status, "pending"),
        amount=shapes.money(item, "amount"),
        source_id=_id_of(item.get("balance_transaction")),
        failure_source_id=_id_of(item.get("failure_balance_transaction")),
        failure=item.get("failure_reason") or (status if status == "canceled" else None),
        status=status,
        reason=item.get("reason"),
        created_at=shapes.instant(item.get("created")),
    )


def _id_of(member: Any) -> str | None:
    """The id of a member that may be expanded."""
    found = member.get("id") if isinstance(member, dict) else member
    return found if isinstance(found, str) else None


def _fee(balance: object) -> Money | None:
    """The provider's fee, when it can be read: money that was paid is credited all the same, and the movement becomes a finding."""
    if not isinstance(balance, dict) or not isinstance(balance.get("fee"), int) or balance["fee"] <= 0:
        return None
    try:
        return shapes.money(balance, "fee")
    except ProviderMismatch as mismatch:
        _log.warning("fee at the provider cannot be read", extra={"facts": dict(mismatch.fields)})
        return None


def _method_label(details: object) -> str | None:
    """Such as "visa ending 4242": never more than the last four digits."""
    if not isinstance(details, dict):
        return None
    card = details.get("card")
    if isinstance(card, dict) and card.get("last4"):
        return f"{card.get('brand') or 'card'} ending {str(card['last4'])[-4:]}"
    kind = details.get("type")
    return str(kind).replace("_", " ") if kind else None
