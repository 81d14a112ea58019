"""Schemathesis on the whole description: whatever is sent, each answer is one that the document promises, and never a 5xx.

What the schemas cannot say (an amount in the account's currency, a budget's name in use) is refused by 422 on purpose, so data that
fits its schema may be refused; data that does not fit may never be taken.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select

from billing.accounts import permissions
from billing.catalog import subscriptions
from billing.invoicing.documents.receipt_tables import Receipt
from billing.payments import receipt_issue
from billing.payments.disputes import acts, listing
from billing.storage.database import Database
from portal import create_app
from portal.api import openapi
from portal.api.routes import signed
from portal.api.routes.all import ROUTES
from portal.services import Services
from tests.web import operators, tenants
from tests.web.api.machines import Machine, machine, staff_machine

# The build takes a sample of every route, the heavier tiers of confidence more.
EXAMPLES = 8
HEAVIER = (
    pytest.param(60, marks=pytest.mark.merge_medium),
    pytest.param(300, marks=pytest.mark.release_heavy),
)
CONFORMANCE = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@dataclass(frozen=True)
class Walk:
    """A portal with one of everything, and its description as Schemathesis reads it."""

    app: Flask
    schema: Any
    machine: Machine
    staff: Machine
    ids: dict[str, list[str]]
    payment_id: str

    def caller_of(self, method: str, path: str) -> Machine:
        """Whoever a route is for: a tenant's machine, or the operator's."""
        access = next(
            route.view.access  # type: ignore[attr-defined]
            for route in ROUTES
            if (route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)) == (method, path)
        )
        return self.staff if access.removeprefix("key:") in permissions.STAFF_SCOPES else self.machine

    def operations(self) -> Iterator[Any]:
        for found in self.schema.get_all_operations():
            yield found.ok()

    def try_out(
        self, operation: Any, mode: GenerationMode, headers: dict[str, str], examples: int, **fixed: Any
    ) -> int:
        """Send generated requests and check each answer; how many were sent."""
        sent = 0
        # Ingest refuses event by event, inside a 200.
        refuses = mode is GenerationMode.NEGATIVE and operation.path != "/billing/usage:ingest"
        checks = CONFORMANCE + ([negative_data_rejection] if refuses else [])

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(case=operation.as_strategy(mode, **fixed))
        def send(case: Any) -> None:
            nonlocal sent
            sent += 1
            case.headers = {**(case.headers or {}), **headers}
            answer = case.call()
            case.validate_response(answer, checks=checks)

        send()
        return sent


def can_be_wrong(operation: Any) -> bool:
    """Whether anything can be sent that breaks a schema: a body, or a parameter that is more than a text."""
    described = openapi.document("http://localhost")["paths"][operation.path][operation.method]
    narrow = {"limit", "period", "state", "by", "from", "to", "Idempotency-Key"}
    is_json = "example" in str(described.get("requestBody", {}))
    return is_json or any(parameter["name"] in narrow for parameter in described["parameters"])


def tried(staff: Machine) -> str:
    """The id of a shadow rating of the description's own example."""
    route = next(route for route in ROUTES if route.path == "/admin/billing/shadow-rating" and route.example)
    return str(staff.post(route.path, route.example, Idempotency_Key="tried").json["id"])


def receipted(database: Database) -> str:
    """The number of a receipt for a payment there is."""
    with database.transaction("jobs") as session:
        for account_id in receipt_issue.accounts_waiting(session):
            receipt_issue.issue_waiting(session, now=operators.NOW, account_id=account_id)
        return str(session.scalars(select(Receipt.number).order_by(Receipt.id)).first())


def refunded(caller: Machine, payment_id: str) -> str:
    """The id of a refund that the tenant's machine asked for."""
    body = {
        "mode": "card",
        "payment_id": payment_id,
        "amount": {"amount_minor": 1, "currency": "USD"},
        "reason": "Twice",
    }
    return str(caller.post("/billing/refunds", body, Idempotency_Key="refunded").json["id"])


def disputed(lived: tenants.Lived) -> str:
    """The id of a bank's question about the tenant's payment, which moves no money."""
    sandbox = lived.house.sandbox
    sandbox.open_dispute(lived.payment.provider_payment_id, now=operators.NOW, is_inquiry=True)
    acts.find_untold(lived.database, {sandbox.name: sandbox}, now=operators.NOW)
    with lived.database.reading("jobs") as session:
        return listing.list_disputes(session, listing.Filters(account_id=lived.account_id))[0].id


def subscribed(database: Database, account_id: str) -> str:
    """The id of the subscription that the account is on: it has begun, so it is not withdrawn."""
    with database.reading("jobs") as session:
        return subscriptions.list_subscriptions(session, account_id)[0].id


@pytest.fixture
def walk(app: Flask, database: Database) -> Iterator[Walk]:
    config = replace(
        app.extensions["plumbline"].config, api_reads_per_minute=1_000_000, api_writes_per_minute=1_000_000
    )
    made = create_app(config)
    lived = tenants.lived(made, database)
    caller, staff = machine(made, database, "calla"), staff_machine(made, database)
    schema = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json",
        made,
        config=schemathesis.Config(
            projects=ProjectsConfig(default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False)))
        ),
    )
    ids = {
        "line_id": lived.line_ids()[:1],
        "invoice_id": [lived.invoice.id, str(lived.invoice.number)],
        "budget_id": [lived.budget_id],
        "tenant": ["calla"],
        "trial_id": [tried(staff)],
        "receipt_id": [receipted(database)],
        "session_id": [str(lived.payment.session_id)],
        "refund_id": [refunded(caller, lived.payment.id)],
        "dispute_id": [disputed(lived)],
        "user_id": ["calla"],
        "subscription_id": [subscribed(database, lived.account_id)],
    }
    yield Walk(made, schema, caller, staff, ids, lived.payment.id)
    services: Services = made.extensions["plumbline"]
    services.database.dispose()


@pytest.mark.parametrize("examples", [EXAMPLES, *HEAVIER])
def test_every_answer_to_a_key_with_all_scopes_is_as_described(walk: Walk, examples: int) -> None:
    walked = set()
    for operation in walk.operations():
        path = operation.path
        walked.add((operation.method.upper(), path))
        headers = walk.caller_of(operation.method.upper(), path).headers if "webhook" not in path else {}
        assert walk.try_out(operation, GenerationMode.POSITIVE, headers, examples) > 0
        if can_be_wrong(operation):
            assert walk.try_out(operation, GenerationMode.NEGATIVE, headers, examples) > 0
        named = [name for name in walk.ids if f"{{{name}}}" in path]
        for name in named:
            for known in walk.ids[name]:
                walk.try_out(operation, GenerationMode.POSITIVE, headers, examples // 3, path_parameters={name: known})
    document = openapi.document("http://localhost")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert walked == described
    assert len(walked) == len(ROUTES) + len(signed.ROUTES)


def test_every_example_and_every_real_object_is_answered_as_described(walk: Walk) -> None:
    document = openapi.document("http://localhost")
    seen: set[str] = set()
    for route in ROUTES:
        for path in filled(route.path, walk.ids):
            headers = {"Idempotency-Key": f"key-of-{route.path}", "If-Match": "*"}
            body = (
                None
                if route.example is None
                else route.example | ({"payment_id": walk.payment_id} if "payment_id" in route.example else {})
            )
            caller = walk.caller_of(route.method, re.sub(r"<(\w+)>", r"{\1}", route.path))
            answer = caller.send(route.method, path, "" if body is None else body, **headers)
            described = document["paths"][re.sub(r"<(\w+)>", r"{\1}", route.path)][route.method.lower()]
            seen.add(f"{route.method} {answer.status_code}")
            if route.response is None:
                if answer.status_code == 200:
                    assert answer.mimetype == route.mimetype
                else:
                    assert (answer.status_code, answer.json["code"] in route.problems) == (409, True), path
                continue
            if answer.status_code == 409:  # an issued document is not voided
                assert answer.json["code"] in route.problems, (path, answer.json)
                continue
            assert answer.status_code in route.success, (path, answer.json)
            shape = described["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            faults = Draft202012Validator(shape | {"components": document["components"]}).iter_errors(answer.json)
            assert [fault.message for fault in faults] == [], path
    assert {"GET 200", "POST 200", "POST 201", "PUT 200"} <= seen


def filled(path: str, ids: dict[str, list[str]]) -> list[str]:
    """The path with each id there is."""
    name = next(iter(re.findall(r"<(\w+)>", path)), None)
    if name is None:
        return [path]
    return [whole for known in ids[name] for whole in filled(path.replace(f"<{name}>", known), ids)]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer plk_000000000000_" + "x" * 43},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
    ],
    ids=["none", "unknown", "basic", "empty"],
)
def test_every_answer_without_a_good_key_is_as_described(walk: Walk, headers: dict[str, str]) -> None:
    for operation in walk.operations():
        assert walk.try_out(operation, GenerationMode.POSITIVE, headers, max(2, EXAMPLES // 6)) > 0
