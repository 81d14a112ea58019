"""What operators see of the business is what the tables hold: tenants, records, revenue that ties to the trial balance, the cycle."""

from datetime import UTC, datetime

from billing.assurance import business
from billing.assurance.business import Tie
from billing.ledger import trial_balance
from billing.rating import days
from billing.storage.database import Database
from tests.service.invoicing import world as invoicing_world
from tests.service.rating import world
from tests.service.rating.world import NOW, Use

SEPTEMBER, OCTOBER = datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 10, 10, tzinfo=UTC)


def lived(database: Database) -> tuple[str, str]:
    """Two tenants: one with two months, one with a month and a record without a price."""
    first, second = world.open_account(database, code="acme"), world.open_account(database, code="beta")
    world.use(database, first, Use(200, at=SEPTEMBER), Use(300, at=OCTOBER), Use(2, at=OCTOBER, meter="report"))
    world.use(database, second, Use(1_000, at=OCTOBER), Use(1, at=OCTOBER, meter="token_input"))
    for account_id in (first, second):
        world.rate(database, account_id)
        world.post(database, account_id)
        with database.transaction("jobs") as session:
            days.roll(session, account_id)
    return first, second


def test_each_figure_is_what_was_lived(database: Database) -> None:
    lived(database)
    with database.reading("jobs") as session:
        found = business.of(session, now=NOW)
        trial = {row.name: row.credit_minor for row in trial_balance.now(session).rows if row.owner == "house"}
    assert (found.labels[0], found.labels[-1], len(found.labels)) == ("2025-12", "2026-11", 12)
    active = {one.label: (one.tenant_count, one.record_count) for one in found.activity}
    assert (active["2026-08"], active["2026-09"], active["2026-10"], active["2026-11"]) == (
        (0, 0),
        (1, 1),
        (2, 3),
        (0, 0),
    )
    # 0.01 a query and 0.25 a report: 2.00 in September; 3.00, 0.50 and 10.00 in October
    revenue = {(row.label, row.currency, row.family): row.amount_minor for row in found.revenue}
    assert sum(revenue.values()) == 1_550 == trial["revenue:analytics"]
    assert {family for _, _, family in revenue} == {"analytics"}
    assert found.ties == (Tie(currency="USD", months_minor=1_550, trial_minor=1_550),)
    assert found.ties[0].is_same
    backlog = found.backlog
    assert (backlog.taken_in_count, backlog.unseen_count, backlog.unpriced_count, backlog.unposted_count) == (
        5,
        0,
        1,
        0,
    )


def test_the_cycle_says_where_each_period_stands(database: Database) -> None:
    _, second = lived(database)
    invoicing_world.draft(database, second)
    with database.reading("jobs") as session:
        cycle = {one.label: one for one in business.of(session, now=NOW).cycle}
        running = business.of(session, now=OCTOBER).cycle[-1]
    october = cycle["2026-10"]
    assert (october.open_count, october.ended_count, october.drafted_count, october.issued_count) == (0, 1, 1, 0)
    assert (cycle["2026-09"].ended_count, running.label, running.open_count) == (1, "2026-10", 2)


def test_a_sum_that_is_not_the_trial_balances_says_so() -> None:
    assert not Tie(currency="USD", months_minor=1, trial_minor=2).is_same


def test_an_empty_database_has_twelve_empty_months(database: Database) -> None:
    with database.reading("jobs") as session:
        found = business.of(session, now=NOW)
    assert found.revenue == () == found.ties
    assert {(one.tenant_count, one.record_count) for one in found.activity} == {(0, 0)}
