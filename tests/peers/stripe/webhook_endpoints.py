"""Webhook endpoints: who is told which events, and the secrets that sign. https://docs.stripe.com/api/webhook_endpoints"""

from urllib.parse import urlsplit

from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, missing
from tests.peers.stripe.params import Params, boolean, metadata, needed, text, words
from tests.peers.stripe.route import Route

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def create(account: Account, params: Params) -> Item:
    """POST /v1/webhook_endpoints; only this answer ever shows the secret."""
    url, enabled = _address(needed(params, "url")), words(params, "enabled_events")
    if not enabled:
        raise missing("enabled_events")
    item = add(account, url, enabled, secret=account.new_id("whsec"), params=params)
    return item | {"secret": item["_secrets"][0][0]}


def add(account: Account, url: str, enabled: list[str], *, secret: str, params: Params) -> Item:
    """An endpoint; `_secrets` are (secret, signs until Unix seconds or None), newest first."""
    return account.add(
        "we",
        "webhook_endpoint",
        {
            "api_version": text(params, "api_version"),
            "application": None,
            "description": text(params, "description"),
            "enabled_events": enabled,
            "metadata": metadata(params),
            "status": "enabled",
            "url": url,
            "_secrets": [(secret, None)],
        },
    )


def roll(account: Account, item: Item, *, old_signs_for_s: int) -> str:
    """A new secret; the old one signs beside it that long. On the dashboard at Stripe, so not a route."""
    until = account.clock.now() + old_signs_for_s
    old, secret = item["_secrets"][0][0], account.new_id("whsec")
    item["_secrets"] = [(secret, None), (old, until)]
    return secret


def secrets(account: Account, item: Item) -> list[str]:
    """Those that sign now, newest first."""
    return [secret for secret, until in item["_secrets"] if until is None or account.clock.now() < until]


def retrieve(account: Account, params: Params, endpoint_id: str) -> Item:
    """GET /v1/webhook_endpoints/{id}."""
    return account.get("webhook_endpoint", endpoint_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/webhook_endpoints."""
    return Page(account.all("webhook_endpoint"))


def update(account: Account, params: Params, endpoint_id: str) -> Item:
    """POST /v1/webhook_endpoints/{id}."""
    item = account.get("webhook_endpoint", endpoint_id)
    changes: Item = {"metadata": metadata(params, item["metadata"])}
    if "url" in params:
        changes["url"] = _address(needed(params, "url"))
    if "enabled_events" in params:
        changes["enabled_events"] = words(params, "enabled_events")
    if "description" in params:
        changes["description"] = text(params, "description")
    if "disabled" in params:
        changes["status"] = "disabled" if boolean(params, "disabled") else "enabled"
    item.update(changes)
    return item


def delete(account: Account, params: Params, endpoint_id: str) -> Item:
    """DELETE /v1/webhook_endpoints/{id}."""
    item = account.get("webhook_endpoint", endpoint_id)
    del account.by_id[item["id"]]
    return {"id": item["id"], "object": item["object"], "deleted": True}


def _address(url: str) -> str:
    """The peer tells nobody outside this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise InvalidParameter(
            "Invalid URL: the peer delivers over http to loopback only.", param="url", code="url_invalid"
        )
    return url


_READS = "url enabled_events description metadata.*"
ROUTES = [
    Route("POST", "/v1/webhook_endpoints", create, f"{_READS} api_version"),
    Route("GET", "/v1/webhook_endpoints", list_all),
    Route("GET", "/v1/webhook_endpoints/{endpoint_id}", retrieve),
    Route("POST", "/v1/webhook_endpoints/{endpoint_id}", update, f"{_READS} disabled"),
    Route("DELETE", "/v1/webhook_endpoints/{endpoint_id}", delete),
]
