"""The description itself: valid, complete, equal wherever it is read, and readable as a page."""

import json
import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from billing.storage.database import Database
from portal.api import bodies, openapi, problems, reading
from portal.api.routes import signed
from portal.api.routes.all import ROUTES
from portal.cli import main
from tests.web import operators
from tests.web.pages import Page

BASE = "http://localhost"
DOCUMENT = openapi.document(BASE)
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def test_it_is_valid_openapi_3_1_and_a_broken_one_is_not(engine: str) -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []  # type: ignore[arg-type]
    broken = json.loads(json.dumps(DOCUMENT))
    del broken["info"]["title"]
    assert list(OpenAPIV31SpecValidator(broken).iter_errors()) != []


def test_every_route_of_the_machine_blueprints_is_in_it(app: Flask, engine: str) -> None:
    described = {(operation["operationId"], method.upper()) for method, _path, operation in OPERATIONS}
    registered = {
        (rule.endpoint.rpartition(".")[2], method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in ("api", "webhooks")
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert described == registered
    assert len(described) == len(ROUTES) + len(signed.ROUTES) > 15


def test_every_operation_says_what_is_needed_and_what_can_go_wrong(engine: str) -> None:
    for method, path, operation in OPERATIONS:
        statuses = set(operation["responses"])
        assert operation["summary"], path
        assert operation["description"], path
        assert {"400", "431", "500", "503"} <= statuses, path
        if operation["security"]:
            assert {"401", "403", "404", "422", "429"} <= statuses, path
            assert [list(one) for one in operation["security"]] == [["apiKey"], ["token"]]
        assert ("304" in statuses) == (method == "get"), path
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert ("Idempotency-Key" in names) == ("idempotency_key_missing" in json.dumps(operation)), path
        assert ("If-Match" in names) == ("428" in statuses) == (method == "put"), path


def test_every_money_route_is_keyed_and_every_example_is_taken_by_its_own_model(engine: str) -> None:
    assert {route.path for route in ROUTES if route.is_keyed} == {
        "/payments/checkout-session", "/billing/refunds", "/billing/refunds/<refund_id>:cancel",
        "/admin/users/<user_id>/refunds", "/billing/budgets", "/billing/plans",
        "/billing/tenants/<tenant>/subscriptions", "/admin/billing/shadow-rating", "/admin/billing/reconciliation",
        "/admin/billing/provider-customers",
        "/billing/invoices:generate", "/billing/invoices/<invoice_id>:close", "/billing/invoices/<invoice_id>:void",
        "/billing/invoices/<invoice_id>/credit-notes", "/billing/bank-transfers",
        "/admin/billing/payment-sessions/<session_id>:recover", "/admin/payments/disputes/<dispute_id>/evidence",
        "/billing/tenants/<tenant>/subscriptions/<subscription_id>:withdraw",
    }  # fmt: skip
    examples = [route for route in ROUTES if route.request is not None]
    assert len(examples) >= 7
    for route in examples:
        assert route.example is not None, route.path
        assert bodies.shaped(route.request, bodies.parse(json.dumps(route.example).encode()))  # type: ignore[type-var]
        shape = {"$ref": f"#/components/schemas/{route.request.__name__}", "components": DOCUMENT["components"]}  # type: ignore[union-attr]
        assert list(Draft202012Validator(shape).iter_errors(route.example)) == []


def test_the_examples_of_answers_fit_their_shapes(engine: str) -> None:
    names = [name for name in DOCUMENT["components"]["schemas"] if name != "Problem"]
    assert len(names) > 20
    for name in names:
        shape = {"$ref": f"#/components/schemas/{name}"}
        value = reading.sample(DOCUMENT, shape)
        faults = list(Draft202012Validator(shape | {"components": DOCUMENT["components"]}).iter_errors(value))
        assert faults == [], name


def test_it_is_public_kept_and_has_a_tag(client: FlaskClient, engine: str) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json == DOCUMENT
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    tag = answer.headers["ETag"]
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get("/api/v1/openapi.json", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_command_line_prints_the_same(client: FlaskClient, engine: str) -> None:
    printed = CliRunner().invoke(main, ["openapi", "--base-url", f"{BASE}/"])
    assert printed.exit_code == 0, printed.output
    assert printed.output == client.get("/api/v1/openapi.json").get_data(as_text=True)


def test_the_page_holds_every_route_shape_and_problem_and_needs_no_script(client: FlaskClient, engine: str) -> None:
    page = Page(client.get("/api/docs"))
    anchors = {element.get("id") for element in page.root.iter() if element.get("id")}
    assert {operation["operationId"] for _method, _path, operation in OPERATIONS} <= anchors
    assert {f"shape-{name}" for name in DOCUMENT["components"]["schemas"]} <= anchors
    assert {f"problem-{code}" for code in problems.KINDS} <= anchors
    inner = {str(link.get("href")) for link in page.root.iter("a") if str(link.get("href")).startswith("#")}
    assert inner <= {f"#{anchor}" for anchor in anchors}
    assert len(inner) > 60


def test_the_commands_to_paste_are_whole(client: FlaskClient, engine: str) -> None:
    commands = [one.curl for _tag, operations in reading.groups(DOCUMENT) for one in operations]
    assert len(commands) == len(OPERATIONS)
    assert all(command.startswith("curl ") and f"{BASE}/api/v1/" in command for command in commands)
    checkout = next(command for command in commands if "checkout-session" in command)
    assert re.findall(r"-H \S+|-d '\{", checkout) == [
        '-H "Authorization:', '-H "Idempotency-Key:', "-H 'Content-Type:", "-d '{",
    ]  # fmt: skip


def test_a_new_refusal_without_an_entry_in_the_table_is_found(engine: str, database: Database) -> None:
    with pytest.raises(KeyError):
        problems.by_status({"nobody_wrote_this_down"})
