"""Operators read the ledger by account, close months, take the journal along, and look after what differs."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts import heads, users
from billing.assurance import reconciliation, reconciliation_findings
from billing.assurance.reconciliation_findings import Filters, FindingRow
from billing.assurance.reconciliation_tally import Scope, Stage
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger import periods, promos
from billing.storage.database import Database
from tests.service.invoicing import world as invoicing_world
from tests.service.ledger.books import entry, post
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import NOW, House, figures
from tests.web.pages import Page


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def account_id(app: Flask, database: Database) -> str:
    """10,000 queries at 0.01 in October, invoiced with 19 % VAT; 25.00 paid in."""
    house = House(app, database)
    account_id = house.account("calla", Use(10_000))
    house.top_up(account_id, 2_500)
    invoicing_world.issued(database, account_id)
    return account_id


def _found(database: Database, account_id: str) -> FindingRow:
    """A difference that a run has just found."""
    stage = Stage(name="settlements", looked=7)
    stage.differ(
        ("billing_account", account_id), "Took 1.00 USD off", account=account_id, currency="USD", ledger_minor=100
    )
    comparison = reconciliation.Comparison(scope=Scope(now=NOW - timedelta(days=3)), stages=(stage,))
    with database.transaction("jobs") as session:
        reconciliation.record(session, now=NOW, comparison=comparison, actor="job:reconcile")
        return reconciliation_findings.list_findings(session, Filters())[0]


def _send(client: FlaskClient, page: str, action: str, **values: str) -> int:
    token = Page(client.get(page)).csrf_token
    return client.post(action, data={"csrf_token": token, "form_key": "k1", **values}).status_code


def test_the_ledger_shows_every_account_with_its_number_and_the_zero_proof(
    browser: Callable[..., FlaskClient], account_id: str
) -> None:
    client = browser(staff="viewer")
    rows = {cells[0]: cells[1:] for cells in Page(client.get("/operator/ledger")).rows("trial-USD")}
    assert rows["Wallet"] == ["2000", "0.00", "0.00"]
    assert rows["Open invoices"] == ["1100", "94.00", "0.00"]
    assert rows["Revenue, analytics"] == ["4000-analytics", "0.00", "100.00"]
    assert rows["Debits less credits"][0] == "Balanced"
    assert rows["Sum"][1] == rows["Sum"][2]
    then = Page(client.get("/operator/ledger?at=2016-01-01T00:00"))
    assert "Nothing stood in the books then" in then.text
    odd = Page(client.get("/operator/ledger?at=yesterday&seller=none"))
    assert "could not be read" in odd.text


def test_from_an_account_one_comes_to_its_entries_and_from_an_entry_to_its_cause(
    browser: Callable[..., FlaskClient], account_id: str
) -> None:
    client = browser(staff="viewer")
    holders = Page(client.get("/operator/ledger/holders/USD/receivable"))
    assert holders.rows("holder-table")[0][2] == "−94.00"
    entries = Page(client.get(f"/operator/ledger/entries/{account_id}/USD/receivable"))
    assert [cells[5] for cells in entries.rows("entry-table")] == ["+25.00", "−19.00", "−100.00"]
    tax = Page(client.get(f"/operator/ledger/entries/{account_id}/USD/receivable?kind=tax"))
    assert [cells[5] for cells in tax.rows("entry-table")] == ["−19.00"]
    none = Page(client.get("/operator/ledger/entries/house/USD/revenue:analytics?account=nobody&from=2031-01-01"))
    assert "There is no account of that code" in none.text
    assert "No entries here" in none.text
    assert client.get("/operator/ledger/entries/house/USD/piggy_bank").status_code == 404
    assert client.get("/operator/ledger/holders/USD/piggy_bank").status_code == 404
    for code in ("XXX", "usd", "WALLET"):
        assert client.get(f"/operator/ledger/holders/{code}/wallet").status_code == 404
    assert client.get("/operator/ledger/transactions/txn_none").status_code == 404


def test_a_month_is_closed_by_one_and_opened_again_by_two(
    browser: Callable[..., FlaskClient], account_id: str, database: Database
) -> None:
    closer = browser(staff="approver")
    page = Page(closer.get("/operator/ledger/months/house/2026-10/close"))
    assert {cells[0]: cells[2] for cells in page.rows("check-table")}["Currencies out of balance"] == "In order"
    assert (
        _send(closer, "/operator/ledger/months/house/2026-10/close", "/operator/ledger/months/house/2026-10/close")
        == 303
    )
    with database.reading() as session:
        assert {row.month: row.state for row in periods.list_periods(session)}["2026-10"] == "closed"
    maker = browser(staff="maker")
    months = Page(maker.get("/operator/ledger/months"))
    assert months.rows("month-table")[1][:3] == ["October 2026", "Plumbline Cloud Ltd", "Closed"]
    reopen = "/operator/ledger/months/house/2026-10/reopen"
    assert _send(maker, reopen, reopen, reason="") == 422
    assert _send(maker, reopen, reopen, reason="a late bank statement") == 303
    with database.reading() as session:
        assert {row.month: row.state for row in periods.list_periods(session)}["2026-10"] == "closed"
    running = "/operator/ledger/months/house/2026-11/close"
    assert _send(closer, running, running) == 409
    assert maker.get("/operator/ledger/months/house/2026-10/close").status_code == 403


def test_the_months_journal_is_taken_along_with_its_manifest(
    browser: Callable[..., FlaskClient], account_id: str
) -> None:
    client = browser(staff="viewer")
    file = client.get("/operator/ledger/months/house/2026-11/journal.csv")
    assert file.headers["Content-Disposition"] == "attachment; filename=journal-house-2026-11.csv"
    lines = file.get_data(as_text=True).splitlines()
    manifest = client.get("/operator/ledger/months/house/2026-11/journal.manifest.json").json
    assert manifest["count"] == len(lines) - 1
    assert manifest["sums"]["USD"]["debit_minor"] == manifest["sums"]["USD"]["credit_minor"] > 0
    assert client.get("/operator/ledger/months/house/2031-01/journal.csv").status_code == 404


def test_nothing_differs_says_so_and_comparing_is_asked_for_once(
    browser: Callable[..., FlaskClient], account_id: str
) -> None:
    client = browser(staff="maker")
    page = Page(client.get("/operator/reconciliation"))
    assert "Nothing differs" in page.text
    assert figures(page)["Last run"] == "Never"
    url = "/operator/reconciliation"
    first = client.post(f"{url}/compare", data={"csrf_token": page.csrf_token, "form_key": "a", "period": "2026-10"})
    again = client.post(f"{url}/compare", data={"csrf_token": page.csrf_token, "form_key": "a", "period": "2026-10"})
    assert first.status_code == 303
    assert first.location == again.location
    assert _send(client, url, f"{url}/compare", form_key="b", period="2026-13") == 422
    assert browser(staff="viewer").post(f"{url}/compare").status_code in (400, 403)


def test_a_difference_is_given_to_somebody_and_explained(
    browser: Callable[..., FlaskClient], account_id: str, database: Database
) -> None:
    finding = _found(database, account_id)
    client = browser(staff="maker")
    listed = Page(client.get("/operator/reconciliation?stage=settlements&owner=nobody&account=calla"))
    assert listed.rows("finding-table")[0][1:6] == ["calla", "–USD", "Open", "Nobody yet", "3 days"]
    desk = Page(client.get("/operator"))
    assert [cells[1] for cells in desk.rows("queues-table") if cells[0].startswith("Differences")] == ["1"]
    own = f"/operator/reconciliation/findings/{finding.id}"
    assert "USD 1.00" in Page(client.get(own)).text
    with database.reading() as session:
        person = users.find_user_by_login(session, "maker@staff.example")
    owner = person.id if person is not None else ""
    assert _send(client, own, f"{own}/assign", owner="usr_none") == 422
    assert _send(client, own, f"{own}/explain", explanation=" ") == 422
    assert _send(client, own, f"{own}/explain", explanation="The bank was late") == 303
    shown = Page(client.get(own))
    assert "The bank was late" in shown.text
    assert "Explained" in shown.text
    assert owner == "" or _send(client, own, f"{own}/assign", owner=owner) == 303
    assert browser(staff="viewer").post(f"{own}/explain").status_code in (400, 403)
    assert client.get("/operator/reconciliation/findings/rcf_none").status_code == 404
    assert client.get("/operator/reconciliation/runs/rcr_none").status_code == 404
    assert Page(client.get(f"/operator/reconciliation/runs/{finding.last_run_id}")).h1 == "Run of reconciliation"
    assert Page(client.get("/operator/reconciliation/runs")).rows("run-table")


def test_a_tenant_sees_a_gift_with_its_end_and_an_operator_sees_what_the_write_off_asks(
    browser: Callable[..., FlaskClient], account_id: str, database: Database
) -> None:
    with database.transaction("jobs") as session:
        promos.grant(
            session,
            now=NOW,
            head=heads.lock_one(session, account_id),
            kind="promo_grant",
            amount=Money(minor=700, currency="USD"),
            reason="Launch week",
            actor="test",
            source_type="campaign",
            source_id="c1",
            expires_at=NOW + timedelta(days=30),
        )
    tenant = browser("calla")
    page = Page(tenant.get("/balance"))
    assert page.rows("gift-table")[0][0] == "Launch week"
    assert page.rows("gift-table")[0][2:] == ["USD 7.00", "USD 7.00"]
    statement = tenant.get("/balance/statement.csv?kind=promo_grant").get_data(as_text=True).splitlines()
    assert len(statement) == 2
    assert "Launch week" in statement[1]
    maker = browser(staff="maker")
    with database.reading() as session:
        invoice_id = session.scalars(select(InvoiceHeader.id)).one()
    url = f"/operator/invoices/{invoice_id}/write-off"
    assert _send(maker, url, url, amount="94.01", reason="insolvent") == 409
    assert _send(maker, url, url, amount="nine", reason="") == 422
    asked = maker.post(
        url,
        data={
            "csrf_token": Page(maker.get(url)).csrf_token,
            "form_key": "w",
            "amount": "94.00",
            "with_tax": "y",
            "reason": "insolvent",
        },
    )
    assert asked.status_code == 303
    shown = Page(browser(staff="approver").get(asked.location))
    assert "Write-off of an invoice" in shown.text
    assert "is claimed back in its share" in shown.text


def test_a_wallet_below_zero_leads_from_the_accounts_page_to_its_write_off(
    browser: Callable[..., FlaskClient], account_id: str, database: Database
) -> None:
    client, url = browser(staff="maker"), f"/operator/accounts/{account_id}"
    assert "Write off the wallet" not in Page(client.get(url)).text
    with database.transaction("jobs") as session:
        post(session, account_id, "t9", entry("adjustment", "wallet", "promo_expense", 10_000))
    assert f'href="{url}/write-off"' in Page(client.get(url)).html
    assert Page(client.get(f"{url}/write-off")).h1 == "Write off the wallet"
    assert "Write off the wallet" not in Page(browser(staff="viewer").get(url)).text


def test_a_tenant_of_many_projects_sees_the_small_ones_summed_in_the_chart_and_its_table(
    app: Flask, browser: Callable[..., FlaskClient], database: Database
) -> None:
    House(app, database).account("maple", *(Use(100 * n, project=f"p{n:02}") for n in range(1, 13)))
    page = Page(browser("maple").get("/usage?period=2026-10&group=project"))
    assert page.status == 200
    assert "Other" in page.text
    assert "78.00" in page.text  # 7,800 queries at 0.01
