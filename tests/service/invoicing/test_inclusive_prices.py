"""Prices that include tax, from usage to the ledger and back: the books hold gross, the document says net, tax and the cent."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from billing.accounts import currencies, directory, profiles
from billing.accounts.tax_tables import ManualRate
from billing.assurance import reconciliation
from billing.invoicing import conversion, credit_notes, drafts, invoices, issue
from billing.invoicing.documents import model
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import filing
from billing.ledger.tables import LedgerEntry
from billing.reference import ecb, fx_rates
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.service.invoicing import world
from tests.service.invoicing.terms_world import gift
from tests.service.invoicing.world import NOW, Use
from tests.service.rating import world as rating_world

SWITZERLAND = replace(world.GERMANY, country="CH", city="Zürich", postcode="8001")


def _open(database: Database, *, rate_bp: int = 400) -> str:
    """An account whose prices include a tax of that rate, at a cent a query."""
    own = rating_world.book("per_unit", code="gross", unit_price="0.01")
    account_id = rating_world.open_account(database, book=own, code="calla", prices_include_tax=True)
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=SWITZERLAND)
    _rate(database, account_id, "tmr_1", rate_bp, valid_from=date(2026, 1, 1))
    return account_id


def _rate(database: Database, account_id: str, rate_id: str, rate_bp: int, *, valid_from: date) -> None:
    with database.transaction("jobs") as session:
        session.add(
            ManualRate(
                id=rate_id,
                seller_id=directory.get_account(session, account_id).seller_id,
                country="CH",
                tax_name="MWST",
                rate_bp=rate_bp,
                registration="CHE123456788",
                valid_from=valid_from,
                approval_id="apr_1",
                recorded_at=NOW,
                recorded_by="usr_otto",
            )
        )


def _entries(database: Database, header: InvoiceHeader) -> list[tuple[str, str, str, int]]:
    with database.reading("jobs") as session:
        rows = session.scalars(
            select(LedgerEntry).where(LedgerEntry.transaction_id == header.transaction_id).order_by(LedgerEntry.seq)
        ).all()
    return [
        (row.kind, row.debit_account_id.split("/")[-2], row.credit_account_id.split("/")[-2], row.amount_minor)
        for row in rows
    ]


def _ties(database: Database) -> None:
    """Filing and ledger agree, and reconciliation finds nothing."""
    with database.reading("jobs") as session:
        found = filing.file(session, directory.first_seller(session), "2026-11")
        compared = reconciliation.compare(session, now=NOW)
    assert found.rows
    assert not found.differences
    assert not compared.found


def test_299_at_4_percent_is_issued_as_288_net_12_tax_and_a_cent_less_and_credited_to_nothing(
    database: Database,
) -> None:
    account_id = _open(database)
    world.used(database, account_id, Use(299))
    header = world.issued(database, account_id)
    document = model.from_snapshot(header.snapshot or {})
    assert (header.net_minor, header.tax_minor, header.total_minor, header.rounding_minor) == (288, 12, 300, -1)
    assert (document.payable_minor, document.due_minor, header.payable_minor) == (299, 299, 299)
    assert [(line.amount_minor, line.gross_minor) for line in document.lines] == [(288, 299)]
    assert _entries(database, header) == [
        ("invoice_issue", "receivable", "unbilled", 299),
        ("rounding", "rounding", "revenue:analytics", 1),
        ("tax_inclusive", "revenue:analytics", "tax:CH", 12),
    ]
    assert world.balance(database, account_id).receivable_minor == -299
    _ties(database)
    for amount in (100, 99):
        with database.transaction() as session:
            credit_notes.credit(
                session, now=NOW, invoice_id=header.id, amount_minor=amount, reason="Slow", actor="usr_ann"
            )
    with database.transaction() as session:
        last = credit_notes.credit(session, now=NOW, invoice_id=header.id, full=True, reason="Slow", actor="usr_ann")
    assert last.payable_minor == 100
    with database.reading("jobs") as session:
        notes = session.scalars(select(InvoiceHeader).where(InvoiceHeader.kind == "credit_note")).all()
    sums = [sum(getattr(note, name) for note in notes) for name in ("net_minor", "tax_minor", "rounding_minor")]
    assert sums == [288, 12, -1]
    assert world.balance(database, account_id).balance_minor == 0
    _ties(database)


def test_gift_and_discount_are_taken_off_the_gross_and_come_back_with_it(database: Database) -> None:
    account_id = _open(database, rate_bp=810)
    gift(database, account_id, 2_000)
    world.used(database, account_id, Use(13_000))
    draft_id = world.draft(database, account_id)
    with database.transaction() as session:
        drafts.discount(session, now=NOW, draft_id=draft_id, amount_minor=500, reason="Delay", actor="usr_ann")
        drafts.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.transaction() as session:
        header = issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    document = model.from_snapshot(header.snapshot or {})
    # 130.00 - 5.00 - 20.00 = 105.00 gross; / 1.081 = 97.13 net; 7.87 tax
    assert (document.payable_minor, header.net_minor, header.tax_minor, header.rounding_minor) == (
        10_500,
        9_713,
        787,
        0,
    )
    assert sorted(one.gross_minor or 0 for one in document.allowances) == [500, 2_000]
    _ties(database)
    with database.transaction() as session:
        credit_notes.credit(session, now=NOW, invoice_id=header.id, full=True, reason="Wrong", actor="usr_ann")
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.promo_minor, balance.wallet_minor) == (0, 2_000, 0)
    _ties(database)


def test_an_invoices_value_in_the_sellers_own_currency_is_that_of_what_is_asked_for(database: Database) -> None:
    """2.99 EUR at 4 %: 2.88 + 0.12 - 0.01. It is 2.99 that will be paid, not 3.00."""
    account_id = _open(database)
    with database.transaction() as session:
        table = ecb.read(b"Date,USD,\n2026-11-20,1.2,\n2026-10-30,1,\n", today=NOW.date())
        fx_rates.import_table(session, table, now=NOW, actor="usr_ann")
        currencies.set_invoice_currency(session, now=NOW, account_code="calla", currency="EUR", actor="usr_ann")
    world.used(database, account_id, Use(299))
    header = world.issued(database, account_id)
    assert (header.currency, header.total_minor, header.payable_minor) == ("EUR", 300, 299)
    with database.reading() as session:
        (value,) = [row for row in conversion.list_rates(session, header.id) if row.purpose == "functional"]
    assert (value.from_minor, value.to_minor) == (299, 359)


@pytest.mark.parametrize(
    ("own", "kind", "sums"),
    # Net, tax, rounding: 299 at 4 % are 288 + 12 - 1; at 0 % there is no cent left over.
    [(301, "invoice", (-11, 12, 0)), (299, "credit_note", (12, -12, 1))],
)
def test_a_document_of_two_rates_has_the_sign_of_what_it_asks_for(
    database: Database, own: int, kind: str, sums: tuple[int, int, int]
) -> None:
    """3.00 of September, at 0 %, are taken back late; October, at 4 %, used `own` cents: one cent is asked for, or given back."""
    account_id = _open(database)
    _rate(database, account_id, "tmr_2", 0, valid_from=date(2026, 1, 2))
    _rate(database, account_id, "tmr_3", 400, valid_from=date(2026, 10, 1))
    september = datetime(2026, 9, 10, tzinfo=UTC)
    world.used(database, account_id, Use(1_000, at=september))
    invoice = world.issued(database, account_id, period="2026-09")
    assert (invoice.payable_minor, invoice.tax_minor) == (1_000, 0)
    world.used(database, account_id, Use(-300, at=september), Use(own))
    made = world.issued(database, account_id)
    assert (made.kind, made.net_minor, made.tax_minor, made.rounding_minor) == (kind, *sums)
    assert made.payable_minor == 1
    sign = 1 if kind == "invoice" else -1
    assert world.balance(database, account_id).receivable_minor == -1_000 - sign
    _ties(database)


def test_vat_below_zero_of_one_rate_is_declared_so_in_the_tax_offices_currency(database: Database) -> None:
    """September 10.00 at 4 %: VAT 0.38, 0.34 EUR. October 4.00 at 8.1 %, less 3.00 late of September: 0.30 - 0.12 USD are 0.16 EUR,
    0.27 of the one rate and -0.11 of the other."""
    account_id = _open(database)
    _rate(database, account_id, "tmr_3", 810, valid_from=date(2026, 10, 1))
    with database.transaction() as session:
        table = ecb.read(b"Date,USD,\n2026-10-30,1.1172,\n2026-09-30,1.1172,\n", today=NOW.date())
        fx_rates.import_table(session, table, now=NOW, actor="usr_ann")
        seller = directory.get_seller(session, directory.get_account(session, account_id).seller_id)
        currencies.set_tax_currency(session, now=NOW, seller_code=seller.code, currency="EUR", actor="usr_ann")
    september = datetime(2026, 9, 10, tzinfo=UTC)
    world.used(database, account_id, Use(1_000, at=september))
    world.issued(database, account_id, period="2026-09")
    world.used(database, account_id, Use(-300, at=september), Use(400))
    world.issued(database, account_id)
    with database.reading("jobs") as session:
        found = filing.file(session, directory.first_seller(session), "2026-11")
    assert [(key.rate_bp, of.tax_minor, of.in_tax_currency_minor) for key, of in found.rows] == [
        (400, 38 - 12, 34 - 11),
        (810, 30, 27),
    ]


def test_lists_and_notices_state_what_is_asked_for(database: Database) -> None:
    """2.99 at 4 %: a list that said 3.00 would leave a cent unpaid for ever beside a payment of 2.99."""
    account_id = _open(database)
    world.used(database, account_id, Use(299))
    header = world.issued(database, account_id)
    with database.reading() as session:
        (row,) = invoices.list_invoices(session, now=NOW)
        told = {
            event.type: event.facts.get("total_minor")
            for event in invoices.get_invoice(session, now=NOW, key=header.id).events
        }
        payload = session.scalars(select(OutboxMessage.payload).where(OutboxMessage.topic == "invoice.issued")).one()
    assert (row.net_minor, row.tax_minor, row.rounding_minor, row.total_minor, row.due_minor) == (288, 12, -1, 299, 299)
    assert (told["drafted"], told["issued"]) == (299, 299)
    assert (payload["total_minor"], payload["due_minor"]) == (299, 299)
