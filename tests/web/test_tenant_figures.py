"""The figures on a tenant's pages are those of the books; the expected ones are worked by hand in tests/web/tenants.py."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.ledger import balances
from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.pages import Page, words
from tests.web.tenants import Lived

NARROWED = [
    ("/usage", "USD 5.60", ["Memory compute/memory_gb_hour", "CPU time compute/cpu_hour"]),
    ("/usage?period=2026-10&group=project", "USD 45.83", ["vision", "planning"]),
    ("/usage?period=2026-10&group=resource", "USD 45.83", ["rack/1", "rack/2"]),
    ("/usage?from=2026-10-05&to=2026-10-05", "USD 24.00", ["CPU time compute/cpu_hour"]),
    (
        "/usage?from=2026-10-06&to=2026-10-20&by=hour",
        "USD 21.83",
        ["CPU time compute/cpu_hour", "GPU time compute/gpu_hour"],
    ),
    ("/usage?period=2026-10&project=vision", "USD 36.00", ["CPU time compute/cpu_hour"]),
    ("/usage?period=2026-10&item=compute/gpu_hour&group=project", "USD 9.83", ["planning"]),
    ("/usage?period=2026-10&resource=rack/2", "USD 9.83", ["GPU time compute/gpu_hour"]),
    (
        "/usage?from=2026-09-01&to=2026-11-30&by=month",
        "USD 51.43",
        ["CPU time compute/cpu_hour", "GPU time compute/gpu_hour", "Memory compute/memory_gb_hour"],
    ),
]

NOTICED = [
    ("/usage?by=century", "There is no step “century”"),
    ("/usage?from=2026-13-01", "is not a date"),
    ("/usage?from=2026-10-09&to=2026-10-01", "The first day lies behind the last one"),
    ("/usage?period=soon", "not a month"),
    ("/usage?by=hour&from=2026-01-01&to=2026-12-31", "too many days"),
    ("/usage?service=nothing", "There is no such service"),
    ("/usage?item=nothing/here", "There is no such item"),
    ("/usage?tag=team", "A tag is written as its key"),
    ("/usage?page=-1", "There is no such page"),
    ("/usage?project=%00", "could not be read"),
    ("/rated-lines?sort=colour", "cannot be sorted by"),
    ("/rated-lines?page=x", "There is no such page"),
    ("/invoices?state=lost", "There is no state “lost”"),
    ("/balance?before=soon", "There is no such place"),
    ("/refunds?state=lost", "There is no state “lost”"),
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


def test_the_overview_says_how_things_stand(client: FlaskClient) -> None:
    page = Page(client.get("/"))
    assert operators.figures(page) == {
        "Balance": "USD 39.86",
        "Available": "USD 38.80",
        "November 2026 so far": "USD 5.60",
        "Running now, per hour": "USD 2.80",
    }
    assert "USD 45.83 in October 2026" in page.text
    assert page.rows("running-list")[-1] == ["Each hour", "2.80"]
    assert page.rows("running-list")[0][2] == "4 cores, 8 GiB"
    assert [row[-1] for row in page.rows("open-list")] == ["USD 54.54"]
    assert "As of 21 Nov 2026, 12:" in page.text
    assert "56% of November 2026" in page.text
    assert "Budget “Compute <i>all</i>” reached 50%" not in page.text  # not delivered yet


def test_the_balance_page_is_the_ledger(calla: Lived, client: FlaskClient) -> None:
    page = Page(client.get("/balance"))
    with calla.database.reading() as session:
        held = balances.of_account(session, calla.account_id)[0]
    assert (held.balance_minor, held.wallet_minor, held.unbilled_minor, held.receivable_minor) == (
        3986,
        10000,
        -560,
        -5454,
    )
    assert operators.figures(page) == {
        "Balance": "USD 39.86",
        "Wallet": "USD 100.00",
        "Usage not invoiced yet": "USD −5.60",
        "Open invoices": "USD −54.54",
    }
    rows = page.rows("movements")
    assert [(row[0], *row[3:]) for row in rows] == [
        ("Payment received", "+100.00", "39.86"),
        ("Usage", "−5.60", "−60.14"),
        ("Invoice issued", "−8.71", "−54.54"),
        ("Usage", "−45.83", "−45.83"),
    ]


def test_explained_the_balance_adds_up(client: FlaskClient) -> None:
    rows = Page(client.get("/balance/explain?from=2026-01-01&to=2026-12-31")).rows("explained-USD")
    assert [(row[0], row[2]) for row in rows] == [
        ("Opening balance", "0.00"),
        ("Usage", "−51.43"),
        ("Moved from unbilled usage to the invoice", "0.00"),
        ("VAT on the invoice", "−8.71"),
        ("Payment", "+100.00"),
        ("Closing balance", "39.86"),
    ]


def test_a_transaction_shows_its_entries_both_sides_and_its_place_in_the_chain(
    calla: Lived, client: FlaskClient
) -> None:
    page = Page(client.get(f"/balance/{calla.invoice.transaction_id}"))
    assert operators.figures(page) == {
        "Balance before": "USD −45.83",
        "This transaction": "USD −8.71",
        "Balance after": "USD −54.54",
    }
    assert [(row[1], row[2], row[4]) for row in page.rows("entry-list")[:2]] == [
        ("Open invoices", "Usage not invoiced yet", "USD 45.83"),
        ("Open invoices", "VAT, DE", "USD 8.71"),
    ]
    assert page.rows("entry-list")[-1] == ["Debits and credits, each", "USD 54.54"]
    with calla.database.reading() as session:
        from billing.ledger import statement

        found = statement.get_movement(
            session, account_id=calla.account_id, transaction_id=str(calla.invoice.transaction_id)
        )
    titles = {code.get("title") for code in page.root.iter("code")}
    assert {found.hash, found.prev_hash, found.anchor_hash} <= titles


def test_usage_of_a_whole_month_costs_what_the_ledger_and_the_invoice_say(client: FlaskClient) -> None:
    page = Page(client.get("/usage?period=2026-10"))
    assert operators.figures(page)["Cost"] == "USD 45.83"
    assert page.rows("usage-by-group") == [
        ["CPU time compute/cpu_hour", "72 core-hours", "1", "78.6%", "0.00", "36.00"],
        ["GPU time compute/gpu_hour", "≈ 3.3333 GPU-hours", "1", "21.4%", "0.00", "9.83"],
        ["Total", "2", "", "0.00", "45.83"],
    ]
    by_day = {row[0]: row[1:] for row in page.rows("usage-by-bucket")}
    assert len(by_day) == 31 + 1
    assert by_day["5 Oct"] == ["24.00", "0.00", "24.00"]
    assert by_day["6 Oct"] == ["12.00", "0.00", "12.00"]
    assert by_day["20 Oct"] == ["0.00", "9.83", "9.83"]
    assert by_day["Total"] == ["36.00", "9.83", "45.83"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_usage_can_be_narrowed_and_grouped(client: FlaskClient) -> None:
    for url, cost, names in NARROWED:
        page = Page(client.get(url))
        assert operators.figures(page)["Cost"] == cost, url
        assert sorted(row[0] for row in page.rows("usage-by-group")[:-1]) == sorted(names)


def test_filters_in_force_are_chips_that_can_be_taken_away(client: FlaskClient) -> None:
    page = Page(client.get("/usage?period=2026-10&project=vision&group=project&unknown=1"))
    chips = {words(link): link.get("href") for link in page.root.iter("a") if link.get("class") == "chip"}
    assert chips["Project: vision: remove this filter"] == "/usage?period=2026-10&group=project&unknown=1"
    assert "Dates: 1 to 31 October 2026: remove this filter" in chips


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_of_a_url_cannot_be_used_falls_back_with_a_notice(client: FlaskClient) -> None:
    for url, notice in NOTICED:
        page = Page(client.get(url))
        assert (page.status, notice in page.text) == (200, True), url


def test_usage_as_csv_is_what_was_taken_in(calla: Lived, client: FlaskClient) -> None:
    answer = client.get("/usage.csv?period=2026-10")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=usage-calla-2026-10-01-to-2026-10-31.csv"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [(row["meter"], row["quantity"], row["project"]) for row in rows] == [
        ("cpu_hour", "72", "vision"),
        ("gpu_hour", "3.333333333333", "planning"),
    ]
    part = client.get("/usage?period=2026-10&project=vision", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert (
        'href="/usage.csv?from=2026-10-01&amp;to=2026-10-31&amp;project=vision"' in part
    )  # the file follows the filters
    manifest = client.get("/usage.manifest.json?period=2026-10").get_json()
    assert manifest["count"] == 2
    assert manifest["sum"] == str(sum(int(row["quantity_base"]) for row in rows))
    assert manifest["sha256"] == hashlib.sha256(answer.get_data()).hexdigest()
    only = client.get("/usage.csv?period=2026-10&item=compute/gpu_hour").get_data(as_text=True)
    assert len(only.strip().splitlines()) == 2


def test_a_rated_line_shows_how_its_amount_came_about_and_leads_both_ways(calla: Lived, client: FlaskClient) -> None:
    page = Page(client.get(f"/rated-lines/{calla.line_ids()[1]}"))
    assert operators.figures(page) == {
        "Quantity": "≈ 3.3333 GPU-hours",
        "Price": "USD 2.95 per GPU-hour",
        "Amount": "USD 9.83333333",
    }
    steps = [
        words(item)
        for item in page.root.iter("li")
        if "derivation-words" in "".join(child.get("class", "") for child in item)
    ]
    assert len(steps) == 7
    assert "252,000,000,000 1/21000 GPU × millisecond ÷ 75,600,000,000" in steps[0]
    assert "Exact value 10/3 GPU-hours" in steps[0]
    assert "Rounded half up to a millionth of a cent." in steps[3]
    assert steps[-1].endswith("USD 9.83333333")
    assert "it stood at USD 9.83." in page.text
    assert "worked again a moment ago: the same" in page.text
    links = page.links().values()
    assert any(re.match(rf"/invoices/{calla.invoice.number}#inl_", href) for href in links)
    posting = next(href for href in links if href.startswith("/balance/txn_"))
    assert next(href for href in Page(client.get(posting)).links().values() if "transaction=" in href)
    lines = Page(client.get(f"/rated-lines?transaction={posting.rpartition('/')[2]}")).rows("lines")
    assert sorted(row[4] for row in lines) == ["USD 36.00", "USD 9.83333333"]


def test_rated_lines_sort_over_the_whole_set(client: FlaskClient) -> None:
    def amounts(sort: str) -> list[str]:
        return [row[4] for row in Page(client.get(f"/rated-lines?sort={sort}")).rows("lines")]

    rising = amounts("amount")
    assert rising == amounts("-amount")[::-1]
    assert (rising[-2:], len(rising)) == (["USD 9.83333333", "USD 36.00"], 6)


def test_an_invoice_says_what_was_billed_to_whom_and_on_what_evidence(calla: Lived, client: FlaskClient) -> None:
    page = Page(client.get(f"/invoices/{calla.invoice.number}"))
    assert operators.figures(page) == {"Left to pay": "USD 54.54", "Total": "USD 54.54", "Issued": "21 Nov 2026"}
    rows = page.rows("invoice-lines")
    assert [row[4] for row in rows[:2]] == ["36.00", "9.83"]
    assert [row[:2] for row in rows[2:]] == [
        ["Net", "45.83"],
        ["VAT 19%, Germany", "8.71"],
        ["Total with VAT", "54.54"],
    ]
    assert page.rows("tax-summary") == [["Standard rate Germany", "19%", "45.83", "8.71"]]
    for text in (
        "Calla Labs GmbH",
        "Plumbline Cloud Ltd",
        "VAT ID IE",
        "Torstr. 1",
        "No VAT ID",
        "Drafted",
        "Approved",
        "Issued",
    ):
        assert text in page.text, text
    assert str(calla.invoice.snapshot_hash) in page.html
    evidence = [href for href in page.links().values() if href.startswith("/rated-lines?charge=")]
    assert Page(client.get(evidence[0])).rows("lines")
    listed = Page(client.get("/invoices")).rows("invoices")
    assert listed == [
        [str(calla.invoice.number), "October 2026", "21 Nov 2026", "5 Dec 2026", "Issued", "USD 54.54", "USD 54.54"],
        ["1 invoice in USD", "USD 54.54", "USD 54.54"],
    ]
    assert Page(client.get("/invoices?state=paid")).text.count("No document matches") == 1


def test_a_pdf_that_is_not_made_yet_says_so_and_is_the_same_bytes_ever_after(calla: Lived, client: FlaskClient) -> None:
    from billing.invoicing.documents import render

    url = f"/invoices/{calla.invoice.number}.pdf"
    waiting = client.get(url)
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (202, "5")
    assert "is made once" in Page(waiting).text
    part = client.get(f"/invoices/{calla.invoice.number}", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert ("PDF is being made" in part, "hx-trigger" in part) == (True, True)
    assert client.get(f"/invoices/{calla.invoice.number}.xml").status_code == 303
    render.render_pending(calla.database, now=operators.NOW)
    first, again = client.get(url), client.get(f"/invoices/{calla.invoice.id}.pdf")
    assert (first.status_code, first.mimetype, first.data[:5]) == (200, "application/pdf", b"%PDF-")
    assert first.headers["Content-Disposition"] == f"attachment; filename={calla.invoice.number}.pdf"
    assert first.data == again.data
    part = client.get(f"/invoices/{calla.invoice.number}", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert ("Download PDF" in part, "hx-trigger" in part) == (True, False)
    for ending, mimetype, begins in (
        ("xml", "application/xml", b"<?xml"),
        ("ubl", "application/xml", b"<?xml"),
        ("csv", "text/csv", b"record,"),
    ):
        assert f"/invoices/{calla.invoice.number}.{ending}" in part
        file = client.get(f"/invoices/{calla.invoice.number}.{ending}")
        assert (file.status_code, file.mimetype, file.data[: len(begins)]) == (200, mimetype, begins)
        assert file.headers["X-Content-SHA256"] == hashlib.sha256(file.data).hexdigest()
    assert client.get("/invoices/INV-2026-999999.xml").status_code == 404


def test_a_draft_is_not_shown_to_its_tenant(
    calla: Lived, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    from tests.service.invoicing import world
    from tests.service.rating.world import Use

    account_id = world.open_account(database, "drafted")
    world.used(database, account_id, Use(1_000))
    draft_id = world.draft(database, account_id)
    drafted = browser("drafted")
    assert drafted.get(f"/invoices/{draft_id}").status_code == 404
    assert "No invoices yet" in Page(drafted.get("/invoices")).text
    line_id = next(href for href in Page(drafted.get("/rated-lines")).links().values() if "/rtl_" in href)
    assert "In review" in Page(drafted.get(line_id)).text
