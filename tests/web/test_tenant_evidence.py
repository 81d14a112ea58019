"""Usage records, trends and costs as files: what a tenant walks from a figure to what caused it."""

import csv
import io
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.storage.database import Database
from tests.service.rating import test_days
from tests.web import operators, tenants
from tests.web.pages import Page, words
from tests.web.tenants import OCTOBER_5, Lived

HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


@pytest.fixture
def client(calla: Lived, browser: Callable[..., FlaskClient]) -> FlaskClient:
    return browser("calla")


def links(page: Page) -> dict[str, str]:
    return {words(link): link.get("href", "") for link in page.root.iter("a")}


def test_a_record_shows_its_attribution_and_leads_to_its_line_and_back(calla: Lived, client: FlaskClient) -> None:
    listed = Page(client.get("/usage/records?period=2026-10&project=vision"))
    assert [row[0] for row in listed.rows("records")] == ["CPU time rack/1"]
    url = f"/usage/records/{calla.record_ids()[0]}"
    assert url in links(listed).values()
    page = Page(client.get(url))
    assert operators.figures(page)["Quantity"] == "72 core-hours"
    line_url = f"/rated-lines/{calla.line_ids()[0]}"
    assert line_url in links(page).values()
    assert url in links(Page(client.get(line_url))).values()
    assert "Nothing corrects this record" in page.text
    question = links(page)["Question this record"]
    assert question.startswith("mailto:")
    assert f"usage%20record%20{calla.record_ids()[0]}" in question


def test_a_correction_is_explained_on_both_sides(calla: Lived, client: FlaskClient) -> None:
    first = calla.record_ids()[0]
    facts = {"project": "vision", "corrects": first}
    second = test_days.window(calla.database, calla.account_id, 1, -HOUR_MS, OCTOBER_5, **facts)
    page = Page(client.get(f"/usage/records/{second}"))
    assert "takes back what was reported too much" in page.text
    assert f"/usage/records/{first}" in links(page).values()
    assert [row[0] for row in Page(client.get(f"/usage/records/{first}")).rows("correction-list")] == [second]
    line = Page(client.get(f"/rated-lines/{calla.line_ids()[-1]}"))
    assert "takes back what was reported too much" in line.text
    assert "It came after October 2026 was invoiced" in line.text


def test_twelve_months_are_those_of_the_months_pages(client: FlaskClient) -> None:
    page = Page(client.get("/usage/trends?group=project"))
    assert operators.figures(page) == {
        "Twelve months": "USD 51.43",
        "October 2026": "USD 45.83",
        "November 2026 so far": "USD 5.60",
    }
    rows = {row[0]: row[1:4] for row in page.rows("trend-list")}
    assert rows["vision"] == ["41.60", "5.60", "36.00"]
    assert rows["Total"] == ["51.43", "5.60", "45.83"]
    only = Page(client.get("/usage/trends?item=compute/gpu_hour&group=resource"))
    assert operators.figures(only)["Twelve months"] == "USD 9.83"
    assert "Nothing was used in these months" in Page(client.get("/usage/trends?project=nobody")).text


def test_costs_as_a_file_are_the_table_of_the_page(client: FlaskClient) -> None:
    answer = client.get("/usage/cost.csv?period=2026-10&group=project&by=month")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [(row["period"], row["project"], row["currency"], row["amount"]) for row in rows] == [
        ("2026-10", "vision", "USD", "36"),
        ("2026-10", "planning", "USD", "9.83"),
    ]


def test_the_business_page_ties_to_the_ledger(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    test_days.rolled(calla.database, calla.account_id)
    staff = browser(staff="approver")
    page = Page(staff.get("/operator/business"))
    assert operators.figures(page)["Active tenants"] == "1"
    assert page.rows("revenue-list")[-1][:4] == ["Total", "51.43", "5.60", "45.83"]
    assert "the same as the revenue accounts of the trial balance" in page.text
    assert page.rows("month-list")[1] == ["October 2026", "1", "2", "0", "0", "0", "1"]
    rows = list(csv.DictReader(io.StringIO(staff.get("/operator/business.csv").get_data(as_text=True))))
    assert {(row["month"], row["value"]) for row in rows if row["figure"] == "revenue"} == {
        ("2026-10", "45.83"),
        ("2026-11", "5.6"),
    }
