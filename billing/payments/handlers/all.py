"""Every handler there is."""

from sqlalchemy.orm import Session

from billing.payments.handlers import charges, checkouts, customers, disputes, methods, payouts, refunds
from billing.payments.handlers.handler import Handler, Look
from billing.payments.providers.port import Notice

HANDLERS: tuple[Handler, ...] = (
    charges.HANDLER,
    checkouts.HANDLER,
    refunds.HANDLER,
    disputes.HANDLER,
    customers.HANDLER,
    methods.HANDLER,
    payouts.HANDLER,
)
HANDLED_TYPES: frozenset[str] = frozenset().union(*(handler.types for handler in HANDLERS))


def find_handler(event_type: str) -> Handler | None:
    """What handles that type of event, or None for a type without effect. Of several the first one whose object it is takes it."""
    found = [handler for handler in HANDLERS if event_type in handler.types]
    if len(found) < 2:
        return found[0] if found else None

    def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
        looks = (handler.find(session, notice, provider_name) for handler in found)
        return next((look for look in looks if look is not None), None)

    return Handler(types=frozenset({event_type}), find=find)
