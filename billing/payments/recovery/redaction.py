"""An event's body made fit to be shown: whose it is stays out, what it says about money stays in."""

import json
from typing import Any

HIDDEN = "[hidden]"
# Members that identify a person or open something. Amounts, states, ids and codes are what the page is for.
_PRIVATE = frozenset(
    {
        "account_number",
        "address",
        "billing_address",
        "billing_details",
        "bank_account_number",
        "customer_details",
        "customer_email",
        "email",
        "evidence",
        "fingerprint",
        "iban",
        "ip",
        "ip_address",
        "name",
        "owner",
        "phone",
        "receipt_email",
        "receipt_url",
        "routing_number",
        "shipping",
        "shipping_address",
        "shipping_details",
        "tax_id",
        "user_agent",
    }
)
# What they end in: "customer_purchase_ip", "client_secret", "hosted_invoice_url".
_PRIVATE_ENDS = ("_email", "_ip", "_name", "_phone", "_secret", "_url")
_URL_OF_OURS = ("success_url", "cancel_url", "return_url")


def body(text: str) -> str:
    """The body indented, its private members replaced by [hidden]; what cannot be read is hidden as a whole."""
    try:
        return json.dumps(_redacted(json.loads(text)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return json.dumps(HIDDEN)


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if inner and (_is_private(name) or _opens(name, inner)) else _redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_redacted(one) for one in value]
    return value


def _opens(name: str, value: Any) -> bool:
    """Whoever holds the address of a payment page may pay or see it; addresses inside the provider's API open nothing."""
    return name == "url" and isinstance(value, str) and value.startswith("https:")


def _is_private(name: str) -> bool:
    return name not in _URL_OF_OURS and (name in _PRIVATE or name.endswith(_PRIVATE_ENDS))
