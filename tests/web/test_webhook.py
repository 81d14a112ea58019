"""The webhook's front door: raw body, signature, size, and an answer only after the event is stored."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from billing.kernel import clock
from billing.kernel.money import Money
from billing.payments import acts, apply, sessions, webhooks
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.memory import SignedEvent
from billing.payments.sessions import SessionRow
from billing.payments.tables import ProviderEvent
from billing.storage.database import Database
from portal import create_app
from portal.config import Unsafe
from portal.services import Services
from tests.peers.stripe.server import StripeServer
from tests.peers.stripe.webhooks import signed
from tests.web.conftest import CREATED_AT

SANDBOX, STRIPE = "/api/v1/payments/webhook/sandbox", "/api/v1/payments/webhook"


@pytest.fixture
def account_id(database: Database) -> str:
    from billing.catalog import onboarding

    with database.transaction() as session:
        return onboarding.open_account(session, now=CREATED_AT, code="calla").id


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer(hears=sorted(webhooks.HANDLED_TYPES)) as server:
        yield server


@pytest.fixture
def stripe_client(app: Flask, peer: StripeServer) -> Iterator[FlaskClient]:
    """The portal with Stripe configured beside the sandbox."""
    settings = replace(
        app.extensions["plumbline"].config,
        stripe_secret_key="sk_test_web",
        stripe_webhook_secret=peer.webhook_secret,
        stripe_api_base=peer.url,
    )
    other = create_app(settings)
    yield other.test_client()
    other.extensions["plumbline"].database.dispose()


def start(app: Flask, account_id: str, provider_name: str = "sandbox") -> SessionRow:
    parts: Services = app.extensions["plumbline"]
    return acts.start_checkout(
        parts.database,
        parts.providers[provider_name],
        now=clock.utc_now(),
        account_id=account_id,
        purpose="top_up",
        amount=Money(minor=5000, currency="USD"),
        form_key="once",
        actor="usr_test",
        return_url_of=lambda session_id: f"http://localhost/add-funds/{session_id}",
    )


def paid_event(app: Flask, row: SessionRow) -> SignedEvent:
    provider = app.extensions["plumbline"].providers["sandbox"]
    assert isinstance(provider, SandboxProvider)
    return provider.pay(str(row.provider_session_id), now=clock.utc_now())


def post(client: FlaskClient, path: str, body: bytes, headers: dict[str, str]) -> TestResponse:
    return client.post(path, data=body, headers={"Content-Type": "application/json"} | headers)


def stored(database: Database) -> list[tuple[str, str]]:
    with database.reading("jobs") as session:
        return [(state, kind) for state, kind in session.execute(select(ProviderEvent.state, ProviderEvent.type))]


def payments(database: Database, account_id: str) -> list[int]:
    with database.reading() as session:
        return [row.amount_minor for row in sessions.list_payments(session, account_id=account_id)]


def work_off(app: Flask) -> None:
    """The job's part: the effect of what is stored."""
    parts: Services = app.extensions["plumbline"]
    apply.apply_pending(parts.database, parts.providers, now=clock.utc_now())


def test_signed_event_is_stored_and_answered_and_a_job_applies_it(
    app: Flask, client: FlaskClient, database: Database, account_id: str
) -> None:
    event = paid_event(app, start(app, account_id))
    first, second = (post(client, SANDBOX, event.body, event.headers) for _ in range(2))
    assert (first.status_code, first.json) == (200, {"received": True, "duplicate": False})
    assert (second.status_code, second.json) == (200, {"received": True, "duplicate": True})
    assert stored(database) == [("received", "checkout.session.completed")]
    assert payments(database, account_id) == []
    work_off(app)
    assert stored(database) == [("processed", "checkout.session.completed")]
    assert payments(database, account_id) == [5000]


def test_wrong_signature_gets_problem_details_and_stores_nothing(
    app: Flask, client: FlaskClient, database: Database, account_id: str
) -> None:
    event = paid_event(app, start(app, account_id))
    answer = post(client, SANDBOX, event.body + b" ", event.headers)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    problem = json.loads(answer.data)
    assert (problem["code"], problem["status"]) == ("signature_wrong", 400)
    assert problem["request_id"]
    assert stored(database) == []
    assert payments(database, account_id) == []


@pytest.mark.parametrize("headers", [{}, {"Sandbox-Signature": ""}, {"Stripe-Signature": "t=1,v1=00"}])
def test_unsigned_event_is_refused(client: FlaskClient, database: Database, headers: dict[str, str]) -> None:
    answer = post(client, SANDBOX, b"{}", headers)
    assert (answer.status_code, json.loads(answer.data)["code"]) == (400, "signature_missing")
    assert stored(database) == []


def test_sandbox_secret_does_not_open_stripes_door(
    app: Flask, stripe_client: FlaskClient, database: Database, account_id: str
) -> None:
    event = paid_event(app, start(app, account_id))
    header = {"Stripe-Signature": event.headers["Sandbox-Signature"]}
    assert post(stripe_client, STRIPE, event.body, header).status_code == 400
    assert stored(database) == []


def test_stripe_event_is_checked_against_stripe(
    stripe_client: FlaskClient, peer: StripeServer, database: Database, account_id: str
) -> None:
    row = start(stripe_client.application, account_id, "stripe")
    with peer.playing() as objects:
        objects.pay(str(row.provider_session_id))
        deliveries = [peer.signed(event) for event in objects.events]
    for body, headers in deliveries:
        assert post(stripe_client, STRIPE, body, headers).status_code == 200
    work_off(stripe_client.application)
    assert {state for state, _ in stored(database)} == {"processed"}
    assert payments(database, account_id) == [5000]


def test_event_is_kept_and_answered_while_stripe_is_down(
    stripe_client: FlaskClient, peer: StripeServer, database: Database, account_id: str
) -> None:
    row = start(stripe_client.application, account_id, "stripe")
    with peer.playing() as objects:
        objects.pay(str(row.provider_session_id))
        body, headers = peer.signed(objects.events[-1])
    peer.fail_next("error_500", "/v1/checkout/sessions")
    assert post(stripe_client, STRIPE, body, headers).status_code == 200
    work_off(stripe_client.application)
    assert stored(database) == [("received", "checkout.session.completed")]


def test_the_provider_is_asked_nothing_before_it_is_answered(
    stripe_client: FlaskClient, peer: StripeServer, account_id: str
) -> None:
    row = start(stripe_client.application, account_id, "stripe")
    with peer.playing() as objects:
        objects.pay(str(row.provider_session_id))
        body, headers = peer.signed(objects.events[-1])
    before = len(peer.calls)
    assert post(stripe_client, STRIPE, body, headers).status_code == 200
    assert len(peer.calls) == before


def test_while_a_secret_is_rolled_events_signed_with_either_are_taken(
    app: Flask, peer: StripeServer, database: Database
) -> None:
    settings = replace(
        app.extensions["plumbline"].config,
        stripe_secret_key="sk_test_web",
        stripe_webhook_secret=f"whsec_new, {peer.webhook_secret}",
        stripe_api_base=peer.url,
    )
    other = create_app(settings)
    with peer.playing() as objects:
        told = [objects.event("customer.created", {"id": "cus_1", "object": "customer"}) for _ in range(3)]
    for event, secrets, status in (
        (told[0], [peer.webhook_secret], 200),
        (told[1], ["whsec_new"], 200),
        (told[2], ["whsec_gone"], 400),
    ):
        body, headers = signed(event, secrets, at=int(clock.utc_now().timestamp()))
        assert post(other.test_client(), STRIPE, body, headers).status_code == status
    assert len(stored(database)) == 2
    other.extensions["plumbline"].database.dispose()


@pytest.mark.parametrize("secret", ["a,b,c", "a,", ",a", "a,,b"])
def test_three_secrets_or_an_empty_one_are_refused_at_the_start(app: Flask, secret: str) -> None:
    with pytest.raises(Unsafe, match="STRIPE_WEBHOOK_SECRET"):
        replace(app.extensions["plumbline"].config, stripe_webhook_secret=secret)


def test_unknown_type_is_kept_and_answered(stripe_client: FlaskClient, peer: StripeServer, database: Database) -> None:
    with peer.playing() as objects:
        body, headers = peer.signed(objects.event("price.created", {"id": "price_1", "object": "price"}))
    assert post(stripe_client, STRIPE, body, headers).status_code == 200
    assert stored(database) == [("ignored", "price.created")]


def test_without_stripe_its_webhook_does_not_exist(client: FlaskClient) -> None:
    answer = post(client, STRIPE, b"{}", {"Stripe-Signature": "t=1,v1=00"})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_body_above_one_mebibyte_is_refused_unread(client: FlaskClient, database: Database) -> None:
    answer = post(client, SANDBOX, b" " * (1024 * 1024 + 1), {"Sandbox-Signature": "t=1,v1=00"})
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
    assert stored(database) == []


def test_webhook_answers_nothing_but_post(client: FlaskClient) -> None:
    assert client.get(SANDBOX).status_code == 405
