"""Events: what happened to an object, with the object as it was at that moment."""

import copy
from typing import Any

from tests.peers.stripe import answers
from tests.peers.stripe.account import API_VERSION, Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.params import Params, boolean, text, words
from tests.peers.stripe.route import Route


def build(account: Account, event_type: str, item: Item, **more: Any) -> Item:
    """An event about an object as it is now, told to nobody."""
    return {
        "id": account.new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": account.clock.now(),
        "data": {"object": copy.deepcopy(answers.public(item))},
        "livemode": account.is_live,
        "pending_webhooks": 0,
        "request": dict(account.request),
        "type": event_type,
    } | more


def tell(account: Account, event_type: str, item: Item, *, before: Item | None = None) -> Item:
    """Keep an event and tell the listeners. `before`: what the changed fields said until now."""
    event = build(account, event_type, item)
    if before is not None:
        event["data"]["previous_attributes"] = before
    account.by_id[event["id"]] = event
    for listener in account.listeners:
        listener(event)
    return event


def change(account: Account, event_type: str, item: Item, changes: Item) -> None:
    """Change an object and tell it, unless nothing differs."""
    before = {name: copy.deepcopy(item[name]) for name, value in changes.items() if item[name] != value}
    if not before:
        return
    item.update(changes)
    tell(account, event_type, item, before=before)


def retrieve(account: Account, params: Params, event_id: str) -> Item:
    """GET /v1/events/{id}."""
    return account.get("event", event_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/events, by type (`charge.*` too), time, and whether all webhooks arrived."""
    wanted = words(params, "types") or [found for found in [text(params, "type")] if found]
    delivered = boolean(params, "delivery_success") if "delivery_success" in params else None
    found = [
        item
        for item in account.all("event")
        if (not wanted or any(is_of(item["type"], name) for name in wanted))
        and (delivered is None or delivered == (item["pending_webhooks"] == 0))
    ]
    return Page(found)


def is_of(event_type: str, wanted: str) -> bool:
    """Whether a subscription such as `*` or `charge.*` covers the type."""
    return wanted in ("*", event_type) or (wanted.endswith(".*") and event_type.startswith(wanted[:-1]))


ROUTES = [
    Route("GET", "/v1/events", list_all, "type types delivery_success created"),
    Route("GET", "/v1/events/{event_id}", retrieve),
]
