"""The peer's answers hold what Stripe's own SDK and real payloads say, no field more and none less."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.peers import drive, sdk_types
from tests.peers.stripe.account import API_VERSION
from tests.peers.stripe.routes import ROUTES
from tests.peers.stripe.server import StripeServer

# Fields of the real payloads that Stripe shows only when they are expanded, or only for older ways to pay.
NOT_BY_DEFAULT = {"charge": {"refunds", "source"}, "payment_intent": {"source"}}
PARAMS = {
    "create": "Create",
    "list_all": "List",
    "retrieve": "Retrieve",
    "update": "Update",
    "delete": "Delete",
    "confirm": "Confirm",
    "capture": "Capture",
    "cancel": "Cancel",
    "expire": "Expire",
    "attach": "Attach",
    "detach": "Detach",
    "close": "Close",
    "balance": "Retrieve",
    "list_lines": "ListLineItems",
    "list_methods": "ListPaymentMethods",
}


@pytest.fixture(scope="module")
def toured() -> Iterator[StripeServer]:
    """A peer after the tour through all its routes."""
    with StripeServer() as peer:
        drive.tour(peer)
        yield peer


def shown(peer: StripeServer) -> list[dict[str, Any]]:
    """Every object in every answer, and in every event."""
    items: list[dict[str, Any]] = []
    for _route, _call, answer in peer.exchanges:
        if answer.status == 200:
            items += answer.body["data"] if answer.body["object"] == "list" else [answer.body]
    return items + [event["data"]["object"] for event in peer.account.all("event")]


def test_the_tour_reaches_every_route(toured: StripeServer) -> None:
    reached = {(route.method, route.address) for route, _call, answer in toured.exchanges if answer.status == 200}
    assert {(route.method, route.address) for route in ROUTES} - reached == set()


def test_every_object_is_what_the_sdks_class_says(toured: StripeServer) -> None:
    found = {
        re.sub(r"\[\d+\]", "[]", difference)
        for item in shown(toured)
        for difference in sdk_types.object_differences(item)
    }
    assert found == set()


def test_objects_have_the_fields_of_the_real_payloads(toured: StripeServer, data_dir: Path) -> None:
    compared = set()
    for item in shown(toured):
        kind = item["object"]
        file = data_dir / "stripe" / "objects" / f"{kind}.json"
        if not file.exists() or item.get("deleted"):
            continue
        real = set(json.loads(file.read_text()))
        if item.get("type") == "sepa_debit":
            real = real - {"card"} | {"sepa_debit"}
        missing = real - set(item) - NOT_BY_DEFAULT.get(kind, set())
        assert missing == set(), kind
        compared.add(kind)
    assert compared >= {
        "balance_transaction",
        "charge",
        "checkout.session",
        "customer",
        "event",
        "payment_intent",
        "payment_method",
        "refund",
        "webhook_endpoint",
    }


def test_the_checks_see_a_wrong_object(toured: StripeServer) -> None:
    refund = next(item for item in shown(toured) if item["object"] == "refund")
    wrong = {key: value for key, value in refund.items() if key != "amount"} | {
        "status": 5,
        "invented": 1,
        "reason": "mood",
    }
    assert {difference.partition(":")[0] for difference in sdk_types.object_differences(wrong)} == {
        "refund.amount",
        "refund.status",
        "refund.invented",
        "refund.reason",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.address}")
def test_every_parameter_that_is_read_is_one_that_the_sdk_sends(route: Any) -> None:
    assert sdk_types.unknown_parameters(params_class(route), route.accepted) == []


def params_class(route: Any) -> type:
    """The SDK's TypedDict of a route's parameters."""
    parts = route.address.split("/")[2:]
    spaces = {
        "billing_portal": stripe.params.billing_portal,
        "checkout": stripe.params.checkout,
        "radar": stripe.params.radar,
        "tax": stripe.params.tax,
    }
    named = parts[1] if parts[0] in spaces else parts[0]
    noun = "".join(word.capitalize() for word in named.removesuffix("s").split("_"))
    module = spaces.get(parts[0], stripe.params)
    cls: type = getattr(module, f"{noun}{PARAMS[route.act.__name__]}Params")
    return cls


def test_every_event_type_is_one_of_stripes(toured: StripeServer, data_dir: Path) -> None:
    known = (data_dir / "stripe" / f"event_types_{API_VERSION}.txt").read_text().split()
    told = {event["type"] for event in toured.account.all("event")}
    assert told <= set(known)
    assert len(told) >= 30


def test_the_peer_speaks_the_version_of_the_pinned_sdk() -> None:
    assert stripe.api_version == API_VERSION


def test_every_error_has_stripes_shape(toured: StripeServer) -> None:
    errors = [(answer.status, answer.body["error"]) for _r, _c, answer in toured.exchanges if answer.status != 200]
    assert {status for status, _error in errors} == {400, 402, 404}
    for status, error in errors:
        assert error["type"] == ("card_error" if status == 402 else "invalid_request_error")
        assert error["message"]
        assert status != 402 or error["code"]
        if "code" in error:
            assert error["doc_url"] == f"https://stripe.com/docs/error-codes/{error['code'].replace('_', '-')}"
