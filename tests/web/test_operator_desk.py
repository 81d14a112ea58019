"""Workbench, accounts and jobs: every queue leads to its cases, every figure agrees with the ledger, jobs run when asked for."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from billing.catalog import onboarding
from billing.jobs import leadership, runner
from billing.metering import allocations
from billing.metering.shapes import Shape
from billing.payments.tables import PaymentSession, ProviderEvent
from billing.storage.database import Database
from billing.storage.tables import JobRun
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import NOW, House, figures
from tests.web.pages import Page


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


def token(client: FlaskClient, url: str) -> dict[str, str]:
    page = Page(client.get(url))
    return {"csrf_token": next(f.get("value", "") for f in page.root.iter("input") if f.get("name") == "csrf_token")}


def queues(page: Page) -> dict[str, str]:
    """{first words of a queue: how many wait}."""
    return {cells[0]: cells[1] for cells in page.rows("queues-table")}


def test_an_empty_installation_says_that_nothing_waits(browser: Callable[..., FlaskClient]) -> None:
    client = browser(staff="viewer")
    page = Page(client.get("/operator"))
    assert figures(page)["Waiting for a person"] == "0 cases"
    assert set(queues(page).values()) == {"0"}
    for path, words in (
        ("/operator/accounts", "No billing accounts yet"),
        ("/operator/refunds", "No refunds yet"),
        ("/operator/invoice-runs", "No drafts yet"),
        ("/operator/queues/intents", "Nothing waits here"),
    ):
        assert words in Page(client.get(path)).text


def test_each_queue_counts_and_leads_to_its_cases_in_one_click(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla", Use(10_000))
    house.ask_refund(account_id, house.top_up(account_id, 50_000), 100)
    operators.world.draft(database, account_id)
    rating_world.use(database, account_id, Use(3, meter="token_input"))  # no price by default
    rating_world.rate(database, account_id)
    payment = house.top_up(account_id, 1_000, key="other")
    with database.transaction("jobs") as session:
        session.execute(update(PaymentSession).where(PaymentSession.id == payment.session_id).values(state="unknown"))
        session.add(
            ProviderEvent(
                id="pev_1", provider="sandbox", event_id="evt_<b>", type="checkout.session.completed", body="{}",
                state="failed", attempts=4, note="<script>no</script>", received_at=NOW - timedelta(hours=30),
            )
        )  # fmt: skip
        session.add(
            JobRun(
                id="job_1", job="post", trigger="schedule", started_at=NOW - timedelta(hours=1), ended_at=NOW, result="failed",
                detail="SomeFailed: 1 failed", holder="h:1", done_count=0,
            )
        )  # fmt: skip
    client = browser(staff="maker")
    page = Page(client.get("/operator"))
    counts = queues(page)
    expected = {
        "To approve": 1, "Drafts to review": 1, "Payments nobody knows": 1, "Provider events that failed": 1,
        "Usage without a price": 1, "Jobs whose last run failed": 1,
    }  # fmt: skip
    for title, count in expected.items():
        assert next(found for words, found in counts.items() if words.startswith(title)) == str(count), title
    assert figures(page)["Waiting for a person"] == "6 cases"
    links = page.links()
    for title, words in (
        ("To approve", "Paid twice"),
        ("Drafts to review", "Invoices of October 2026"),
        ("Payments nobody knows the end of", "Top-up"),
        ("Provider events that failed", "<script>no</script>"),
        ("Usage without a price", "token_input"),
        ("Jobs whose last run failed", "SomeFailed: 1 failed"),
    ):
        assert words in Page(client.get(links[title])).text, title
    with database.transaction("jobs") as session:  # the books must be as they were for the check after the test
        session.execute(update(PaymentSession).where(PaymentSession.id == payment.session_id).values(state="paid"))


def test_the_list_shows_each_balance_and_finds_by_code_and_name(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    owing, rich = house.account("calla", Use(10_000)), house.account("taifl")
    house.top_up(rich, 50_000)
    with database.transaction("jobs") as session:
        onboarding.open_account(session, now=NOW, code="quiet", name="100% Ünïcode_Labs")
    client = browser(staff="viewer")
    rows = {cells[0]: cells[1:] for cells in Page(client.get("/operator/accounts")).rows("accounts")}
    assert rows["calla"][2:] == ["USD 0.00", "USD −100.00", "USD 0.00", "USD −100.00"]
    assert rows["taifl"][2:] == ["USD 500.00", "USD 0.00", "USD 0.00", "USD 500.00"]
    by_balance = [cells[0] for cells in Page(client.get("/operator/accounts?sort=balance")).rows("accounts")]
    assert [name for name in by_balance if name in ("calla", "taifl")] == ["calla", "taifl"]
    falling = [cells[0] for cells in Page(client.get("/operator/accounts?sort=-balance")).rows("accounts")]
    assert falling == by_balance[::-1]
    for text, count in (
        ("ALL", 1),
        ("quiet", 1),
        ("0%", 1),
        ("e_L", 1),
        ("%", 1),
        ("_", 1),
        ("house", 0),
        ("nobody", 0),
    ):
        page = Page(client.get("/operator/accounts", query_string={"q": text}))
        assert ("No account matches" in page.text) == (count == 0), text
        assert count == 0 or len(page.rows("accounts")) == count, text
    for hostile in ("sort=name;DROP", "sort=(select 1)", "page=-1", "page=1e9", "policy=free", "q=%00"):
        page = Page(client.get(f"/operator/accounts?{hostile}"))
        assert page.status == 200
        assert "left out" in page.text or "first one" in page.text
    assert owing != rich


def test_an_account_shows_what_it_owes_burns_and_did(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla", Use(10_000))
    operators.world.issued(database, account_id)
    with database.transaction("jobs") as session:
        plain = onboarding.open_account(session, now=NOW, code="live").id
        allocations.open_allocation(
            session, now=NOW, account_id=plain, event_id="e", external_id="a1", resource="h100x8", name="<i>train</i>",
            shape=Shape(gpus="8", cpu_cores=96), at=NOW - timedelta(hours=1), project_code="vision",
        )  # fmt: skip
    client = browser(staff="viewer")
    page = Page(client.get(f"/operator/accounts/{account_id}"))
    shown = figures(page)
    assert (shown["Balance"], shown["To be paid"]) == ("USD −119.00", "USD 119.00")
    assert page.rows("invoices-table")[0][3:] == ["Issued", "USD 119.00", "USD 119.00"]
    assert "Invoice issued" in page.text
    live = Page(client.get(f"/operator/accounts/{plain}"))
    # 8 GPUs at 2.95 and 96 cores at 0.50 an hour
    assert figures(live)["Running now"] == "USD 71.60"
    assert "<i>train</i>" in live.text
    assert "96 cores, 8 GPUs" in live.text
    with database.reading() as session:
        from billing.accounts import directory

        (seller,) = directory.list_accounts(session, kind="house")
        house_id = seller.id
    for unknown in ("bac_x", house_id, "x" * 200, "%00"):
        assert client.get(f"/operator/accounts/{unknown}").status_code == 404


def test_a_job_that_is_asked_for_runs_at_the_leaders_next_look(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    runner.run_due_jobs(house.services.database, house.services.providers, now=NOW)
    client = browser(staff="maker")
    with database.transaction("jobs") as session:
        leadership.hold(session, now=NOW + timedelta(minutes=1), holder="vm:1")
    url = "/operator/jobs/checkpoints/run"
    sent = token(client, "/operator/jobs")
    locations = {client.post(url, data=sent).headers["Location"] for _ in range(2)}
    assert len(locations) == 1  # asking twice while one waits is one run
    location = locations.pop()
    assert "Waiting for the scheduler" in Page(client.get(location)).text
    assert "Asked" in Page(client.get("/operator/jobs")).text
    outcomes = runner.run_due_jobs(house.services.database, house.services.providers, now=NOW + timedelta(seconds=1))
    assert [outcome.job for outcome in outcomes] == ["checkpoints"]
    done = Page(client.get(location))
    assert "Succeeded" in done.text
    assert not any(element.get("hx-trigger") for element in done.root.iter("div"))
    assert runner.run_due_jobs(house.services.database, house.services.providers, now=NOW + timedelta(seconds=2)) == []


def test_who_may_not_run_jobs_sees_no_button_and_an_unknown_job_is_none(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    viewer, maker = browser(staff="viewer"), browser(staff="maker")
    assert "Run now" not in Page(viewer.get("/operator/jobs")).text
    assert viewer.post("/operator/jobs/rate/run", data=token(viewer, "/operator/jobs")).status_code == 403
    assert "Run now" in Page(maker.get("/operator/jobs")).text
    assert maker.post("/operator/jobs/nonsense/run", data=token(maker, "/operator/jobs")).status_code == 404
    assert maker.get("/operator/jobs/runs/job_none").status_code == 404


def test_runs_that_did_nothing_are_left_out_until_asked_for(browser: Callable[..., FlaskClient], house: House) -> None:
    runner.run_due_jobs(house.services.database, house.services.providers, now=NOW)
    client = browser(staff="viewer")
    busy = Page(client.get("/operator/jobs?job=accrue"))
    assert "No such runs" in busy.text
    idle = Page(client.get("/operator/jobs?job=accrue&idle=yes"))
    assert [cells[1] for cells in idle.rows("runs-table")] == ["accrue"]
    assert "No process leads at the moment" in idle.text
    part = Page(client.get("/operator/jobs?idle=yes", headers={"HX-Request": "true"}), is_partial=True)
    assert [root.get("id") for root in part.root] == ["runs"]
