"""Where rooms meet: what one room changes after another has booked, with figures worked by hand."""

from datetime import UTC, datetime

import pytest

from billing.accounts.tables import BillingAccount
from billing.catalog import activations, plans, terms
from billing.invoicing import credit_notes
from billing.ledger import trial_balance
from billing.payments import refund_limits
from billing.rating import price_changes
from billing.storage.database import Database
from tests.service.catalog import world as catalog_world
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.terms_world import OCTOBER
from tests.service.invoicing.world import NOW
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
EARLY = datetime(2026, 10, 5, tzinfo=UTC)


def _subscribe(database: Database, account_id: str, *, at: datetime, **given: object) -> None:
    """Put the account on another plan from an instant on, which asks for no fee."""
    with database.transaction("jobs") as session:
        book = rating_world.book("per_unit", code="book-next", unit_price="0.01")
        activations.install(session, book, now=EARLY, actor="test")
        plans.create_plan(session, now=EARLY, code="next", name="next", book_code="book-next", terms=terms.read(given))
        price_changes.subscribe(
            session, now=EARLY, account_id=account_id, plan_code="next", valid_from=at, actor="usr_mia"
        )


def test_a_gift_of_a_period_is_given_once_also_where_another_plan_takes_its_place_from_the_start(
    database: Database,
) -> None:
    account_id = terms_world.open_on_plan(database, grant={"USD": "20.00"}, opened_at=OCTOBER)
    terms_world.use(database, account_id, now=EARLY)
    _subscribe(database, account_id, at=OCTOBER, grant={"USD": "50.00"})
    terms_world.use(database, account_id, now=EARLY)
    assert world.balance(database, account_id).promo_minor == 2_000
    terms_world.use(database, account_id, now=NOW)
    assert world.balance(database, account_id).promo_minor == 7_000


@pytest.mark.parametrize("paid_minor", [0, 1_428, 1_400])
def test_an_invoice_with_a_family_below_zero_is_credited_whole(database: Database, paid_minor: int) -> None:
    """Minimum 10.00: October 8.00 + 2.00, then 1.00 late: November's invoice has late +1.00, closing -1.00 and its own 12.00."""
    account_id = terms_world.open_on_plan(database, minimum={"USD": "10.00"}, opened_at=OCTOBER)
    terms_world.use(database, account_id, Use(800))
    october = world.issued(database, account_id)
    assert (october.net_minor, october.tax_minor) == (1_000, 190)
    late = Use(100)
    own = Use(1_200, at=datetime(2026, 11, 3, tzinfo=UTC))
    terms_world.use(database, account_id, late, own, now=DECEMBER)
    november = world.issued(database, account_id, period="2026-11", now=DECEMBER)
    assert (november.net_minor, november.tax_minor) == (1_200, 228)
    if paid_minor:
        world.pay(database, november, paid_minor)
    with database.transaction() as session:
        done = credit_notes.credit(
            session, now=DECEMBER, invoice_id=november.id, reason="Outage", actor="usr_ann", full=True
        )
    assert (done.payable_minor, done.to_receivable_minor) == (1_428, 1_428 - paid_minor)
    left = world.balance(database, account_id)
    assert (left.receivable_minor, left.wallet_minor, left.unbilled_minor) == (-1_190, paid_minor, 0)
    with database.reading() as session:
        rows = {row.name: row.credit_minor - row.debit_minor for row in trial_balance.now(session).rows}
    assert {name: minor for name, minor in rows.items() if name.startswith(("revenue", "tax"))} == {
        "revenue:analytics": 800,
        "revenue:plan": 200,
        "tax:DE": 190,
    }


def test_a_price_of_the_accounts_own_for_a_fee_ends_with_the_plan_that_asks_for_the_fee(database: Database) -> None:
    """Fee 100.00, own price 60.00 from 16 October 12:00, plan without the fee from 1 November: 50.00 + 30.00, then nothing."""
    account_id = terms_world.open_on_plan(database, fee="100.00", opened_at=OCTOBER)
    middle = datetime(2026, 10, 16, 12, tzinfo=UTC)
    own = catalog_world.want(
        database, account_id, sku_code="plan/platform", model="flat", parameters={"amount": "60.00"}, from_at=middle
    )
    catalog_world.override(database, catalog_world.staff(database), own)
    _subscribe(database, account_id, at=NOVEMBER)
    terms_world.use(database, account_id, Use(1, at=datetime(2026, 11, 3, tzinfo=UTC)), now=DECEMBER)
    terms_world.use(database, account_id, now=DECEMBER)  # November has begun with its usage, and is looked at again
    assert -world.balance(database, account_id).unbilled_minor == 5_000 + 3_000 + 1


@pytest.mark.parametrize(
    ("families", "starts_at", "refundable"),
    [
        ((), OCTOBER, 95_200),
        (("analytics",), OCTOBER, 95_200),
        (("compute",), OCTOBER, 0),
        ((), datetime(2026, 12, 1, tzinfo=UTC), 0),
    ],
)
def test_prepaid_money_stays_for_usage_that_no_commitment_covers(
    database: Database, families: tuple[str, ...], starts_at: datetime, refundable: int
) -> None:
    """952.00 in the wallet, 1,000.00 committed and paid, 800.00 used: 952.00 with 19 % where the commitment is for something else."""
    account_id = terms_world.open_on_plan(database, opened_at=OCTOBER)
    with database.transaction("jobs") as session:
        session.get_one(BillingAccount, account_id).policy = "prepaid"
    made = terms_world.contract(database, account_id, 100_000, families=families, starts_at=starts_at)
    world.pay(database, terms_world.sell(database, made.id), 119_000)
    world.top_up(database, account_id, 95_200)
    terms_world.use(database, account_id, Use(80_000))
    with database.reading() as session:
        left = refund_limits.funds(session, now=NOW, account_id=account_id, currency="USD")
    assert left.minor == refundable
