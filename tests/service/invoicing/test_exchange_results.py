"""What exchange rates make of payments: by hand, to the cent, whatever comes first and whatever is undone (money.md)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.assurance import reconciliation, selfcheck
from billing.invoicing import credit_notes, exchange_results, settlement, write_offs
from billing.invoicing.tables import InvoiceFxResult, InvoiceHeader
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.money import Money
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments.bank import reversals, transfers
from billing.payments.bank.transfers import Line, TransferRow
from billing.reference import ecb, fx_rates
from billing.storage.database import Database
from tests import staff
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use

AT_ISSUE = "Date,USD,\n2026-11-20,1.08,\n2026-10-30,1.05,\n"
PAID_ON = date(2026, 11, 25)
AT_PAYMENT = "Date,USD,\n2026-11-25,1.10,\n"
PAID_AT = datetime(2026, 11, 25, 15, tzinfo=UTC)
LATER = PAID_AT + timedelta(days=2)


def rates(database: Database, text: str, *, now: datetime = LATER, source: str = "ECB") -> None:
    with database.transaction() as session:
        fx_rates.import_table(
            session, ecb.read(text.encode(), today=now.date()), now=now, actor="usr_ann", source=source
        )


def invoice_of_130(database: Database) -> InvoiceHeader:
    """130.00 USD gross (109.24 net, 19 %) by a seller who keeps books in euros, at 1.08: 120.37 EUR."""
    rates(database, AT_ISSUE, now=NOW)
    account_id = world.open_account(database)
    world.move_seller(database, functional_currency="EUR")
    world.used(database, account_id, Use(10_924))
    header = world.issued(database, account_id)
    assert (header.currency, header.payable_minor) == ("USD", 13_000)
    return header


def pay(database: Database, header: InvoiceHeader, minor: int, *, on: date = PAID_ON, ref: str = "S-1") -> TransferRow:
    now = datetime(on.year, on.month, on.day, 15, tzinfo=UTC)
    wanted = Line(
        amount=Money(minor=minor, currency="USD"), value_on=on, bank_reference=ref, payer="P", bank_account="B1"
    )
    with database.transaction() as session:
        return transfers.book(session, now=now, account_id=header.billing_account_id, line=wanted, actor=staff.MAKER)


def booked(database: Database, *, now: datetime = LATER) -> int:
    return steps.book_exchange_results(JobContext(database=database, providers={}, now=now))


def results(database: Database, header: InvoiceHeader) -> list[tuple[str, int, int | None, int | None]]:
    """(kind, cents of the invoice's currency, value that left, result) in the order of the chain."""
    with database.reading("jobs") as session:
        assert selfcheck.run(session, now=LATER).differences == ()
        assert reconciliation.compare(session, now=LATER).found == []
        return [
            (row.kind, row.amount_minor, row.carried_minor, row.result_minor)
            for row, _ in exchange_results.rows_of(session, header.id)
        ]


def held(database: Database) -> tuple[int, int]:
    """(fx_result, fx_clearing) of the house in euros: a loss is owed, below zero."""
    with database.reading("jobs") as session:
        return (
            balances.of_ledger_account(session, "house/house/fx_result/EUR"),
            balances.of_ledger_account(session, "house/house/fx_clearing/EUR"),
        )


def test_130_usd_at_108_paid_at_110_is_a_loss_of_219_in_the_houses_chain(database: Database) -> None:
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    payment = pay(database, header, 13_000)
    assert booked(database) == 1
    assert booked(database) == 0
    assert results(database, header) == [("payment", 13_000, 12_037, -219)]
    assert held(database) == (-219, 219)
    with database.reading("jobs") as session:
        row = session.scalars(select(InvoiceFxResult)).one()
        assert (row.currency, row.value_minor, row.rate_on) == ("EUR", 11_818, PAID_ON)
        posted = session.get_one(LedgerTransaction, row.result_transaction_id)
        assert (posted.type, posted.linked_id) == ("fx_result", payment.transaction_id)
        assert posted.billing_account_id != header.billing_account_id
        kinds = session.scalars(
            select(LedgerEntry.kind).where(LedgerEntry.billing_account_id == header.billing_account_id)
        )
        assert "fx_result" not in set(kinds)


def test_parts_take_their_share_and_the_last_one_the_rest(database: Database) -> None:
    """Thirds of 130.00: 43.33, 43.33, 43.34 carry 40.12, 40.12, 40.13 of 120.37 and bring 39.39, 39.39, 39.40."""
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    for place, minor in enumerate((4_333, 4_333, 4_334)):
        pay(database, header, minor, ref=f"S-{place}")
    assert booked(database) == 3
    assert results(database, header) == [
        ("payment", 4_333, 4_012, -73),
        ("payment", 4_333, 4_012, -73),
        ("payment", 4_334, 4_013, -73),
    ]
    assert held(database) == (-219, 219)


def test_a_payment_waits_for_the_rate_of_its_day_and_is_credited_all_the_same(database: Database) -> None:
    header = invoice_of_130(database)
    pay(database, header, 13_000)
    with database.reading() as session:
        assert settlement.open_minor(session, header.id) == 0
    assert booked(database, now=PAID_AT) == 0
    assert booked(database) == 0  # Friday's rate is there, but Wednesday's may still come
    assert results(database, header) == [("payment", 13_000, None, None)]
    rates(database, AT_PAYMENT)
    assert booked(database) == 1
    assert held(database) == (-219, 219)


def test_a_weekend_takes_fridays_rate_once_mondays_is_there(database: Database) -> None:
    header = invoice_of_130(database)
    pay(database, header, 13_000, on=date(2026, 11, 22))
    sunday = datetime(2026, 11, 22, 20, tzinfo=UTC)
    assert booked(database, now=sunday) == 0
    rates(database, "Date,USD,\n2026-11-23,1.2,\n")
    assert booked(database) == 1
    assert results(database, header) == [("payment", 13_000, 12_037, 0)]
    assert held(database) == (0, 0)


def test_a_stale_rate_books_nothing_until_a_fresh_one_is_imported(database: Database) -> None:
    header = invoice_of_130(database)
    pay(database, header, 13_000, on=date(2026, 11, 29))
    much_later = datetime(2026, 12, 20, tzinfo=UTC)
    assert booked(database, now=much_later) == 0
    rates(database, "Date,USD,\n2026-11-27,1.10,\n", now=much_later)
    assert booked(database, now=much_later) == 1
    assert held(database) == (-219, 219)


def test_without_a_rate_at_issue_the_days_own_is_kept_when_it_comes(database: Database) -> None:
    account_id = world.open_account(database)
    rates(database, AT_ISSUE, now=NOW)
    world.move_seller(database, functional_currency="CHF", tax_currency="USD")
    world.used(database, account_id, Use(10_924))
    header = world.issued(database, account_id)
    pay(database, header, 13_000)
    assert booked(database) == 0
    rates(database, "Date,CHF,\n2026-11-20,0.90,\n2026-11-25,0.99,\n", source="SNB")
    assert booked(database) == 0  # and none for the dollar of the 25th
    rates(database, AT_PAYMENT)
    assert booked(database) == 1
    # 130.00 / 1.08 x 0.90 = 108.33 CHF; 130.00 / 1.10 x 0.99 = 117.00 CHF
    assert results(database, header) == [("payment", 13_000, 10_833, 867)]


def test_wallet_credit_note_and_write_off_settle_at_the_value_that_stands(database: Database) -> None:
    """20.00 from the wallet, 30.00 credited, 40.00 paid, 40.00 written off: only the payment has a result."""
    rates(database, AT_ISSUE, now=NOW)
    account_id = world.open_account(database)
    world.move_seller(database, functional_currency="EUR")
    world.top_up(database, account_id, 2_000)
    world.used(database, account_id, Use(10_924))
    header = world.issued(database, account_id)
    with database.transaction() as session:
        credit_notes.credit(
            session, now=NOW, invoice_id=header.id, reason="Goodwill", actor="usr_ann", amount_minor=3_000
        )
    rates(database, AT_PAYMENT)
    pay(database, header, 4_000)
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        asked = write_offs.request(
            session,
            now=PAID_AT,
            invoice_id=header.id,
            amount_minor=4_000,
            with_tax=True,
            maker=staff.MAKER,
            reason="insolvent",
        )
        staff.approve(session, asked, now=PAID_AT)
    assert booked(database) == 4
    # 120.37 x 110/130 = 101.85; x 80/130 = 74.07; x 40/130 = 37.04; 40.00 / 1.10 = 36.36
    assert results(database, header) == [
        ("wallet", 2_000, 1_852, 0),
        ("credit_note", 3_000, 2_778, 0),
        ("payment", 4_000, 3_703, -67),
        ("write_off", 4_000, 3_704, 0),
    ]
    rates(database, "Date,USD,\n2026-11-26,1.00,\n")
    pay(database, header, 4_000, on=date(2026, 11, 26), ref="S-2")
    assert booked(database) == 2
    assert results(database, header)[4:] == [("write_off", -4_000, -3_704, 0), ("payment", 4_000, 3_704, 296)]
    assert held(database) == (229, -229)


def test_what_is_credited_into_the_wallet_takes_its_part_of_the_result_back(database: Database) -> None:
    """Half of a paid invoice is credited: the money of that half is a deposit again, which has no result."""
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    pay(database, header, 13_000)
    for _ in range(2):
        with database.transaction() as session:
            credit_notes.credit(
                session, now=LATER, invoice_id=header.id, reason="Half", actor="usr_ann", amount_minor=6_500
            )
    assert booked(database) == 3
    assert results(database, header) == [
        ("payment", 13_000, 12_037, -219),
        ("given_back", 6_500, 0, 110),
        ("given_back", 6_500, 0, 109),
    ]
    assert held(database) == (0, 0)


def test_a_booking_that_is_taken_back_takes_its_result_back_and_the_next_payment_has_its_own(
    database: Database,
) -> None:
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    wrong = pay(database, header, 13_000)
    assert booked(database) == 1
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        asked = reversals.request(
            session, now=LATER, transfer_id=wrong.id, maker=staff.MAKER, reason="Of another customer"
        )
        staff.approve(session, asked, now=LATER)
    assert booked(database) == 1
    assert held(database) == (0, 0)
    rates(database, "Date,USD,\n2026-11-26,1.00,\n")
    pay(database, header, 13_000, on=date(2026, 11, 26), ref="S-2")
    assert booked(database) == 1
    assert results(database, header) == [
        ("payment", 13_000, 12_037, -219),
        ("payment", -13_000, -12_037, 219),
        ("payment", 13_000, 12_037, 963),
    ]


def test_an_invoice_in_the_sellers_own_currency_has_no_result(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    rates(database, AT_PAYMENT)
    pay(database, header, 11_900)
    assert booked(database) == 0
    assert results(database, header) == []


@pytest.mark.parametrize("column", ["result_minor", "carried_minor", "amount_minor"])
def test_a_result_that_is_altered_is_named(database: Database, column: str) -> None:
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    pay(database, header, 13_000)
    booked(database)
    with database.reading("jobs") as session:
        row = session.scalars(select(InvoiceFxResult)).one()
        setattr(row, column, getattr(row, column) + 1)
        with session.no_autoflush:
            found = selfcheck.run(session, now=LATER).differences
        session.expunge_all()
    assert {one.check for one in found} == {"exchange"}


def test_only_one_of_many_jobs_books_a_result(database: Database) -> None:
    header = invoice_of_130(database)
    rates(database, AT_PAYMENT)
    pay(database, header, 13_000)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: booked(database), range(4))) == 1
    assert held(database) == (-219, 219)
