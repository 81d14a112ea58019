"""Machines with keys, and what every answer of the API must look like."""

import json
from dataclasses import dataclass

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from billing.accounts import directory, keys, permissions
from billing.storage.database import Database
from portal.api import problems
from tests.web import operators

BASE = "/api/v1"


@dataclass(frozen=True)
class Machine:
    """A machine with a key."""

    client: FlaskClient
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str, headers: dict[str, str] | None = None, **query: str) -> TestResponse:
        return self.client.get(f"{BASE}{path}", query_string=query, headers={**self.headers, **(headers or {})})

    def post(self, path: str, body: object, **headers: str) -> TestResponse:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: object, **headers: str) -> TestResponse:
        return self.send("PUT", path, body, **headers)

    def send(self, method: str, path: str, body: object, **headers: str) -> TestResponse:
        sent = body if isinstance(body, str | bytes) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(
            f"{BASE}{path}",
            method=method,
            data=sent,
            headers={**self.headers, "Content-Type": "application/json", **named},
        )


def machine(app: Flask, database: Database, account: str, *scopes: str) -> Machine:
    """A key of that account's tenant; all scopes unless some are named."""
    with database.transaction("jobs") as session:
        tenant_id = directory.get_account_by_code(session, account).tenant_id
        _, plaintext = keys.create_key(
            session, now=operators.NOW, tenant_id=tenant_id, label="machine", scopes=scopes or permissions.SCOPES
        )
    return Machine(app.test_client(), plaintext)


def service_machine(app: Flask, database: Database, *accounts: str, scopes: tuple[str, ...] = ()) -> Machine:
    """A service key that may name the tenants of these accounts."""
    with database.transaction("jobs") as session:
        tenant_ids = [str(directory.get_account_by_code(session, code).tenant_id) for code in accounts]
        _, plaintext = keys.create_key(
            session,
            now=operators.NOW,
            tenant_id=None,
            label="service",
            scopes=scopes or permissions.SERVICE_SCOPES,
            tenant_ids=tenant_ids,
        )
    return Machine(app.test_client(), plaintext)


def staff_machine(app: Flask, database: Database, *scopes: str) -> Machine:
    """A key of the operator's own machines, which sees every account; all their scopes unless some are named."""
    with database.transaction("jobs") as session:
        _, plaintext = keys.create_key(
            session, now=operators.NOW, tenant_id=None, label="ops", scopes=scopes or permissions.STAFF_SCOPES
        )
    return Machine(app.test_client(), plaintext)


def problem(answer: TestResponse) -> tuple[int, str, str | None]:
    """(status, code, reason) of a problem, after checking what every problem must have."""
    assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
    body = answer.json
    assert body["status"] == answer.status_code == problems.KINDS[body["code"]].status
    assert body["type"] == f"http://localhost/api/docs#problem-{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return answer.status_code, body["code"], body.get("reason")
