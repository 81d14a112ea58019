"""Commitments and discounts in the operators' pages, and what the tenant then sees: one word for one figure everywhere."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.catalog.tables import CommitContract
from billing.invoicing import contracts
from billing.invoicing.tables import InvoiceHeader
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import NOW, House, act
from tests.web.pages import Page

AGREED = {"name": "Berlin 2027", "amount": "300.00", "starts_at": "2026-10-01", "ends_at": "2027-10-01"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


def test_a_commitment_is_agreed_sold_drawn_down_and_shown_to_the_tenant(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla", Use(45_000))
    maker, approver = browser(staff="maker"), browser(staff="approver")
    url = f"/operator/accounts/{account_id}/commitments"
    assert "No commitments" in maker.get(url).text
    refused = act(maker, f"{url}/new", **(AGREED | {"ends_at": "2026-09-01"}))
    assert refused.status_code == 422
    assert "It must end after it starts." in refused.text
    agreed = act(maker, f"{url}/new", **AGREED)
    assert agreed.status_code == 303
    again = act(maker, f"{url}/new", **(AGREED | {"name": "Another"}))
    assert again.status_code == 409
    assert "Berlin 2027 runs then for the same charges" in again.text
    waiting = Page(approver.get("/operator/invoice-runs")).rows("sales-table")
    assert [row[:3] for row in waiting] == [["Berlin 2027", "calla", "Draft"]]
    for step in ("approve", "issue"):
        assert act(approver, f"{agreed.location}/{step}").status_code == 303

    draft_id = operators.world.draft(database, account_id)
    for step in ("approve", "issue"):
        assert act(approver, f"/operator/invoices/{draft_id}/{step}").status_code == 303
    moves = [row[1:] for row in Page(maker.get(url)).rows(f"moves-{_contract(database)}")]
    assert moves == [["Sold", "INV-2026-000001", "+300.00"], ["Drawn down", "INV-2026-000002", "−300.00"]]

    tenant = browser("calla")
    row = Page(tenant.get("/plan")).rows("commitments-table")[0]
    assert row[1:4] == ["USD 300.00", "USD 300.00", "USD 0.00"]
    lines = Page(tenant.get("/invoices/INV-2026-000002")).rows("invoice-lines")
    assert [cells[0] for cells in lines[:2]][1].startswith(
        "Commitment Berlin 2027 Paid in advance with invoice INV-2026-000001"
    )
    assert ["Net", "150.00"] in [[cells[0], cells[1]] for cells in lines]


def test_a_discount_given_on_an_approved_draft_is_shown_taken_away_and_waits_for_approval(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    account_id = house.account("calla", Use(10_000))
    draft_id = operators.world.approved(database, account_id)
    maker, url = browser(staff="maker"), f"/operator/invoices/{draft_id}/discount"
    assert "At most" in act(maker, url, amount="100.01", reason="Partner").text
    assert act(maker, url, amount="20.00", reason="Partner").status_code == 303
    page = Page(maker.get(f"/operator/invoices/{draft_id}"))
    assert ["Net", "80.00"] in page.rows("invoice-lines")
    assert _header(database, draft_id) == ("draft", 2_000, 8_000, 1_520)
    assert act(maker, url, taken="Partner").status_code == 303
    assert _header(database, draft_id) == ("draft", 0, 10_000, 1_900)


def _contract(database: Database) -> str:
    with database.reading() as session:
        contract = session.scalars(select(CommitContract)).one()
        assert contracts.get_row(session, now=NOW, contract_id=contract.id).state == "used_up"
        return contract.id


def _header(database: Database, draft_id: str) -> tuple[str, int, int, int]:
    with database.reading() as session:
        header = session.get_one(InvoiceHeader, draft_id)
        return header.state, header.allowance_minor, header.net_minor, header.tax_minor
