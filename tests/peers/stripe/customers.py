"""Customers. https://docs.stripe.com/api/customers"""

import hashlib
from typing import Any

from tests.peers.stripe import events, payment_methods
from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, no_such
from tests.peers.stripe.params import Params, choice, group, metadata, text
from tests.peers.stripe.route import Route

_TEXTS = ("name", "email", "description", "phone")
_ADDRESS = "address.line1 address.line2 address.city address.postal_code address.state address.country"
_READS = (
    f"name email description phone tax_exempt metadata.* {_ADDRESS} preferred_locales "
    "invoice_settings.default_payment_method"
)


def address(params: Params) -> Item | None:
    """An address, all its lines there; None when none was given."""
    given = group(params, "address")
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {name: text(given, name) for name in names} if given else None


def create(account: Account, params: Params) -> Item:
    """POST /v1/customers."""
    fields = _read(params)
    method_id = text(params, "payment_method")
    item = account.add(
        "cus",
        "customer",
        {
            "address": None,
            "balance": 0,
            "currency": None,
            "customer_account": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": None,
            "invoice_prefix": hashlib.sha256(str(len(account.by_id)).encode()).hexdigest()[:8].upper(),
            "invoice_settings": _invoice_settings(None),
            "metadata": {},
            "name": None,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
        }
        | fields,
    )
    if method_id is not None:
        try:
            payment_methods.attach_to(account, method_id, item["id"])
        except Exception:
            del account.by_id[item["id"]]
            raise
    events.tell(account, "customer.created", item)
    return item


def retrieve(account: Account, params: Params, customer_id: str) -> Item:
    """GET /v1/customers/{id}; a deleted one says only that."""
    return account.get("customer", customer_id)


def update(account: Account, params: Params, customer_id: str) -> Item:
    """POST /v1/customers/{id}."""
    item = living(account, customer_id)
    changes = _read(params, item)
    method_id = changes.get("invoice_settings", {}).get("default_payment_method")
    if method_id is not None and account.get("payment_method", method_id, "payment_method")["customer"] != item["id"]:
        raise InvalidParameter(
            f"The customer does not have a payment method with the ID {method_id}. The payment method must be attached "
            "to the customer.",
            param="invoice_settings[default_payment_method]",
            code="resource_missing",
        )
    events.change(account, "customer.updated", item, changes)
    return item


def delete(account: Account, params: Params, customer_id: str) -> Item:
    """DELETE /v1/customers/{id}: its id stays known, its methods are detached."""
    item = living(account, customer_id)
    for method in account.all("payment_method"):
        if method["customer"] == item["id"]:
            method["customer"] = None
    events.tell(account, "customer.deleted", item)
    item["deleted"] = True
    return item


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/customers, by e-mail in its exact case."""
    email = text(params, "email")
    return Page(
        [
            item
            for item in account.all("customer")
            if not item.get("deleted") and (email is None or item["email"] == email)
        ]
    )


def list_methods(account: Account, params: Params, customer_id: str) -> Page:
    """GET /v1/customers/{id}/payment_methods."""
    living(account, customer_id)
    return payment_methods.list_all(account, params | {"customer": customer_id})


def living(account: Account, customer_id: str, param: str = "id") -> Item:
    """A customer who is not deleted."""
    item = account.get("customer", customer_id, param)
    if item.get("deleted"):
        raise no_such("customer", customer_id, param)
    return item


def named(account: Account, params: Params) -> str | None:
    """The id in the parameter `customer`, of a customer who lives."""
    customer_id = text(params, "customer")
    return None if customer_id is None else str(living(account, customer_id, "customer")["id"])


def _read(params: Params, item: Item | None = None) -> Item:
    """The fields that the call gives."""
    fields: dict[str, Any] = {name: text(params, name, most=512) for name in _TEXTS if name in params}
    if fields.get("email") and "@" not in fields["email"]:
        raise InvalidParameter(f"Invalid email address: {fields['email']}", param="email", code="email_invalid")
    if "metadata" in params:
        fields["metadata"] = metadata(params, item["metadata"] if item else None)
    if "address" in params:
        fields["address"] = address(params)
    if "tax_exempt" in params:
        fields["tax_exempt"] = choice(params, "tax_exempt", ("none", "exempt", "reverse")) or "none"
    if "preferred_locales" in params:
        fields["preferred_locales"] = list(params["preferred_locales"])
    if "invoice_settings" in params:
        settings = group(params, "invoice_settings")
        fields["invoice_settings"] = _invoice_settings(text(settings, "default_payment_method"))
    return fields


def _invoice_settings(method_id: str | None) -> Item:
    return {"custom_fields": None, "default_payment_method": method_id, "footer": None, "rendering_options": None}


ROUTES = [
    Route("POST", "/v1/customers", create, f"{_READS} payment_method"),
    Route("GET", "/v1/customers", list_all, "email created"),
    Route("GET", "/v1/customers/{customer_id}", retrieve),
    Route("POST", "/v1/customers/{customer_id}", update, _READS),
    Route("DELETE", "/v1/customers/{customer_id}", delete),
    Route("GET", "/v1/customers/{customer_id}/payment_methods", list_methods, "type"),
]
