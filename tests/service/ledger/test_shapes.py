"""Law 3: an entry that is unbalanced, one-sided, of another tenant or of two currencies has no place in the database."""

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.storage.database import Database
from tests.service.ledger.books import entry, open_account, post, top_up


@pytest.fixture
def books(database: Database) -> dict[str, Any]:
    """Two tenants with books in USD and EUR, and one entry of the first as a pattern."""
    mine, other = open_account(database, "calla"), open_account(database, "taifl")
    first = top_up(database, mine, 500, "p1")
    for number, (account_id, currency) in enumerate(((mine, "EUR"), (other, "USD"), (other, "EUR"))):
        with database.transaction() as session:
            post(session, account_id, f"x{number}", entry("bank_credit", "cash:bank", "wallet", 700, currency))
    with database.reading() as session:
        pattern = session.execute(
            select(LedgerEntry.__table__).where(LedgerEntry.transaction_id == first.transaction_id)
        ).one()
    return {"mine": mine, "other": other, "pattern": dict(pattern._mapping)}


def _insert(database: Database, books: dict[str, Any], **changes: Any) -> None:
    row = books["pattern"] | {"id": "ent_new", "seq": 2} | changes
    with database.transaction() as session:
        session.execute(LedgerEntry.__table__.insert(), [row])  # type: ignore[attr-defined]


@pytest.mark.tampers
def test_the_pattern_itself_can_be_stored(database: Database, books: dict[str, Any]) -> None:
    _insert(database, books)


@pytest.mark.parametrize("amount", [0, -1, -500])
def test_an_amount_is_above_zero(database: Database, books: dict[str, Any], amount: int) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, books, amount_minor=amount)


@pytest.mark.parametrize(
    "column",
    [column.name for column in LedgerEntry.__table__.columns],
)
def test_no_field_of_an_entry_may_be_missing(database: Database, books: dict[str, Any], column: str) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, books, **{column: None})


def test_both_sides_differ(database: Database, books: dict[str, Any]) -> None:
    pattern = books["pattern"]
    with pytest.raises(IntegrityError):
        _insert(database, books, debit_account_id=pattern["credit_account_id"], debit_owner=pattern["credit_owner"])


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_another_tenants_book_account_cannot_be_moved(database: Database, books: dict[str, Any], side: str) -> None:
    mine, other = books["mine"], books["other"]
    theirs = f"{other}/wallet/USD"
    for owner in (other, mine, "house"):  # whatever the row claims about whose it is
        with pytest.raises(IntegrityError):
            _insert(database, books, **{f"{side}_account_id": theirs, f"{side}_owner": owner})


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_two_currencies_do_not_meet_in_one_entry(database: Database, books: dict[str, Any], side: str) -> None:
    name = "house/north/cash:bank/EUR" if side == "debit" else f"{books['mine']}/wallet/EUR"
    with pytest.raises(IntegrityError):
        _insert(database, books, **{f"{side}_account_id": name})
    with pytest.raises(IntegrityError):
        _insert(database, books, currency="EUR")


def test_an_entry_belongs_to_its_transactions_own_chain(database: Database, books: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, books, billing_account_id=books["other"])
    with pytest.raises(IntegrityError):
        _insert(database, books, transaction_id="txn_none")
    with pytest.raises(IntegrityError):
        _insert(database, books, credit_account_id=f"{books['mine']}/nothing/USD")


def test_a_number_of_a_chain_is_given_once(database: Database, books: dict[str, Any]) -> None:
    with database.reading() as session:
        row = dict(
            session.execute(
                select(LedgerTransaction.__table__)
                .where(LedgerTransaction.billing_account_id == books["mine"])
                .limit(1)
            )
            .one()
            ._mapping
        )
    for changes in (
        {"id": "txn_new", "source_id": "new"},  # the same number
        {"id": "txn_new", "chain_seq": 99},  # the same source
        {"id": "txn_new", "chain_seq": 0, "source_id": "new"},
        {"id": "txn_new", "chain_seq": 99, "source_id": "new", "accounting_period_id": "acp_none"},
        {"id": "txn_new", "chain_seq": 99, "source_id": "new", "reverses_id": "txn_none"},
        {"id": "txn_new", "chain_seq": 99, "source_id": "new", "hash": None},
    ):
        with pytest.raises(IntegrityError), database.transaction() as session:
            session.execute(LedgerTransaction.__table__.insert(), [row | changes])  # type: ignore[attr-defined]


def test_text_is_no_amount(database: Database, books: dict[str, Any]) -> None:
    pattern = books["pattern"] | {"id": "ent_new", "seq": 2, "detail": "{}"}
    names = ", ".join(pattern)
    for amount in ("'many'", "12.5", "'12.5'"):
        values = ", ".join(amount if name == "amount_minor" else f"'{value}'" for name, value in pattern.items())
        if amount == "12.5" and database.dialect == "postgresql":
            continue  # rounded to a whole number on the way in, as the column says
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(f"INSERT INTO ledger_entries ({names}) VALUES ({values})"))
