"""Invoice runs: drafts beside the month before, approving and issuing one or many, progress that survives, honest refusals."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts import profiles
from billing.accounts.tables import Seller
from billing.invoicing import drafts, invoices
from billing.jobs import runner, works
from billing.jobs.context import JobContext
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import NOW, House, act, figures
from tests.web.pages import Page

SEPTEMBER = operators.NOW.replace(month=9, day=10)
OCTOBER_RUN, SEPTEMBER_RUN = "/operator/invoice-runs/2026-10", "/operator/invoice-runs/2026-09"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    """calla: 100.00 in September, 400.00 in October; taifl: 100.00 and 101.00; gone: 80.00 and nothing."""
    house = House(app, database)
    for code, before, now in (("calla", 10_000, 40_000), ("taifl", 10_000, 10_100), ("gone", 8_000, 0)):
        account_id = house.account(code, Use(before, at=SEPTEMBER), *([Use(now)] if now else []))
        operators.world.issued(database, account_id, period="2026-09")
        if now:
            operators.world.draft(database, account_id)
    return house


def states(database: Database, period: str = "2026-10") -> dict[str, tuple[str, str | None]]:
    """{account: (state, number)}."""
    with database.reading() as session:
        rows = invoices.list_invoices(session, now=NOW, period_label=period, sort="account")
    return {row.account: (row.state, row.number) for row in rows}


def work_off(house: House) -> None:
    """What the scheduler does within seconds."""
    outcome = runner.run_job(house.services.database, house.services.providers, "invoice-batches", now=NOW)
    assert outcome.result == "succeeded", outcome.detail


def test_the_run_shows_totals_changes_outliers_and_who_is_missing(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    client = browser(staff="viewer")
    page = Page(client.get(OCTOBER_RUN))
    rows = {cells[0]: cells[1:] for cells in page.rows("documents-table")}
    assert rows["calla"][:3] == ["Draft", "Draft Risen Outlier", "1"]
    assert rows["calla"][3:] == ["USD 100.00", "USD 400.00", "USD +300.00300%", "USD 476.00"]
    assert rows["taifl"][3:] == ["USD 100.00", "USD 101.00", "USD +1.001%", "USD 120.19"]
    # 501.00 net, 19 % VAT of each; the month before 200.00 of the two that are here
    assert rows["Total"] == ["USD 200.00", "USD 501.00", "USD +301.00", "USD 596.19"]
    assert page.rows("missing-table") == [["gone", "USD 80.00"]]
    assert figures(page)["Outliers"] == "1 document"
    only = Page(client.get(f"{OCTOBER_RUN}?show=outliers"))
    assert [cells[0] for cells in only.rows("documents-table")] == ["calla"]
    months = Page(client.get("/operator/invoice-runs")).rows("months-table")
    assert [cells[0] for cells in months] == ["October 2026", "September 2026"]
    assert months[0][3:6] == ["2", "0", "0"]


def test_many_are_approved_and_issued_with_progress_in_its_own_address(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="approver")
    check = Page(client.get(f"{OCTOBER_RUN}/approve"))
    assert "Approve 2 drafts, USD 596.19" in check.text
    assert "1 outlier is among them" in check.text
    location = act(client, f"{OCTOBER_RUN}/approve", outlier_reason="They train now").headers["Location"]
    waiting = Page(client.get(location))
    assert "0 of 2" in waiting.text
    assert any(element.get("hx-trigger") == "every 2s" for element in waiting.root.iter("div"))
    assert {state for state, _ in states(database).values()} == {"draft"}
    work_off(house)
    done = Page(client.get(location))
    assert "All done" in done.text
    assert not any(element.get("hx-trigger") for element in done.root.iter("div"))
    assert {state for state, _ in states(database).values()} == {"approved"}
    location = act(client, f"{OCTOBER_RUN}/issue").headers["Location"]
    work_off(house)
    assert [cells[2] for cells in Page(client.get(location)).rows("batch-table")] == ["Issued", "Issued"]
    assert states(database) == {"calla": ("issued", "INV-2026-000004"), "taifl": ("issued", "INV-2026-000005")}
    assert client.get(f"{OCTOBER_RUN}/issue").status_code == 303  # nothing is left to issue


def test_the_same_form_sent_twice_is_one_batch(browser: Callable[..., FlaskClient], house: House) -> None:
    client = browser(staff="approver")
    form = Page(client.get(f"{OCTOBER_RUN}/approve")).form_values() | {"outlier_reason": "They train now"}
    locations = {client.post(f"{OCTOBER_RUN}/approve", data=form).headers["Location"] for _ in range(2)}
    assert len(locations) == 1
    work_off(house)
    late = Page(client.get(f"{OCTOBER_RUN}/issue")).form_values()
    assert client.post(f"{OCTOBER_RUN}/approve", data={**late, "ids": form["ids"]}).status_code == 422


def test_a_document_that_is_refused_does_not_hold_up_the_others(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="approver")
    act(client, f"{OCTOBER_RUN}/approve", outlier_reason="They train now")
    work_off(house)
    with database.reading() as session:
        draft = next(
            row for row in invoices.list_invoices(session, now=NOW, period_label="2026-10") if row.account == "calla"
        )
    location = act(client, f"{OCTOBER_RUN}/issue").headers["Location"]
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=draft.id, actor="usr_other")  # voided between the decision and the work
    work_off(house)
    page = Page(client.get(location))
    assert "1 document was refused" in page.text
    results = {cells[0]: cells[2] for cells in page.rows("batch-table")}
    assert results["taifl"] == "Issued"
    assert results["calla"].startswith("Refused")
    assert states(database)["taifl"][0] == "issued"
    assert states(database)["calla"][0] == "void"


def test_one_document_is_checked_approved_and_issued(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="approver")
    url = Page(client.get(OCTOBER_RUN)).links()["Draft"]
    page = Page(client.get(url))
    assert {"Void", "Approve"} <= set(page.links())
    assert "Issue" not in page.links()
    assert "Approve draft of USD" in Page(client.get(f"{url}/approve")).text
    with database.reading() as session:
        outlier = next(
            row for row in invoices.list_invoices(session, now=NOW, period_label="2026-10") if row.account == "calla"
        )
    refused = act(client, f"/operator/invoices/{outlier.id}/approve")
    assert refused.status_code == 422
    assert "say why that is right" in Page(refused).text
    assert act(client, f"{url}/approve").status_code == 303
    assert act(client, f"{url}/issue").status_code == 303
    issued = Page(client.get(url))
    assert issued.h1 == "Invoice INV-2026-000004"
    assert not {"Void", "Approve", "Issue"} & set(issued.links())
    for name in ("approve", "issue", "void"):
        assert client.get(f"{url}/{name}").status_code == 303  # there is nothing left to check
    assert sorted(state for state, _ in states(database).values()) == ["draft", "issued"]


def test_an_outdated_draft_is_refused_with_the_way_out(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="approver")
    url = Page(client.get(OCTOBER_RUN)).links()["Draft"]
    act(client, f"{url}/approve", outlier_reason="They train now")
    with database.reading() as session:
        found = invoices.get_invoice(session, now=NOW, key=url.rpartition("/")[2])
    with database.transaction() as session:
        moved = replace(operators.world.GERMANY, country="US", city="Boston", postcode="02210")
        profiles.update_profile(session, now=NOW, account_id=found.row.account_id, facts=moved)
    answer = act(client, f"{url}/issue")
    assert answer.status_code == 409
    assert "void it and generate it again" in Page(answer).text
    assert act(client, f"{url}/void").status_code == 303


def test_a_month_that_is_none_does_not_exist_and_an_empty_one_says_so(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    client = browser(staff="viewer")
    for period in ("2026-13", "x", "2026-1", "%00", "2026-10-01", "20261"):
        assert client.get(f"/operator/invoice-runs/{period}").status_code == 404, period
    assert "No documents in this month" in Page(client.get("/operator/invoice-runs/2031-01")).text


def test_a_draft_is_reviewed_and_the_page_says_by_whom(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="approver")
    url = Page(client.get(OCTOBER_RUN)).links()["Draft"]
    assert client.post(f"{url}/review", data=Page(client.get(url)).form_values()).status_code == 303
    page = Page(client.get(url))
    assert "In review" in page.text
    assert "Review begun" in page.text
    assert states(database)["taifl"][0] == "in_review"
    assert Page(client.get(f"{OCTOBER_RUN}?show=in_review")).rows("documents-table")[0][0] == "taifl"


def test_a_dry_run_has_an_address_with_progress_and_stays_with_its_reasons(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    with database.transaction() as session:
        for row in invoices.list_invoices(session, now=NOW, period_label="2026-10"):
            drafts.void(session, now=NOW, draft_id=row.id, actor="usr_x")
    client = browser(staff="approver")
    form = Page(client.get(OCTOBER_RUN)).form_values()
    location = client.post(f"{OCTOBER_RUN}/dry-runs", data=form).headers["Location"]
    assert "Waiting" in Page(client.get(location)).text
    works.do_waiting(JobContext(database=database, providers={}, now=NOW))
    page = Page(client.get(location))
    rows = {cells[0]: cells[1:] for cells in page.rows("dry-run-table")}
    assert rows["calla"][0].startswith("Invoice Risen Outlier")
    assert rows["gone"][0] == "Missing"
    assert figures(page)["Outliers"] == "1 account"
    only = Page(client.get(f"{location}?show=missing")).rows("dry-run-table")
    assert [cells[0] for cells in only] == ["gone"]
    text = client.get(f"{location}.csv").get_data(as_text=True)
    assert len(text.strip().splitlines()) == 4
    assert {state for state, _ in states(database).values()} == {"void"}
    assert client.get(location.replace("2026-10", "2026-09")).status_code == 404


def test_parties_are_corrected_after_both_documents_were_checked(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    with database.reading() as session:
        old = next(
            row for row in invoices.list_invoices(session, now=NOW, period_label="2026-09") if row.account == "calla"
        )
    client, url = browser(staff="approver"), f"/operator/invoices/{old.id}"
    assert "Neither the parties nor the tax" in Page(client.get(f"{url}/correct")).text
    with database.transaction() as session:
        moved = replace(operators.world.GERMANY, legal_name="Calla Labs SE")
        profiles.update_profile(session, now=NOW, account_id=old.account_id, facts=moved)
    page = Page(client.get(f"{url}/correct"))
    assert "Credit USD 119.00 and bill USD 119.00" in page.text
    assert page.rows("compare-table")[0][2].startswith("Calla Labs SE")
    form = page.form_values()
    assert client.post(f"{url}/correct", data={**form, "reason": "New name"}).status_code == 422  # not ticked
    done = client.post(f"{url}/correct", data={**form, "reason": "New name", "checked": "y"})
    assert done.status_code == 303
    assert Page(client.get(done.headers["Location"])).h1 == "Invoice INV-2026-000004"
    again = client.post(f"{url}/correct", data={**form, "reason": "New name", "checked": "y"})
    assert again.status_code == 409


def test_a_credit_note_is_checked_before_it_is_issued_by_amount_by_line_and_whole(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    with database.reading() as session:
        old = next(
            row for row in invoices.list_invoices(session, now=NOW, period_label="2026-09") if row.account == "calla"
        )
    client, url = browser(staff="approver"), f"/operator/invoices/{old.id}/credit"
    form = Page(client.get(url)).form_values()
    assert client.post(url, data={**form, "way": "amount", "amount": "x", "reason": "r"}).status_code == 422
    assert client.post(url, data={**form, "way": "lines", "reason": "r"}).status_code == 422
    numbers = []
    for given in ({"way": "amount", "amount": "11.90"}, {"way": "lines", "line-1": "20.00"}, {"way": "full"}):
        check = Page(client.post(url, data={**form, **given, "reason": "Outage"}))
        assert check.h1 == "Check the credit note"
        done = client.post(url, data=check.form_values())
        numbers.append(Page(client.get(done.headers["Location"])).h1)
    assert numbers == [f"Credit note CN-2026-{n:06d}" for n in (1, 2, 3)]
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=old.id).row.state == "credited"


def test_grace_and_own_terms_are_set_and_wrong_ones_refused(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="admin")
    form = Page(client.get("/operator/invoice-runs/grace")).form_values()
    with database.reading() as session:
        form["seller"] = str(session.scalars(select(Seller.id)).one())
    for hours, status in (("-1", 422), ("x", 422), ("337", 422), ("48", 303)):
        answer = client.post("/operator/invoice-runs/grace", data={**form, "hours": hours})
        assert answer.status_code == status, hours
    assert Page(client.get("/operator/invoice-runs")).rows("grace-table")[0][1] == "48"
    url = Page(client.get(OCTOBER_RUN)).links()["calla"] + "/payment-terms"
    form = Page(client.get(url)).form_values()
    for days, status in (("366", 422), ("45", 303)):
        assert client.post(url, data={**form, "days": days}).status_code == status
    assert Page(client.get(url)).form_values()["days"] == "45"
