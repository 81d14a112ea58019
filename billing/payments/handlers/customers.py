"""Events of a customer or of its saved methods: the customer is fetched whole with all of them, whichever the event speaks of."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.payments.customers import copies
from billing.payments.customers.tables import PaymentMethod
from billing.payments.errors import OutcomeUnknown
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider

_METHOD_TYPES = frozenset(
    {
        "payment_method.attached",
        "payment_method.automatically_updated",
        "payment_method.detached",
        "payment_method.updated",
    }
)
_CUSTOMER_TYPES = frozenset({"customer.deleted", "customer.updated"})


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """The customer that the event is about: named by it, or by our copy of a method that hangs on nobody any more."""
    customer_id = notice.customer_id
    if customer_id is None and notice.type in _METHOD_TYPES:
        customer_id = session.execute(
            select(PaymentMethod.customer_id).where(
                PaymentMethod.provider == provider_name, PaymentMethod.provider_method_id == notice.object_id
            )
        ).scalar_one_or_none()
    if customer_id is None:
        return None
    asked = copies.asked_for_customer(session, provider=provider_name, customer_id=customer_id)
    return None if asked is None else look_at(asked)


def look_at(asked: copies.Asked) -> Look:
    """Fetch the customer and keep what it has; one that was overtaken is asked for again later."""

    def look(provider: Provider) -> Effect:
        copy = copies.fetch(provider, asked)

        def record(session: Session, now: datetime) -> None:
            if not copies.record(session, now=now, asked=asked, copy=copy, is_live=provider.is_live):
                raise OutcomeUnknown("another copy was kept meanwhile")

        return record

    return look


HANDLER = Handler(types=_METHOD_TYPES | _CUSTOMER_TYPES, find=find)
