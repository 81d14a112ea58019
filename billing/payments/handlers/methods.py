"""Events of a page on which a method is saved: kept from what the provider's page says now, with the customer's methods."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments.customers import copies, saving, setups
from billing.payments.errors import OutcomeUnknown
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider

_TYPES = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.expired",
        "setup_intent.canceled",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
    }
)


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """The setup that the event is about, by the page's id or by ours. Checkouts that are payments are somebody else's."""
    is_page = notice.object_kind == "checkout.session"
    row = setups.find_setup(
        session, provider=provider_name, reference=notice.reference, page_id=notice.object_id if is_page else None
    )
    if row is None:
        return None
    asked = copies.asked_for(session, account_id=row.account_id, provider=provider_name)

    def look(provider: Provider) -> Effect:
        facts = saving.fetch_page(provider, row)
        if facts is None:
            raise OutcomeUnknown("no page for our reference")
        saving.choose_default(provider, row, facts)
        copy = None if asked is None else copies.fetch(provider, asked)

        def record(session: Session, now: datetime) -> None:
            setups.record_facts(session, now=now, setup_id=row.id, facts=facts, is_live=provider.is_live)
            if asked is None or copy is None:
                return
            if not copies.record(session, now=now, asked=asked, copy=copy, is_live=provider.is_live):
                raise OutcomeUnknown("another copy was kept meanwhile")

        return record

    return look


HANDLER = Handler(types=_TYPES, find=find)
