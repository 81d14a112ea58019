"""Accounts on plans with terms, commitments and gifts, through the real services; on top of the small world of invoices."""

from datetime import UTC, datetime

from billing.accounts import heads
from billing.catalog import activations, commitments, onboarding, plans, terms
from billing.catalog.tables import CommitContract
from billing.invoicing import contracts, drafts, issue, sales
from billing.invoicing.contracts import ContractRow
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger import promos
from billing.rating import up_to_date
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import GERMANY, NOW
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use

SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 10, 1, tzinfo=UTC)
FEES = """
[[products]]
sku = "plan/platform"
meter = "plan_fee"
variant = "platform"
name = "Platform fee"

[[prices]]
sku = "plan/platform"
model = "flat"
amount = "{fee}"
"""


def open_on_plan(
    database: Database, *, code: str = "calla", fee: str | None = None, opened_at: datetime = SEPTEMBER, **given: object
) -> str:
    """An account in Germany on a plan of its own with these terms, where a query costs 0.01 USD; its id."""
    book = rating_world.book("per_unit", code=f"book-{code}", unit_price="0.01")
    if fee is not None:
        book += FEES.format(fee=fee)
        given.setdefault("fees", ["platform"])
    with database.transaction("jobs") as session:
        activations.install(session, book, now=opened_at, actor="test")
        plans.create_plan(
            session, now=opened_at, code=f"plan-{code}", name=code, book_code=f"book-{code}", terms=terms.read(given)
        )
        return onboarding.open_account(session, now=opened_at, code=code, plan_code=f"plan-{code}", profile=GERMANY).id


def use(database: Database, account_id: str, *uses: Use, now: datetime = NOW) -> None:
    """Take usage in and bring the account up to date, with opening and closing charges."""
    if uses:
        rating_world.use(database, account_id, *uses)
    with database.transaction("jobs") as session:
        up_to_date.bring(session, now=now, account_id=account_id)


def contract(
    database: Database,
    account_id: str,
    amount_minor: int,
    *,
    name: str = "2026",
    families: tuple[str, ...] = (),
    starts_at: datetime = OCTOBER,
    ends_at: datetime = NEXT_YEAR,
    now: datetime = NOW,
    currency: str = "USD",
) -> CommitContract:
    """A commitment that nobody has bought yet."""
    with database.transaction() as session:
        return commitments.create(
            session,
            now=now,
            account_id=account_id,
            name=name,
            amount=Money(minor=amount_minor, currency=currency),
            starts_at=starts_at,
            ends_at=ends_at,
            families=families,
            actor="usr_mia",
        )


def sell(database: Database, contract_id: str, *, now: datetime = NOW) -> InvoiceHeader:
    """The issued invoice of a commitment's sale."""
    with database.transaction() as session:
        draft_id = sales.draft(session, now=now, contract_id=contract_id, actor="usr_mia")
        drafts.approve(session, now=now, draft_id=draft_id, actor="usr_ann")
        return issue.issue(session, now=now, draft_id=draft_id, actor="usr_ann")


def committed(database: Database, account_id: str, amount_minor: int, **given: object) -> ContractRow:
    """A commitment that is sold, as it stands."""
    made = contract(database, account_id, amount_minor, **given)  # type: ignore[arg-type]
    sell(database, made.id)
    return stands(database, made.id)


def paid(database: Database, account_id: str, amount_minor: int, **given: object) -> ContractRow:
    """A commitment that is sold and paid, as it stands."""
    made = contract(database, account_id, amount_minor, **given)  # type: ignore[arg-type]
    sale = sell(database, made.id)
    world.pay(database, sale, sale.total_minor)
    return stands(database, made.id)


def stands(database: Database, contract_id: str, *, now: datetime = NOW) -> ContractRow:
    """A commitment as it stands."""
    with database.reading() as session:
        return contracts.get_row(session, now=now, contract_id=contract_id)


def gift(
    database: Database, account_id: str, amount_minor: int, *, name: str = "Welcome", expires_at: datetime | None = None
) -> str:
    """A promo grant; its id."""
    with database.transaction() as session:
        return promos.grant(
            session,
            now=NOW,
            head=heads.lock_one(session, account_id),
            kind="admin_credit",
            amount=Money(minor=amount_minor, currency="USD"),
            reason=name,
            actor="usr_mia",
            source_type="test",
            source_id=f"{account_id}-{name}",
            expires_at=expires_at,
        ).grant_id


def left_of_gift(database: Database, account_id: str, grant_id: str) -> int:
    """What is left of a grant."""
    with database.reading() as session:
        return promos.remaining_of(session, account_id, [grant_id])[grant_id]
