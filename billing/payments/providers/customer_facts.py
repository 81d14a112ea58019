"""Stripe's customers, methods and setup pages in our words. The sandbox answers in the same shapes, so both adapters read here."""

from typing import Any

from billing.payments.providers import shapes
from billing.payments.providers.ports.customers import CustomerFacts, MethodFacts, SavingState, SetupFacts


def customer(item: dict[str, Any]) -> CustomerFacts:
    """A `customer`; a deleted one says nothing but that."""
    settings = item.get("invoice_settings")
    default = settings.get("default_payment_method") if isinstance(settings, dict) else None
    return CustomerFacts(
        id=shapes.text(item, "id"),
        reference=shapes.reference(item),
        is_live=item.get("livemode") is True,
        is_deleted=item.get("deleted") is True,
        default_method_id=_id_of(default),
    )


def method(item: dict[str, Any]) -> MethodFacts:
    """A `payment_method`: never more than the last four digits."""
    kind = shapes.text(item, "type")
    details = item.get(kind)
    details = details if isinstance(details, dict) else {}
    last4 = details.get("last4")
    return MethodFacts(
        id=shapes.text(item, "id"),
        customer_id=_id_of(item.get("customer")),
        kind=kind,
        brand=details.get("brand") or details.get("bank_code"),
        last4=str(last4)[-4:] if last4 and len(str(last4)) >= 4 else None,
        exp_month=details.get("exp_month"),
        exp_year=details.get("exp_year"),
    )


def setup(item: dict[str, Any]) -> SetupFacts:
    """A `checkout.session` in mode setup, its setup intent expanded."""
    intent = item.get("setup_intent")
    intent = intent if isinstance(intent, dict) else {}
    error = intent.get("last_setup_error")
    error = error if isinstance(error, dict) else {}
    status = item.get("status")
    method_id = _id_of(intent.get("payment_method")) if intent.get("status") == "succeeded" else None
    saving: SavingState = "pending"
    if method_id is not None:
        saving = "succeeded"
    elif intent.get("status") == "canceled":
        saving = "failed"
    return SetupFacts(
        id=shapes.text(item, "id"),
        reference=item.get("client_reference_id") or shapes.reference(item),
        customer_id=_id_of(item.get("customer")),
        state="complete" if status == "complete" else "expired" if status == "expired" else "open",
        saving=saving,
        is_live=item.get("livemode") is True,
        url=item.get("url"),
        method_id=method_id,
        failure=error.get("decline_code") or error.get("code"),
    )


def _id_of(value: object) -> str | None:
    """An object's id, whether it came as an id or expanded."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None
