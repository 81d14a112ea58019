"""Budgets on their pages: set, changed, refused in words, and shown with what was crossed."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.controls import budgets
from billing.controls.budgets import BudgetRow
from billing.notices import relay
from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.pages import Page
from tests.web.tenants import Lived

REFUSED = [
    ({"name": ""}, 422, "Give the budget a name."),
    ({"name": "Compute <i>all</i>"}, 409, "There is an active budget of this name already."),
    ({"name": "up\u202edown"}, 422, None),
    ({"amount": "0"}, 422, "Enter an amount above zero."),
    ({"amount": "ten"}, 422, "The amount cannot be read"),
    ({"thresholds": "half"}, 422, "Thresholds are one to ten percentages"),
    ({"thresholds": "0"}, 422, "Thresholds are one to ten percentages"),
    ({"project": "prj_of_someone_else"}, 422, "Not a valid choice."),
]


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


@pytest.fixture
def client(calla: Lived, browser: Callable[..., FlaskClient]) -> FlaskClient:
    return browser("calla")


def kept(calla: Lived) -> list[BudgetRow]:
    with calla.database.reading() as session:
        return budgets.list_budgets(session, now=operators.NOW, account_id=calla.account_id)


def test_a_budget_shows_its_bar_its_thresholds_and_what_was_crossed(calla: Lived, client: FlaskClient) -> None:
    page = Page(client.get(f"/budgets/{calla.budget_id}"))
    assert page.rows("threshold-list") == [
        ["50%", "Reached", "5.00"],
        ["80%", "Not reached", "8.00"],
        ["100%", "Not reached", "10.00"],
    ]
    assert [(row[0], row[1], row[4], row[5]) for row in page.rows("events")] == [
        ("November 2026", "50%", "1 time", "USD 5.60")
    ]
    assert "USD 5.60 of USD 10.00" in page.text
    relay.deliver_due(calla.database, now=operators.NOW)
    assert "Budget “Compute <i>all</i>” reached 50%" in Page(client.get("/")).text


def test_a_budget_for_a_project_is_set_and_changed(calla: Lived, client: FlaskClient) -> None:
    form = Page(client.get("/budgets/new"))
    project = next(option.get("value", "") for option in form.root.iter("option") if "vision" in (option.text or ""))
    answer = client.post(
        "/budgets/new",
        data=form.form_values()
        | {"name": "Vision 🚀", "amount": "20", "project": project, "thresholds": "80, 25 , 25%"},
    )
    made = next(row for row in kept(calla) if row.name == "Vision 🚀")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/budgets/{made.id}")
    assert (made.amount_minor, made.project_code, made.spent_minor) == (2_000, "vision", 560)
    assert (made.thresholds_percent, made.reached_percent) == ((25, 80), (25,))
    edit = Page(client.get(f"/budgets/{made.id}/edit"))
    values = edit.form_values() | {"amount": "5.00"}
    assert (values["name"], values["thresholds"]) == ("Vision 🚀", "25, 80")
    assert client.post(f"/budgets/{made.id}/edit", data=values).status_code == 303  # the box "watch" is not ticked
    changed = next(row for row in kept(calla) if row.id == made.id)
    assert (changed.amount_minor, changed.is_active, changed.project_code) == (500, False, "vision")
    assert "Not watched" in Page(client.get(f"/budgets/{made.id}")).text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_budget_that_cannot_be_is_refused_and_what_was_typed_is_kept(calla: Lived, client: FlaskClient) -> None:
    for changes, status, sentence in REFUSED:
        values = Page(client.get("/budgets/new")).form_values()
        values |= {"name": "Another", "amount": "20.00", "project": "account", "thresholds": "50"} | changes
        page = Page(client.post("/budgets/new", data=values))
        assert (page.status, sentence is None or sentence in page.text) == (status, True), changes
        assert page.form_values()["thresholds"] == values["thresholds"]
        assert "There is a problem" in page.text
        assert len(kept(calla)) == 1


def test_another_tenants_budget_does_not_exist(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    stranger = browser("stranger")
    for url in (f"/budgets/{calla.budget_id}", f"/budgets/{calla.budget_id}/edit"):
        assert stranger.get(url).status_code == 404
    form = Page(stranger.get("/budgets/new")).form_values()
    answer = stranger.post(
        f"/budgets/{calla.budget_id}/edit", data=form | {"name": "Mine", "amount": "1", "thresholds": "50"}
    )
    assert answer.status_code == 404
    assert kept(calla)[0].name == "Compute <i>all</i>"
