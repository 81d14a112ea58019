"""Shadow ratings from page, command line and API: asked for, done, read with totals, distribution, movers and every account."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import keys
from billing.catalog import trials
from billing.jobs import runner
from billing.storage.database import Database, DatabaseUrls
from portal.cli import context, main
from tests.service.rating import world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import Machine, problem
from tests.web.pages import Page

NOW = operators.NOW
BOOK = (
    'code = "default"\nname = "Default"\ncurrency = "USD"\nvalid_from = 2027-01-01T00:00:00Z\n'
    '[[prices]]\nsku = "analytics/query"\nmodel = "per_unit"\nunit_price = "0.013"\n'
)
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture(autouse=True)
def command_line() -> Iterator[None]:
    """Commands of this test open its own database."""
    context.database.cache_clear()
    yield
    context.database.cache_clear()


@pytest.fixture
def used(database: Database) -> str:
    """1,000 queries at one cent in October: 10.00 charged, 13.00 with the candidate."""
    account_id = world.open_account(database)
    world.use(database, account_id, Use(600), Use(400))
    world.rate(database, account_id)
    return account_id


def sent(page: Page, **changes: str) -> dict[str, str]:
    fields = {"from_on": "2026-10-01", "to_on": "2026-10-31", "text": BOOK, "book": "", "accounts": "", "rows": "1000"}
    limits = {"total_percent": "5", "account_percent": "20"}
    return page.form_values() | fields | limits | changes


def test_a_shadow_rating_is_asked_for_done_and_read(
    used: str, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    client = browser(staff="maker")
    form = Page(client.get("/operator/shadow-ratings/new"))
    answer = client.post("/operator/shadow-ratings/new", data=sent(form))
    assert answer.status_code == 303
    again = client.post("/operator/shadow-ratings/new", data=sent(form))
    assert again.location == answer.location
    assert "Waiting to begin" in client.get(answer.location).get_data(as_text=True)
    runner.run_job(database, {}, "works", now=NOW)
    done = client.get(answer.location).get_data(as_text=True)
    assert "See the result" in done
    with database.reading("jobs") as session:
        (trial,) = trials.list_trials(session)
    shown = client.get(f"/operator/shadow-ratings/{trial.id}").get_data(as_text=True)
    for words in ("10.00", "13.00", "3.00", "30.00", "Outside its limits", "Distribution", "analytics/query"):
        assert words in shown, words
    rows = client.get(f"/operator/shadow-ratings/{trial.id}.csv").get_data(as_text=True).splitlines()
    assert rows[1] == "acme,acme,USD,2,1000,1300,300,30,no"
    outside = client.get(f"/operator/shadow-ratings/{trial.id}?show=outside&sort=-percent").get_data(as_text=True)
    assert "acme" in outside
    assert trial.id in client.get("/operator/shadow-ratings").get_data(as_text=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "nonsense ["}, "cannot be read as TOML"),
        ({"text": ""}, "Choose a version or paste a price book"),
        ({"to_on": "2026-09-01"}, "must end after it begins"),
        ({"accounts": "nobody"}, "There is no billing account nobody"),
        ({"total_percent": "-5"}, "is not a percentage"),
        ({"rows": "0"}, "A whole number from 1"),
    ],
)
def test_what_cannot_be_tried_keeps_the_form_with_a_sentence(
    used: str, browser: Callable[..., FlaskClient], changes: dict[str, str], words: str
) -> None:
    client = browser(staff="maker")
    form = Page(client.get("/operator/shadow-ratings/new"))
    answer = client.post("/operator/shadow-ratings/new", data=sent(form, **changes))
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert words in text
    assert "2026-10-01" in text


def test_the_command_prints_both_sides_and_keeps_the_trial(
    used: str, database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    file = tmp_path / "book.toml"
    file.write_text(BOOK)
    asked = ["shadow-rate", "--prices", str(file), "--from", "2026-10-01", "--to", "2026-11-01", "--format", "json"]
    done = CliRunner().invoke(main, asked, env={"DATABASE_URL": database_urls.web})
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["rows"], found["is_whole"], found["is_inside"]) == (2, True, False)
    assert (found["ledger_writes"], found["rated_usage_writes"]) == (False, False)
    (total,) = found["totals"]
    assert (total["current_minor"], total["candidate_minor"], total["delta_percent"]) == (
        "1000.000000",
        "1300.000000",
        "30.00",
    )
    with database.reading("jobs") as session:
        assert [trial.id for trial in trials.list_trials(session)] == [found["trial"]]
    missing = CliRunner().invoke(main, [*asked, "--account", "nobody"], env={"DATABASE_URL": database_urls.web})
    assert (missing.exit_code, "Traceback" in missing.output) == (1, False)


def test_a_finance_machine_tries_prices_and_reads_the_trial(used: str, app: Flask, database: Database) -> None:
    with database.transaction("jobs") as session:
        _, key = keys.create_key(
            session, now=NOW, tenant_id=None, label="finance", scopes=["finance.read", "finance.run"]
        )
    machine = Machine(app.test_client(), key)
    body = {"prices": BOOK, "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
    answer = machine.post("/admin/billing/shadow-rating", body, Idempotency_Key="one")
    assert answer.status_code == 201, answer.get_data(as_text=True)
    found = answer.json
    assert (found["ledger_writes"], found["rated_usage_writes"], found["is_inside"]) == (False, False, False)
    assert found["totals"][0]["delta_minor"] == "300.000000"
    again = machine.post("/admin/billing/shadow-rating", body, Idempotency_Key="one")
    assert again.headers["Idempotency-Replayed"] == "true"
    read = machine.get(f"/admin/billing/shadow-rating/{found['id']}")
    assert (read.status_code, read.json["top_movers"][0]["key"]) == (200, found["top_movers"][0]["key"])
    assert problem(machine.get("/admin/billing/shadow-rating/ptr_none"))[0] == 404
    ever = body | {"from": "0001-01-01T00:00:00Z"}
    refused = machine.post("/admin/billing/shadow-rating", ever, Idempotency_Key="ever")
    assert problem(refused) == (422, "invalid", "not_an_instant")
    assert (
        problem(machine.post("/admin/billing/shadow-rating", {**body, "to": body["from"]}, Idempotency_Key="2"))[0]
        == 422
    )
