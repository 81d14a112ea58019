"""Usage priced in dollars, invoiced in another currency: by hand, line by line, to the last entry and back."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select, update

from billing.accounts import currencies, profiles
from billing.accounts.tables import BillingAccount, Seller
from billing.assurance import reconciliation
from billing.invoicing import conversion, corrections, credit_notes, drafts, invoice_currency, issue
from billing.invoicing.documents import model
from billing.invoicing.errors import DraftOutdated
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry
from billing.reference import ecb, fx_rates
from billing.reference.errors import MissingRate, StaleRate
from billing.storage.database import Database
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.world import NOW
from tests.service.rating.world import Use

RATES = "Date,USD,JPY,\n2026-10-30,1.1172,175.68,\n"


def load(database: Database, text: str = RATES, source: str = "ECB") -> None:
    with database.transaction() as session:
        table = ecb.read(text.encode(), today=NOW.date())
        fx_rates.import_table(session, table, now=NOW, actor="usr_ann", source=source)


def account_in(database: Database, currency: str, *uses: Use, price: str = "0.013") -> str:
    account_id = world.open_account(database, price=price)
    with database.transaction() as session:
        currencies.set_invoice_currency(session, now=NOW, account_code="calla", currency=currency, actor="usr_ann")
    world.used(database, account_id, *uses)
    return account_id


def entries(database: Database, header: InvoiceHeader) -> list[tuple[str, str, str, int, str]]:
    with database.reading() as session:
        rows = session.scalars(
            select(LedgerEntry).where(LedgerEntry.transaction_id == header.transaction_id).order_by(LedgerEntry.seq)
        )
        return [
            (
                row.kind,
                row.debit_account_id.rsplit("/", 2)[1],
                row.credit_account_id.rsplit("/", 2)[1],
                row.amount_minor,
                row.currency,
            )
            for row in rows
        ]


def document(database: Database, header_id: str) -> model.InvoiceDocument:
    with database.reading() as session:
        return model.from_snapshot(session.get_one(InvoiceHeader, header_id).snapshot or {})


def held(database: Database, account_id: str) -> dict[str, tuple[int, int]]:
    """{currency: (unbilled, receivable)}"""
    with database.reading() as session:
        return {
            one.currency: (one.unbilled_minor, one.receivable_minor) for one in balances.of_account(session, account_id)
        }


def test_a_charge_leaves_in_dollars_and_arrives_in_euros_rounded_once(database: Database) -> None:
    load(database)
    # 333 queries at 0.013 USD are 4.329 USD, in the ledger 4.33; 4.329 / 1.1172 = 3.874866... EUR. 4.33 / 1.1172 would be 3.88.
    account_id = account_in(database, "EUR", Use(333))
    header = world.issued(database, account_id)
    made = document(database, header.id)
    (line,) = made.lines
    assert (made.currency, line.amount_minor, line.quantity_text, line.unit_price_text) == ("EUR", 387, "1", "3.87")
    assert line.converted is not None
    assert (line.converted.currency, line.converted.amount_text, line.converted.rate_text, line.converted.rate_on) == (
        "USD",
        "4.329",
        "2500/2793",
        "2026-10-30",
    )
    # 3.87 + 19 % (0.7353 -> 0.74) = 4.61
    assert entries(database, header) == [
        ("fx_conversion", "fx_clearing", "unbilled", 433, "USD"),
        ("fx_conversion", "unbilled", "fx_clearing", 387, "EUR"),
        ("invoice_issue", "receivable", "unbilled", 387, "EUR"),
        ("tax", "receivable", "tax:DE", 74, "EUR"),
    ]
    assert held(database, account_id) == {"EUR": (0, -461), "USD": (0, 0)}
    with database.reading() as session:
        rates = {rate.purpose: rate for rate in conversion.list_rates(session, header.id)}
        # No value in the seller's dollars: on the day of issue the newest rate is three weeks old.
        assert set(rates) == {"lines", "tax"}
        assert (rates["lines"].from_minor, rates["lines"].to_minor) == (433, 387)
        assert reconciliation.compare(session, now=NOW).found == []


@pytest.mark.parametrize(
    ("currency", "table", "net_minor", "tax_minor"),
    [
        # 4.329 USD / 1.1172 x 175.68 = 680.736627 JPY -> 681; 19 % = 129.39 -> 129
        ("JPY", RATES, 681, 129),
        # 4.329 / 1.1172 x 0.3415 = 1.323266... KWD -> 1.323; 19 % = 0.25137 -> 0.251
        ("KWD", "Date,KWD,\n2026-10-29,0.3415,\n", 1_323, 251),
        # 4.329 / 1.1172 x 0.0274 = 0.1061713... CLF -> 0.1062; 19 % = 0.020178 -> 0.0202
        ("CLF", "Date,CLF,\n2026-10-29,0.0274,\n", 1_062, 202),
    ],
)
def test_currencies_of_no_three_and_four_decimals_are_billed_as_by_hand(
    database: Database, currency: str, table: str, net_minor: int, tax_minor: int
) -> None:
    load(database)
    if table is not RATES:
        load(database, table, source="OTHER")
    header = world.issued(database, account_in(database, currency, Use(333)))
    assert (header.currency, header.net_minor, header.tax_minor) == (currency, net_minor, tax_minor)


def test_without_a_rate_or_with_an_old_one_no_draft_is_made(database: Database) -> None:
    account_id = account_in(database, "EUR", Use(333))
    with pytest.raises(MissingRate):
        world.draft(database, account_id)
    load(database, "Date,USD,\n2026-10-23,1.1,\n")  # the tax point is 31 October
    with pytest.raises(StaleRate):
        world.draft(database, account_id)
    load(database, "Date,USD,\n2026-10-26,1.1,\n")
    assert world.draft(database, account_id)


def test_a_rate_that_comes_after_the_draft_outdates_it_so_that_nothing_rises_silently(database: Database) -> None:
    load(database, "Date,USD,\n2026-10-29,1.1,\n")
    account_id = account_in(database, "EUR", Use(333))
    draft_id = world.approved(database, account_id)
    load(database)
    with pytest.raises(DraftOutdated) as refused, database.transaction() as session:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert refused.value.fields["what"] == "exchange rate"
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert world.issued(database, account_id).net_minor == 387


def test_vat_is_stated_in_the_tax_offices_currency_too(database: Database) -> None:
    load(database)
    with database.transaction() as session:
        session.execute(update(Seller).values(country="IE"))
        currencies.set_tax_currency(session, now=NOW, seller_code=seller(session), currency="EUR", actor="usr_ann")
    header = world.invoice_of(database, 10_000)  # 100.00 USD + 19 % = 19.00 USD; 19.00 / 1.1172 = 17.0068... EUR
    made = document(database, header.id)
    assert made.tax_currency is not None
    assert (made.tax_currency.currency, made.tax_currency.tax_minor, made.tax_currency.rate_on) == (
        "EUR",
        1_701,
        "2026-10-30",
    )
    with database.reading() as session:
        (row,) = conversion.list_rates(session, header.id)
        assert (row.purpose, row.from_minor, row.to_minor, row.rate_on) == ("tax", 1_900, 1_701, date(2026, 10, 30))
    with database.transaction() as session:
        note = credit_notes.credit(
            session, now=NOW, invoice_id=header.id, reason="Outage", actor="usr_ann", amount_minor=5_950
        )
    credited = document(database, note.credit_note_id).tax_currency
    assert credited is not None
    assert credited.tax_minor == 850  # 9.50 USD / 1.1172 = 8.503...


def seller(session: object) -> str:
    return str(session.scalars(select(Seller.code)).first())  # type: ignore[attr-defined]


def test_vat_without_a_rate_for_the_tax_office_is_not_issued(database: Database) -> None:
    with database.transaction() as session:
        currencies.set_tax_currency(session, now=NOW, seller_code=seller(session), currency="EUR", actor="usr_ann")
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    draft_id = world.approved(database, account_id)
    with pytest.raises(MissingRate), database.transaction() as session:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.reading() as session:
        assert session.get_one(InvoiceHeader, draft_id).number is None


def test_the_vat_of_credit_notes_in_the_tax_offices_currency_sums_to_the_invoices(database: Database) -> None:
    """VAT 0.19 USD is 0.17 EUR; credited 0.06 (0.0537: 0.05), 0.06 (0.12 so far is 0.11: 0.06) and 0.07 (0.06)."""
    load(database)
    with database.transaction() as session:
        currencies.set_tax_currency(session, now=NOW, seller_code=seller(session), currency="EUR", actor="usr_ann")
    account_id = world.open_account(database)
    world.used(database, account_id, Use(99))
    invoice = world.issued(database, account_id)
    given = []
    for amount_minor in (39, 39, 40):
        with database.transaction() as session:
            done = credit_notes.credit(
                session, now=NOW, invoice_id=invoice.id, amount_minor=amount_minor, reason="Slow", actor="usr_ann"
            )
        note = document(database, done.credit_note_id)
        assert note.tax_currency is not None
        given.append((note.tax_minor, note.tax_currency.tax_minor))
    stated = document(database, invoice.id).tax_currency
    assert stated is not None
    assert stated.tax_minor == 17
    assert given == [(6, 5), (6, 6), (7, 6)]


def test_the_invoices_value_in_the_sellers_own_currency_is_kept_for_the_day_it_is_paid(database: Database) -> None:
    load(database, "Date,USD,\n2026-11-20,1.2,\n2026-10-30,1.1172,\n")
    header = world.issued(database, account_in(database, "EUR", Use(333)))
    with database.reading() as session:
        rates = {rate.purpose: rate for rate in conversion.list_rates(session, header.id)}
        value = rates["functional"]
        # 4.61 EUR x 1.2 on the day of issue
        assert (value.from_minor, value.to_currency, value.to_minor, value.rate_text) == (461, "USD", 553, "1.2")


def test_a_commitment_of_an_account_invoiced_in_euros_is_sold_in_euros_and_drawn_down(database: Database) -> None:
    """One in dollars would be paid for, drawn down by nothing, and lapse: 4.329 USD of usage would be billed again as 3.87 EUR."""
    load(database, RATES + "2026-11-20,1.2,170,\n")
    account_id = account_in(database, "EUR", Use(333))
    with pytest.raises(Invalid) as refused:
        terms_world.contract(database, account_id, 10_000, currency="USD")
    assert (refused.value.fields["reason"], refused.value.fields["expected"]) == ("other_currency", "EUR")
    terms_world.committed(database, account_id, 10_000, currency="EUR")
    header = world.issued(database, account_id)
    assert (header.currency, header.net_minor, header.tax_minor) == ("EUR", 0, 0)
    assert [line.amount_minor for line in document(database, header.id).lines] == [387, -387]
    with database.reading() as session:
        (held_in_euros,) = balances.of_account(session, account_id, currency="EUR")
        assert held_in_euros.deferred_minor == 10_000 - 387
        assert reconciliation.compare(session, now=NOW).found == []


def test_a_plans_gift_is_in_the_currency_of_the_invoices_that_use_it(database: Database) -> None:
    """1,300 queries at 0.01 are 13.00 USD, 11.64 EUR (11.6362...); the plan's gift of 9.00 EUR leaves 2.64; 20.00 USD would stay unused."""
    load(database)
    account_id = terms_world.open_on_plan(
        database, grant={"USD": "20.00", "EUR": "9.00"}, opened_at=datetime(2026, 10, 1, tzinfo=UTC)
    )
    with database.transaction() as session:
        invoice_currency.change(session, now=NOW, account_code="calla", currency="EUR", actor="usr_ann")
    terms_world.use(database, account_id, Use(1_300), now=datetime(2026, 10, 20, tzinfo=UTC))
    header = world.issued(database, account_id)
    assert (header.currency, header.allowance_minor, header.net_minor) == ("EUR", 900, 264)
    with database.reading() as session:
        assert sum(one.promo_minor for one in balances.of_account(session, account_id)) == 0
        assert reconciliation.compare(session, now=NOW).found == []


@pytest.mark.parametrize("what", ["commitment", "gift"])
def test_the_currency_of_invoices_stays_while_money_waits_for_invoices_in_it(database: Database, what: str) -> None:
    account_id = world.open_account(database)
    if what == "gift":
        terms_world.gift(database, account_id, 2_000)
    else:
        terms_world.committed(database, account_id, 10_000)
    with pytest.raises(Conflict) as refused, database.transaction() as session:
        invoice_currency.change(session, now=NOW, account_code="calla", currency="EUR", actor="usr_ann")
    assert refused.value.fields["reason"] == "money_in_invoice_currency"


def test_wrong_parties_are_corrected_and_the_charge_goes_through_dollars_and_back(database: Database) -> None:
    load(database)
    account_id = account_in(database, "EUR", Use(333))
    old = world.issued(database, account_id)
    with database.transaction() as session:
        facts = replace(world.GERMANY, legal_name="Calla Laboratories GmbH")
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=facts)
    with database.transaction() as session:
        done = corrections.reissue(session, now=NOW, invoice_id=old.id, reason="Name", actor="usr_ann")
    assert (done.credited_minor, done.total_minor) == (461, 461)
    assert held(database, account_id) == {"EUR": (0, -461), "USD": (0, 0)}
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []


def test_an_invoice_is_billed_again_at_its_own_rate_also_where_a_later_one_of_its_month_was_imported_since(
    database: Database,
) -> None:
    load(database, "Date,USD,\n2026-10-29,1.1000,\n")
    account_id = account_in(database, "EUR", Use(333))
    old = world.issued(database, account_id)
    assert old.total_minor == 469  # 4.329 / 1.1 is 3.935..., 3.94; 19 % of it 0.7486
    load(database)
    with database.transaction("jobs") as session:
        facts = replace(world.GERMANY, legal_name="Calla Laboratories GmbH")
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=facts)
    with database.transaction() as session:
        done = corrections.reissue(session, now=NOW, invoice_id=old.id, reason="Name", actor="usr_ann")
    assert (done.credited_minor, done.total_minor) == (469, 469)
    assert held(database, account_id) == {"EUR": (0, -469), "USD": (0, 0)}
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []


def test_late_corrections_below_zero_give_back_what_was_converted(database: Database) -> None:
    load(database, RATES + "2026-09-30,1.1172,170,\n")
    account_id = account_in(database, "EUR", Use(333, at=datetime(2026, 9, 10, tzinfo=UTC)))
    world.issued(database, account_id, period="2026-09")
    world.used(database, account_id, Use(-333, at=datetime(2026, 9, 11, tzinfo=UTC)))
    world.used(database, account_id, Use(10))
    note = world.issued(database, account_id)
    # 0.13 USD of October less 4.329 USD of September: 0.1163... -> 0.12, 3.87 less 0.12 is 3.75; 19 % of it 0.7125 -> 0.71
    assert (note.kind, note.net_minor, note.tax_minor) == ("credit_note", 375, 71)
    assert held(database, account_id) == {"EUR": (0, -15), "USD": (0, 0)}


def test_a_prepaid_account_is_invoiced_in_its_wallets_currency(database: Database) -> None:
    world.open_account(database)
    with database.transaction() as session:
        session.execute(update(BillingAccount).where(BillingAccount.code == "calla").values(policy="prepaid"))
    with pytest.raises(Invalid) as refused, database.transaction() as session:
        currencies.set_invoice_currency(session, now=NOW, account_code="calla", currency="EUR", actor="usr_ann")
    assert refused.value.fields["reason"] == "prepaid_has_one_currency"
