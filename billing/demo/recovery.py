"""What finance finds in its inbox: a payment of somebody else through the same provider account, and an event nobody here needs."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from billing.demo.settling import Cloud
from billing.kernel import clock
from billing.payments import webhooks
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.recovery import unmatched

_FOREIGN_MINOR = 4_900


def acts_of_month(cloud: Cloud, *, is_present: bool) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act) of the present month; nothing in any other."""
    if is_present:
        yield cloud.now - timedelta(minutes=40), partial(_tell, cloud, cloud.now - timedelta(minutes=40))


def _tell(cloud: Cloud, at: datetime) -> None:
    """A sale of the web shop, seen on the provider's own list and credited to nobody; an event of a type without effect."""
    sandbox = cast(SandboxProvider, cloud.providers["sandbox"])
    with cloud.database.reading("jobs") as session:
        if unmatched.count_rows(session, state=None)[0]:
            return
    sold_at = clock.to_millis(at - timedelta(hours=3)) // 1000
    body = {
        "object": "payment_intent",
        "amount": _FOREIGN_MINOR,
        "amount_received": _FOREIGN_MINOR,
        "created": sold_at,
        "currency": "usd",
        "customer": None,
        "latest_charge": {
            "object": "charge",
            "created": sold_at,
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "1881"}},
        },
        "livemode": False,
        "metadata": {"shop_order": "2210"},
        "status": "succeeded",
    }
    with cloud.database.transaction("jobs") as session:
        made = sandbox.add(session, "payment_intent", "pi", None, body, None)
    found = sandbox.fetch_payment(made["id"])
    with cloud.database.transaction("jobs") as session:
        unmatched.keep(session, now=at, provider=sandbox.name, found=found, kind="foreign")
    event = sandbox.event("product.updated", {"id": "prod_shop", "object": "product", "name": "Mug"}, at)
    with cloud.database.transaction("jobs") as session:
        webhooks.receive(session, now=at, provider=sandbox, raw_body=event.body, headers=event.headers)
