"""A small world for invoicing tests: accounts whose October 2026 has been used, rated and posted through the real services."""

from datetime import UTC, date, datetime

from sqlalchemy import select, update

from billing.accounts import directory, heads, profiles
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import BillingAccount, Seller
from billing.invoicing import drafts, issue, settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger import balances, book
from billing.ledger.entries import Entry
from billing.storage.database import Database
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = date(2026, 11, 21)
OCTOBER = "2026-10"

GERMANY = ProfileFacts(
    legal_name="Calla Labs GmbH",
    street="Torstr. 1",
    city="Berlin",
    postcode="10119",
    country="DE",
    email="ap@calla.example",
)
"""A buyer in Germany without a VAT id: 19 % at home."""


def open_account(
    database: Database, code: str = "calla", *, profile: ProfileFacts = GERMANY, price: str = "0.01", zone: str = "UTC"
) -> str:
    """A billing account in USD for whom a query costs `price`; its id."""
    own = rating_world.book("per_unit", code=f"book-{code}", unit_price=price)
    account_id = rating_world.open_account(database, book=own, code=code, zone=zone)
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=profile)
    return account_id


def used(database: Database, account_id: str, *uses: Use) -> None:
    """Take usage in, rate it and bring it into the ledger."""
    rating_world.use(database, account_id, *uses)
    rating_world.rate(database, account_id)
    rating_world.post(database, account_id)


def draft(database: Database, account_id: str, *, period: str = OCTOBER, now: datetime = NOW) -> str:
    """A draft of the period; its id."""
    with database.transaction("jobs") as session:
        made = drafts.generate(session, now=now, period_label=period, account_id=account_id)
    assert made is not None
    return made


def approved(database: Database, account_id: str, *, period: str = OCTOBER, now: datetime = NOW) -> str:
    """An approved draft; its id."""
    made = draft(database, account_id, period=period, now=now)
    with database.transaction() as session:
        drafts.approve(session, now=now, draft_id=made, actor="usr_ann")
    return made


def issued(database: Database, account_id: str, *, period: str = OCTOBER, now: datetime = NOW) -> InvoiceHeader:
    """An issued invoice."""
    made = approved(database, account_id, period=period, now=now)
    with database.transaction() as session:
        return issue.issue(session, now=now, draft_id=made, actor="usr_ann")


def invoice_of(database: Database, net_minor: int, code: str = "calla") -> InvoiceHeader:
    """An issued invoice of that net amount to Germany, at 19 %."""
    account_id = open_account(database, code)
    used(database, account_id, Use(net_minor))
    return issued(database, account_id)


def top_up(database: Database, account_id: str, amount_minor: int) -> None:
    """A deposit into the wallet by bank transfer."""
    _receive(database, account_id, amount_minor, credit="wallet", source_id=f"topup-{account_id}-{amount_minor}")


def pay(database: Database, invoice: InvoiceHeader, amount_minor: int) -> None:
    """A bank transfer for the invoice, posted and recorded as every payment is."""
    transaction_id = _receive(
        database,
        invoice.billing_account_id,
        amount_minor,
        credit="receivable",
        source_id=f"pay-{invoice.id}-{amount_minor}",
    )
    with database.transaction() as session:
        heads.lock_one(session, invoice.billing_account_id)
        settlement.apply_payment(
            session,
            now=NOW,
            invoice_id=invoice.id,
            transaction_id=transaction_id,
            amount_minor=amount_minor,
            actor="provider:test",
        )


def _receive(database: Database, account_id: str, amount_minor: int, *, credit: str, source_id: str) -> str:
    with database.transaction() as session:
        head = heads.lock_one(session, account_id)
        entry = Entry(
            kind="bank_credit", debit="cash:bank", credit=credit, amount=Money(minor=amount_minor, currency="USD")
        )
        posted = book.post(
            session,
            now=NOW,
            head=head,
            type="payment",
            source_type="test",
            source_id=source_id,
            entries=[entry],
            occurred_at=NOW,
            actor="provider:test",
        )
        return posted.transaction_id


def balance(database: Database, account_id: str) -> balances.Balance:
    """The account's balance in USD."""
    with database.reading() as session:
        return next(one for one in balances.of_account(session, account_id) if one.currency == "USD")


def account(database: Database, code: str) -> BillingAccount:
    """The billing account of that code."""
    with database.reading() as session:
        return directory.get_account_by_code(session, code)


def move_seller(database: Database, **values: object) -> None:
    """Change the one seller's master data."""
    with database.transaction("jobs") as session:
        session.execute(update(Seller).values(**values))
        assert len(session.scalars(select(Seller)).all()) == 1
