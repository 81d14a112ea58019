"""Reading one member of a provider's object, defensively: what cannot be read is a ProviderMismatch that names it."""

from datetime import UTC, datetime
from typing import Any

from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.envelopes import METADATA_KEY
from billing.reference import provider_currencies


def instant(seconds: object) -> datetime | None:
    """The instant of Unix seconds, or None for anything else."""
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def reference(item: dict[str, Any]) -> str | None:
    """Our id that the object carries, if it carries one."""
    metadata = item.get("metadata")
    value = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else None


def money(item: dict[str, Any], name: str) -> Money:
    """An amount in the object's own currency, from the provider's scale to ours. Raises ProviderMismatch."""
    amount, currency = item.get(name), item.get("currency")
    if not isinstance(amount, int) or isinstance(amount, bool) or not isinstance(currency, str):
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing=name)
    try:
        return provider_currencies.from_stripe(amount, currency)
    except Invalid:
        raise ProviderMismatch(
            reason="unreadable_object", object_id=str(item.get("id"))[:80], currency=currency[:10]
        ) from None


def text(item: dict[str, Any], name: str) -> str:
    """A text that must be there. Raises ProviderMismatch."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderMismatch(reason="unreadable_object", missing=name)
    return value
