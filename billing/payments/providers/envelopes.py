"""Events in Stripe's envelope, which the sandbox speaks too: read defensively, because a signature proves the sender, not sense."""

import json
import re
from typing import Any

from billing.payments.errors import WebhookRefused
from billing.payments.providers.port import Notice

# Our ids travel in metadata under this name: it comes back on every object that the provider derives from ours.
METADATA_KEY = "plumbline_id"
REQUEST_KEY = "plumbline_request_id"
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")


def metadata(reference: str, correlation_id: str | None) -> dict[str, str]:
    """What an object of ours carries at the provider: our id, and the id of the request that set it going."""
    return {METADATA_KEY: reference} | ({REQUEST_KEY: correlation_id} if correlation_id else {})


def read(raw_body: bytes | str) -> Notice:
    """The event reduced to a Notice. Raises WebhookRefused: reason not_json or not_an_event."""
    try:
        event = json.loads(raw_body)
    except (ValueError, RecursionError):
        raise WebhookRefused(reason="not_json") from None
    if not isinstance(event, dict) or event.get("object", "event") != "event":
        raise WebhookRefused(reason="not_an_event")
    event_id, event_type = _code(event.get("id")), _code(event.get("type"))
    data = event.get("data")
    item = data.get("object") if isinstance(data, dict) else None
    if event_id is None or event_type is None or not isinstance(item, dict):
        raise WebhookRefused(reason="not_an_event")
    carried = item.get("metadata")
    reference = _code(carried.get(METADATA_KEY)) if isinstance(carried, dict) else None
    return Notice(
        id=event_id,
        type=event_type,
        is_live=event.get("livemode") is True,
        account=_code(event.get("account")),
        object_kind=_code(item.get("object")) or "",
        object_id=_code(item.get("id")) or "",
        reference=reference or _code(item.get("client_reference_id")),
        payment_id=_code(item.get("id"))
        if item.get("object") == "payment_intent"
        else _id_of(item.get("payment_intent")),
        customer_id=_code(item.get("id")) if item.get("object") == "customer" else _id_of(item.get("customer")),
    )


def _id_of(value: Any) -> str | None:
    """An object's id, whether it came as an id or expanded."""
    return _code(value.get("id")) if isinstance(value, dict) else _code(value)


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None
