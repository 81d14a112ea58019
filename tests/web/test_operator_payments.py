"""Payments at the operators' desk: the list and its file, one payment beside the provider's, the inbox, and money of nobody."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from billing.kernel.money import Money
from billing.payments import acts, sessions
from billing.payments.recovery.tables import UnmatchedPayment
from billing.payments.sessions import SessionRow
from billing.payments.tables import Payment, ProviderEvent
from billing.storage.database import Database
from tests.web import operators
from tests.web.operators import ASKER, NOW, House, act
from tests.web.pages import Page


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


def press(client: FlaskClient, url: str, where: str, **values: str) -> TestResponse:
    """Press a button that stands on the page `where`."""
    page = Page(client.get(where))
    found = next(one.get("value", "") for one in page.root.iter("input") if one.get("name") == "csrf_token")
    return client.post(url, data={"csrf_token": found, **values})


def begin(house: House, account_id: str, minor: int = 5_000) -> SessionRow:
    """A payment that nobody has paid yet."""
    return acts.start_checkout(
        house.services.database,
        house.sandbox,
        now=NOW,
        account_id=account_id,
        purpose="top_up",
        amount=Money(minor=minor, currency="USD"),
        form_key=f"begin-{minor}",
        actor=ASKER,
        return_url_of=lambda session_id: f"http://localhost/add-funds/{session_id}",
    )


def failed_event(database: Database, event_id: str = "pev_1", **more: object) -> None:
    with database.transaction("jobs") as session:
        session.add(
            ProviderEvent(
                **{
                    "id": event_id, "provider": "sandbox", "event_id": f"evt_{event_id}", "type": "checkout.session.completed",
                    "body": '{"id":"evt","data":{"object":{"customer_email":"ann@calla.example","amount_total":700}}}',
                    "state": "failed", "attempts": 3, "note": "amount_mismatch: <b>x</b>", "received_at": NOW - timedelta(hours=2),
                }
                | more
            )
        )  # fmt: skip


def unmatched(database: Database, **more: object) -> None:
    with database.transaction("jobs") as session:
        session.add(
            UnmatchedPayment(
                **{
                    "id": "ump_1", "provider": "sandbox", "provider_payment_id": "pi_shop", "kind": "foreign", "state": "open",
                    "amount_minor": 4200, "currency": "USD", "paid_at": NOW, "first_seen_at": NOW, "last_seen_at": NOW,
                    "is_given_back": False,
                }
                | more
            )
        )  # fmt: skip


def test_payments_are_listed_filtered_and_given_as_a_file(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    house.top_up(account_id, 50_000)
    begin(house, house.account("birch"), 700)
    client = browser(staff="viewer")
    page = Page(client.get("/operator/payments"))
    assert [cells[-1] for cells in page.rows("payments")] == ["USD 7.00", "USD 500.00"]
    for query, amounts in (
        ("state=paid", ["USD 500.00"]),
        ("account=birch", ["USD 7.00"]),
        ("amount=500", ["USD 500.00"]),
        ("from=2100-01-01", []),
        ("provider=sandbox&channel=checkout", ["USD 7.00", "USD 500.00"]),
    ):
        page = Page(client.get(f"/operator/payments?{query}"))
        assert [cells[-1] for cells in (page.rows("payments") if amounts else [])] == amounts, query
    page = Page(client.get("/operator/payments?amount=1e3&state=lost&account=nobody&from=yesterday"))
    assert len(page.rows("payments")) == 2
    assert "left out" in page.text
    rows = list(csv.DictReader(io.StringIO(client.get("/operator/payments.csv?state=paid").get_data(as_text=True))))
    assert [(row["account"], row["amount"], row["state"]) for row in rows] == [("calla", "500", "paid")]
    assert client.get("/operator/payments.csv?state=lost").status_code == 422


def test_a_payment_stands_beside_the_providers_and_is_fetched_again_by_who_may(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    row = begin(house, account_id)
    house.sandbox.pay(str(row.provider_session_id), now=NOW)  # and the event is lost
    url = f"/operator/payments/{row.id}"
    viewer, maker = browser(staff="viewer"), browser(staff="maker")
    page = Page(viewer.get(f"{url}?compare=yes"))
    assert page.h1 == "Top-up of USD 50.00"
    assert "Paid at the provider, not credited here" in page.text
    assert [cells[0] for cells in page.rows("comparison") if cells[-1] == "Differs"] == [
        "State", "Amount received", "Payment", "Received",
    ]  # fmt: skip
    assert f"{url}/recover" not in viewer.get(url).get_data(as_text=True)
    assert press(viewer, f"{url}/recover", url).status_code == 403
    for expected in ("was brought to what the provider says", "Nothing had to change"):
        answer = press(maker, f"{url}/recover", url)
        assert answer.status_code == 303
        page = Page(maker.get(answer.headers["Location"]))
        assert expected in page.text
        assert "Both sides agree" in page.text
    with database.reading() as session:
        assert [one.amount_minor for one in sessions.list_payments(session, account_id=account_id)] == [5_000]
    assert "Fetched from the provider again" in page.text
    assert viewer.get("/operator/payments/pay_none").status_code == 404


def test_the_inbox_shows_what_failed_and_lets_it_be_tried_again_or_closed(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    house.top_up(house.account("calla"), 50_000)
    failed_event(database)
    failed_event(database, "pev_2")
    failed_event(database, "pev_3", state="ignored", note="livemode_mismatch")
    viewer, maker = browser(staff="viewer"), browser(staff="maker")
    page = Page(viewer.get("/operator"))
    assert "Provider events that failed" in page.links()
    page = Page(viewer.get("/operator/provider-events?state=failed"))
    assert operators.figures(page)["Failed"] == "2"
    assert len(page.rows("events")) == 2
    assert "Try the chosen" not in page.text
    page = Page(viewer.get("/operator/provider-events/pev_1"))
    assert "The amount differs from what was asked" in page.text
    assert "ann@calla.example" not in page.text
    assert '"amount_total": 700' in page.text
    assert press(viewer, "/operator/provider-events/pev_1/again", "/operator/provider-events").status_code == 403
    listed = "/operator/provider-events?state=failed"
    answer = press(maker, "/operator/provider-events/chosen/again", listed, event="pev_1")
    assert answer.status_code == 303
    assert "1 event will be applied again" in Page(maker.get(answer.headers["Location"])).text
    assert state_of(database, "pev_1") == "received"
    assert press(maker, "/operator/provider-events/chosen/again", listed, event="pev_3").status_code == 303
    assert state_of(database, "pev_3") == "ignored"
    close = "/operator/provider-events/pev_2/close"
    assert act(maker, close, reason=" ").status_code == 422
    assert act(maker, close, reason="Of the old shop").status_code == 303
    assert state_of(database, "pev_2") == "closed"
    assert "Of the old shop" in Page(viewer.get("/operator/provider-events/pev_2")).text
    assert maker.get("/operator/provider-events/pev_none").status_code == 404


def test_money_of_nobody_is_given_to_an_account_by_two_people_or_closed(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla")
    unmatched(database)
    unmatched(database, id="ump_2", provider_payment_id="pi_other", is_given_back=True)
    viewer, maker, approver = browser(staff="viewer"), browser(staff="maker"), browser(staff="approver")
    assert "Payments to be matched" in Page(viewer.get("/operator")).links()
    page = Page(viewer.get("/operator/unmatched-payments"))
    assert len(page.rows("unmatched")) == 2
    url = "/operator/unmatched-payments/ump_1"
    assert "Give it to an account" not in Page(viewer.get(url)).text
    link = f"{url}/link"
    for account, status in (("nobody", 422), ("calla", 303)):
        answer = act(maker, link, account=account, reason="Their mail of Monday")
        assert answer.status_code == status
    decision = answer.headers["Location"]
    assert "A decision waits" in Page(viewer.get(url)).text
    page = Page(approver.get(decision))
    assert "pi_shop" in page.text
    answer = act(approver, f"{decision}/approve")
    assert answer.status_code == 303, answer.get_data(as_text=True)
    with database.reading() as session:
        assert session.scalars(select(Payment.amount_minor).where(Payment.billing_account_id == account_id)).all() == [
            4200
        ]
    assert "Credited" in Page(viewer.get(url)).text
    other = "/operator/unmatched-payments/ump_2"
    assert "given this money back" in Page(maker.get(other)).text
    assert act(maker, f"{other}/link", account="calla", reason="x").status_code == 409
    assert act(maker, f"{other}/close", reason="Refunded\x00there").status_code == 422
    assert act(maker, f"{other}/close", reason="Refunded there").status_code == 303
    assert "Refunded there" in Page(viewer.get(other)).text


def state_of(database: Database, event_id: str) -> str:
    with database.reading("jobs") as session:
        return session.get_one(ProviderEvent, event_id).state


def test_plumbline_payments_lists_shows_and_recovers(
    app: Flask, database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from portal.cli import context, main

    row = begin(house, house.account("calla"))
    house.sandbox.pay(str(row.provider_session_id), now=NOW)
    monkeypatch.setenv("PLUMBLINE_SECRET_KEY", app.extensions["plumbline"].config.secret_key)
    monkeypatch.setenv("PLUMBLINE_BASE_URL", "http://localhost")
    urls = database.urls
    for name, url in (
        ("DATABASE_URL", urls.web), ("PLUMBLINE_JOBS_URL", urls.jobs), ("PLUMBLINE_OWNER_URL", urls.owner)
    ):  # fmt: skip
        monkeypatch.setenv(name, url or "")
    caches = (context.database, context.config, context.providers)
    for cache in caches:
        cache.cache_clear()

    def run(*words: str) -> object:
        result = CliRunner().invoke(main, [*words, "--format", "json"], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    try:
        assert [one["id"] for one in run("payments", "list", "--account", "calla")] == [row.id]  # type: ignore[attr-defined]
        shown = run("payments", "show", row.id, "--compare")
        assert shown["verdict"] == "paid_there"  # type: ignore[index]
        assert run("payments", "recover", row.id)["has_changed"] is True  # type: ignore[index]
        assert run("payments", "show", row.id)["state"] == "paid"  # type: ignore[index]
        assert run("payments", "unmatched", "--read") == []
        missing = CliRunner().invoke(main, ["payments", "show", "pay_none"])
        assert (missing.exit_code, missing.stdout) == (1, "")
    finally:
        context.database().dispose()
        for cache in caches:
            cache.cache_clear()
