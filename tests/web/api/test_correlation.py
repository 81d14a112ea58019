"""One thread: the id that a request brings stands on its answer, its rows, what jobs do about it, and the provider's own objects."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from billing.jobs import runner
from billing.ledger.tables import LedgerTransaction
from billing.payments import webhooks
from billing.payments.providers.envelopes import METADATA_KEY, REQUEST_KEY
from billing.payments.tables import PaymentSession, RefundRequest, SandboxObject
from billing.storage import correlation
from billing.storage.database import Database
from billing.storage.tables import AuditRecord, OutboxMessage
from portal import create_app
from tests.peers.stripe.server import StripeServer
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import machine, problem
from tests.web.operators import NOW, House

CHECKOUT, REFUNDS = "/payments/checkout-session", "/billing/refunds"
TOP_UP = {"purpose": "top_up", "amount": {"amount_minor": 5_000, "currency": "USD"}}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def test_an_id_that_cannot_be_one_is_replaced_and_every_answer_has_one(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    caller = machine(app, database, "calla")
    assert caller.get("/billing/balance", headers={"X-Request-ID": "mine-0001"}).headers["X-Request-ID"] == "mine-0001"
    for wrong in ("short", "x" * 65, "with space", "semi;colon", "<script>"):
        answer = caller.get("/billing/balance", headers={"X-Request-ID": wrong})
        assert answer.headers["X-Request-ID"].startswith("req_"), wrong
    refused = caller.get("/billing/balance", headers={"X-Request-ID": "mine-0002"}, state="x")
    assert problem(refused)[0] == 422
    assert refused.json["request_id"] == "mine-0002"


def test_a_checkout_carries_its_requests_id_to_its_rows_and_the_provider(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    caller = machine(app, database, "calla")
    headers = {"Idempotency-Key": "k", "X-Request-ID": "thread-of-checkout"}
    made = caller.post(CHECKOUT, TOP_UP, **headers)
    assert made.status_code == 201
    with database.reading() as session:
        assert session.get_one(PaymentSession, made.json["id"]).correlation_id == "thread-of-checkout"
        audit = session.scalars(select(AuditRecord).where(AuditRecord.subject_id == made.json["id"])).all()
        theirs = session.scalars(select(SandboxObject).where(SandboxObject.kind == "checkout.session")).one()
    assert {record.correlation_id for record in audit} == {"thread-of-checkout"}
    assert theirs.body["metadata"] == {METADATA_KEY: made.json["id"], REQUEST_KEY: "thread-of-checkout"}


def test_a_refund_is_sent_by_the_job_in_the_thread_of_its_approval(app: Flask, database: Database) -> None:
    house = House(app, database)
    account_id = house.account("calla", Use(10_000))
    payment = house.top_up(account_id, 50_000)
    body = {
        "mode": "card", "payment_id": payment.id, "amount": {"amount_minor": 1_000, "currency": "USD"}, "reason": "Twice",
    }  # fmt: skip
    headers = {"Idempotency-Key": "k", "X-Request-ID": "thread-of-asking"}
    asked = machine(app, database, "calla").post(REFUNDS, body, **headers)
    with database.reading() as session:
        assert session.get_one(RefundRequest, asked.json["id"]).correlation_id == "thread-of-asking"
    with correlation.scope("thread-of-approval"):
        house.approve_refund(house.refund(asked.json["id"]))
    outcome = runner.run_job(house.services.database, house.services.providers, "payments", now=NOW)
    assert outcome.done_count == 1
    with database.reading() as session:
        theirs = session.scalars(select(SandboxObject).where(SandboxObject.kind == "refund")).one()
        booked = session.scalars(select(LedgerTransaction).where(LedgerTransaction.type == "provider_refund")).one()
        notices = session.scalars(select(OutboxMessage).where(OutboxMessage.topic == "refund.succeeded")).one()
    assert theirs.body["metadata"] == {METADATA_KEY: asked.json["id"], REQUEST_KEY: "thread-of-approval"}
    assert booked.correlation_id == notices.correlation_id == "thread-of-approval"
    assert correlation.current() is None


def test_what_a_job_finds_out_about_a_payment_is_booked_in_the_thread_that_began_it(
    app: Flask, database: Database
) -> None:
    """One payment whose event never came, found by recovery; one whose event was stored and is applied later."""
    house = House(app, database)
    house.account("calla")
    caller = machine(app, database, "calla")
    found = {}
    for number, name in enumerate(("thread-of-lost-event", "thread-of-late-event")):
        made = caller.post(CHECKOUT, TOP_UP, **{"Idempotency-Key": f"k{number}", "X-Request-ID": name})
        checkout_id = made.json["redirect_url"].rpartition("/")[2]
        found[name] = house.sandbox.pay(checkout_id, now=datetime.now(UTC))
    late = found["thread-of-late-event"]
    with correlation.scope("thread-of-webhook"), database.transaction() as session:
        webhooks.receive(
            session, now=datetime.now(UTC), provider=house.sandbox, raw_body=late.body, headers=late.headers
        )
    later = datetime.now(UTC) + timedelta(minutes=11)
    runner.run_job(house.services.database, house.services.providers, "payments", now=later)
    with database.reading() as session:
        booked = session.scalars(select(LedgerTransaction).where(LedgerTransaction.type == "payment")).all()
    assert {one.correlation_id for one in booked} == {"thread-of-lost-event", "thread-of-webhook"}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_stripe_itself_is_told_the_id(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    with StripeServer() as peer:
        config = replace(
            app.extensions["plumbline"].config,
            stripe_secret_key="sk_test_x",
            stripe_webhook_secret=peer.webhook_secret,
            stripe_api_base=peer.url,
        )
        made = create_app(config)
        headers = {"Idempotency-Key": "k", "X-Request-ID": "thread-to-stripe"}
        answer = machine(made, database, "calla").post(CHECKOUT, TOP_UP, **headers)
        assert answer.status_code == 201, answer.json
        told = [call.params for _route, call, _answer in peer.exchanges if call.path == "/v1/checkout/sessions"]
        made.extensions["plumbline"].database.dispose()
    expected = {METADATA_KEY: answer.json["id"], REQUEST_KEY: "thread-to-stripe"}
    assert [params["metadata"] for params in told] == [expected]
    assert [params["payment_intent_data"]["metadata"] for params in told] == [expected]
