"""The journal for a general ledger: balanced, whole, in a chart whose numbers are for ever, and read back it is the trial balance."""

import csv
import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.accounts import directory
from billing.exports import gl
from billing.kernel.errors import Invalid, NotFound
from billing.ledger import chart, trial_balance
from billing.ledger.entries import HOUSE_NAMES, TENANT_NAMES
from billing.ledger.errors import EntryRefused
from billing.storage.database import Database, Session
from tests.service.ledger.books import entry, open_account, post, seller

unbacked = pytest.mark.tampers  # entries are posted here without the documents they stand for

# The numbers as they were first published: one that changes or goes to another account breaks the books of whoever imported them.
NUMBERS = {
    "cash": "1000",
    "receivable": "1100",
    "unbilled": "1150",
    "disputed": "1180",
    "fx_clearing": "1900",
    "wallet": "2000",
    "promo": "2050",
    "refund_pending": "2080",
    "deferred": "2100",
    "reseller_payable": "2200",
    "tax": "2500",
    "revenue": "4000",
    "breakage": "4100",
    "discount": "4800",
    "rounding": "4900",
    "processor_fees": "6000",
    "dispute_fees": "6050",
    "bad_debt": "6100",
    "promo_expense": "6200",
    "commission": "6300",
    "fx_result": "6900",
}
OCTOBER, NOVEMBER = datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)


def test_every_ledger_account_has_its_number_for_ever() -> None:
    assert {account.name: account.number for account in chart.CHART} == NUMBERS
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert set(NUMBERS) == {*TENANT_NAMES, *HOUSE_NAMES}
    assert [chart.number_of(name) for name in ("revenue:compute", "tax:DE", "cash:stripe", "wallet")] == [
        "4000-compute",
        "2500-DE",
        "1000-stripe",
        "2000",
    ]
    with pytest.raises(EntryRefused):
        chart.number_of("piggy_bank")


def test_the_page_about_the_chart_says_what_the_chart_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "chart-of-accounts.md").read_text()
    for account in chart.CHART:
        assert f"| {account.number} | {account.name} | {account.type} | {account.words} |" in page


def _books(database: Database) -> str:
    """Two months, two currencies, two accounts; the seller's id."""
    for code in ("calla", "taifl"):
        account_id = open_account(database, code)
        with database.transaction() as session:
            for place, at in enumerate((OCTOBER, NOVEMBER)):
                for currency in ("USD", "EUR"):
                    post(
                        session,
                        account_id,
                        f"{code}{place}{currency}",
                        entry("bank_credit", "cash:bank", "wallet", 1_000 + place, currency),
                        entry("processor_fee", "processor_fees", "cash:stripe", 30, currency),
                        occurred_at=at,
                    )
                post(
                    session,
                    account_id,
                    f"{code}{place}tax",
                    entry("tax", "receivable", "tax:DE", 19),
                    entry("usage_debit", "revenue:compute", "unbilled", 5),
                    type="issue",
                    occurred_at=at,
                )
    with database.reading() as session:
        found = directory.find_seller_by_code(session, "north")
        assert found is not None
        return found.id


def _written(session: Session, seller_id: str, period: str) -> tuple[gl.Journal, list[dict[str, str]], bytes]:
    journal = gl.journal(session, seller_id=seller_id, period=period)
    content = b"".join(journal.export)
    return journal, list(csv.DictReader(io.StringIO(content.decode()))), content


@unbacked
def test_read_back_and_summed_the_journals_are_the_trial_balance(database: Database) -> None:
    seller_id = _books(database)
    figures: dict[tuple[str, str, str], int] = {}
    with database.reading("jobs") as session:
        for period in ("2026-10", "2026-11"):
            journal, rows, content = _written(session, seller_id, period)
            by_journal: dict[tuple[str, str], int] = {}
            for row in rows:
                owner = "house" if row["owner"] == "house" else "tenants"
                key = (row["currency"], owner, row["account_name"])
                figures[key] = figures.get(key, 0) + int(row["credit_minor"]) - int(row["debit_minor"])
                own = (row["journal_id"], row["currency"])
                by_journal[own] = by_journal.get(own, 0) + int(row["credit_minor"]) - int(row["debit_minor"])
                assert row["account_number"] == chart.number_of(row["account_name"])
                assert row["period"] == period
                assert row["effective_at"].startswith(period)
            assert set(by_journal.values()) == {0}
            expected = trial_balance.through_month(session, seller_id=seller_id, month_label=period)
            assert figures == {
                (row.currency, row.owner, row.name): row.credit_minor - row.debit_minor for row in expected.rows
            }
            manifest = journal.to_manifest()
            assert manifest["count"] == len(rows) == 24
            assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
            for currency, sums in manifest["sums"].items():
                debits = sum(int(row["debit_minor"]) for row in rows if row["currency"] == currency)
                credits = sum(int(row["credit_minor"]) for row in rows if row["currency"] == currency)
                assert sums == {"debit_minor": debits, "credit_minor": credits}
                assert debits == credits > 0
            assert not manifest["is_closed"]


@unbacked
def test_another_sellers_books_are_not_in_it(database: Database) -> None:
    seller_id = _books(database)
    other = open_account(database, "sauno", seller_code="south")
    with database.transaction() as session:
        post(session, other, "s1", entry("bank_credit", "cash:bank", "wallet", 77), occurred_at=OCTOBER)
        south = seller(session, "south").id
    with database.reading("jobs") as session:
        _, mine, _ = _written(session, seller_id, "2026-10")
        _, theirs, _ = _written(session, south, "2026-10")
    assert {row["owner"] for row in mine} == {"house", "calla", "taifl"}
    assert [(row["owner"], row["debit_minor"], row["credit_minor"]) for row in theirs] == [
        ("house", "77", "0"),
        ("sauno", "0", "77"),
    ]


@unbacked
def test_a_month_that_is_none_or_was_never_used_is_refused(database: Database) -> None:
    seller_id = _books(database)
    with database.reading("jobs") as session:
        with pytest.raises(Invalid):
            gl.journal(session, seller_id=seller_id, period="October")
        with pytest.raises(NotFound):
            gl.journal(session, seller_id=seller_id, period="2031-01")
