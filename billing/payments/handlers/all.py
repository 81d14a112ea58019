"""Every handler there is."""

from billing.payments.handlers import checkouts, refunds
from billing.payments.handlers.handler import Handler

HANDLERS: tuple[Handler, ...] = (checkouts.HANDLER, refunds.HANDLER)
HANDLED_TYPES: frozenset[str] = frozenset().union(*(handler.types for handler in HANDLERS))


def find_handler(event_type: str) -> Handler | None:
    """The handler of that type of event, or None for a type without effect."""
    return next((handler for handler in HANDLERS if event_type in handler.types), None)
