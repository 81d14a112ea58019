"""Payment intents: the states of one payment, from its amount to its charge. https://docs.stripe.com/payments/paymentintents/lifecycle"""

from typing import Any

from tests.peers.stripe import charges, charging, currencies, customers, events
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Refused
from tests.peers.stripe.params import (
    Params,
    amount,
    boolean,
    choice,
    group,
    metadata,
    needed,
    needed_amount,
    text,
    words,
)
from tests.peers.stripe.route import Route

TYPES = ("card", "sepa_debit")
CAPTURES = ("automatic", "automatic_async", "manual")
_TEXTS = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_READS = f"amount currency customer metadata.* payment_method setup_future_usage {' '.join(_TEXTS)}"
_CONFIRM = "off_session return_url"


def create(account: Account, params: Params) -> Item:
    """POST /v1/payment_intents, confirmed at once when `confirm` says so."""
    total = needed_amount(params)
    currency = currencies.check(needed(params, "currency"), total)
    boolean(group(params, "automatic_payment_methods"), "enabled")
    choice(group(params, "automatic_payment_methods"), "allow_redirects", ("always", "never"))
    allowed, types = allowed_types(params, currency)
    confirm = boolean(params, "confirm")
    for name in _CONFIRM.split():
        if name in params and not confirm:
            raise InvalidParameter(
                f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless `confirm` is set to true.",
                param=name,
            )
    choice(params, "capture_method", CAPTURES), choice(params, "setup_future_usage", ("on_session", "off_session"))
    automatic = None if allowed is not None else _automatic(params)
    if confirm:
        charging.read_confirmation(automatic, params)
    customer, method_id = customers.named(account, params), text(params, "payment_method")
    method = None if method_id is None else charging.fitting(account, method_id, customer=customer, types=types)
    if confirm and method is None:
        raise InvalidParameter(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            param="payment_method",
            code="parameter_missing",
        )
    intent = add(
        account, amount=total, currency=currency, customer=customer, types=types, params=params, automatic=automatic
    )
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    if confirm:
        charging.confirm(account, intent, params)
    return intent


def add(
    account: Account,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    types: list[str],
    params: Params,
    automatic: Item | None,
) -> Item:
    """A new intent; `params` may name metadata, texts, capture method and later use."""
    intent = account.add(
        "pi",
        "payment_intent",
        {
            "allowed_payment_method_types": words(params, "allowed_payment_method_types") or None,
            "amount": amount,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": automatic,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": text(params, "capture_method", "automatic_async"),
            "client_secret": None,
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": customer,
            "customer_account": None,
            "excluded_payment_method_types": None,
            "last_payment_error": None,
            "latest_charge": None,
            "managed_payments": {"enabled": False},
            "metadata": metadata(params),
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": None,
            "payment_method_configuration_details": None,
            "payment_method_options": {name: _options(name) for name in types},
            "payment_method_types": types,
            "processing": None,
            "review": None,
            "setup_future_usage": text(params, "setup_future_usage"),
            "shipping": None,
            "status": "requires_payment_method",
            "transfer_data": None,
            "transfer_group": None,
        }
        | {name: text(params, name) for name in _TEXTS},
    )
    intent["client_secret"] = f"{intent['id']}_secret_{account.new_id('x')[2:]}"
    events.tell(account, "payment_intent.created", intent)
    return intent


def retrieve(account: Account, params: Params, intent_id: str) -> Item:
    """GET /v1/payment_intents/{id}."""
    return account.get("payment_intent", intent_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/payment_intents, by customer."""
    customer_id = text(params, "customer")
    return Page([item for item in account.all("payment_intent") if customer_id in (None, item["customer"])])


def update(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/payment_intents/{id}; an ended intent takes only words."""
    intent = account.get("payment_intent", intent_id)
    changes: dict[str, Any] = {name: text(params, name) for name in _TEXTS if name in params}
    changes["metadata"] = metadata(params, intent["metadata"])
    total, code = amount(params), text(params, "currency", intent["currency"])
    if {"amount", "currency", "customer", "payment_method", "setup_future_usage"} & set(params):
        currencies.check(str(code), total if total is not None else intent["amount"])
        charging.require(intent, _OPEN, "updated")
        changes |= {"amount": total or intent["amount"], "currency": str(code).lower()}
        if "customer" in params:
            changes["customer"] = customers.named(account, params)
        if "setup_future_usage" in params:
            changes["setup_future_usage"] = choice(params, "setup_future_usage", ("on_session", "off_session"))
    intent.update(changes)
    if text(params, "payment_method") is not None:
        charging.give_method(account, intent, needed(params, "payment_method"))
    return intent


def confirm(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/payment_intents/{id}/confirm. Raises Refused(402) when the bank declines."""
    intent = account.get("payment_intent", intent_id)
    return charging.confirm(account, intent, params)


def capture(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/payment_intents/{id}/capture, all or a part."""
    intent = account.get("payment_intent", intent_id)
    wanted = amount(params, "amount_to_capture") or intent["amount_capturable"]
    charging.require(intent, ("requires_capture",), "captured")
    if wanted > intent["amount_capturable"]:
        raise Refused(
            400,
            f"The requested amount to capture ({wanted}) is greater than the amount you can capture for this charge "
            f"({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charges.capture(account, account.get("charge", intent["latest_charge"]), wanted)
    charging.succeed(account, intent, wanted)
    return intent


def cancel(account: Account, params: Params, intent_id: str) -> Item:
    """POST /v1/payment_intents/{id}/cancel."""
    reasons = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
    reason = choice(params, "cancellation_reason", reasons)
    intent = account.get("payment_intent", intent_id)
    charging.require(intent, (*_OPEN, "requires_capture"), "canceled")
    intent.update(
        status="canceled",
        canceled_at=account.clock.now(),
        cancellation_reason=reason,
        amount_capturable=0,
        next_action=None,
    )
    events.tell(account, "payment_intent.canceled", intent)
    return intent


def allowed_types(params: Params, currency: str | None) -> tuple[list[str] | None, list[str]]:
    """(`allowed_payment_method_types` as given, those that remain): what does not fit the currency falls away in silence.

    Without it the account's own setting counts, which is cards. Raises InvalidParameter when nothing remains.
    """
    if "allowed_payment_method_types" not in params:
        return None, ["card"]
    if "automatic_payment_methods" in params:
        raise InvalidParameter(
            "You may only specify one of these parameters: automatic_payment_methods, allowed_payment_method_types.",
            param="allowed_payment_method_types",
        )
    allowed = words(params, "allowed_payment_method_types")
    found = [name for name in TYPES if name in allowed and (name == "card" or currency in (None, "eur"))]
    if not found:
        raise InvalidParameter(
            "No valid payment method types for this request. Please ensure that you have activated payment methods "
            "compatible with your chosen currency in your dashboard.",
            param="allowed_payment_method_types",
        )
    return allowed, found


def _automatic(params: Params) -> Item:
    """What the API does by itself since 2023-08-16 when no types are named."""
    redirects = text(group(params, "automatic_payment_methods"), "allow_redirects", "always")
    return {"allow_redirects": redirects, "enabled": True}


def _options(kind: str) -> Item:
    if kind == "card":
        return {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    return {}


_AUTOMATIC = "automatic_payment_methods.enabled automatic_payment_methods.allow_redirects"
ROUTES = [
    Route(
        "POST",
        "/v1/payment_intents",
        create,
        f"{_READS} {_CONFIRM} {_AUTOMATIC} allowed_payment_method_types capture_method confirm",
    ),
    Route("GET", "/v1/payment_intents", list_all, "customer created"),
    Route("GET", "/v1/payment_intents/{intent_id}", retrieve),
    Route("POST", "/v1/payment_intents/{intent_id}", update, _READS),
    Route("POST", "/v1/payment_intents/{intent_id}/confirm", confirm, f"payment_method setup_future_usage {_CONFIRM}"),
    Route("POST", "/v1/payment_intents/{intent_id}/capture", capture, "amount_to_capture"),
    Route("POST", "/v1/payment_intents/{intent_id}/cancel", cancel, "cancellation_reason"),
]
