"""Plans with terms, and the history of what an account is on."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.catalog import plans, subscriptions
from billing.catalog.errors import PlanExists
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from tests.service.catalog import world
from tests.service.catalog.world import EVER, NOW

TEXT = """code = "gold"
name = "Gold"
book = "gpu-cloud"
valid_from = 2026-01-01T00:00:00Z
[terms]
fees = ["platform"]
minimum = { USD = "1000.00" }
"""
LATER = NOW + timedelta(days=30)


def load(database: Database, text: str) -> int:
    with database.transaction("jobs") as session:
        return plans.load(session, text, now=NOW, actor="cli:test").version


def test_a_plan_is_read_with_its_terms_and_its_next_version_supersedes_it(database: Database) -> None:
    assert load(database, TEXT) == 1
    assert load(database, TEXT) == 1
    assert load(database, TEXT.replace("1000.00", "2000.00").replace("2026-01-01", "2026-12-01")) == 2
    with database.reading("jobs") as session:
        rows = plans.list_versions(session, "gold")
    assert [(row.version, row.terms.minimums[0].minor) for row in rows] == [(1, 100_000), (2, 200_000)]
    assert rows[0].terms.fees == ("platform",)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"platform"', '"desk"', "unknown_fee"),
        ("book =", "boook =", "unknown_key"),
        ("T00:00:00Z", "", "naive_time"),
        ("name =", "#", "missing"),
        ("[terms]", "[[terms]]", "not_a_table"),
    ],
)
def test_a_plan_that_cannot_be_right_is_refused_whole(database: Database, old: str, new: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        load(database, TEXT.replace(old, new))
    assert refusal.value.fields["reason"] == reason
    with database.reading("jobs") as session:
        assert plans.find_plan(session, "gold") is None


def test_other_terms_from_the_same_instant_are_refused(database: Database) -> None:
    load(database, TEXT)
    with pytest.raises(PlanExists):
        load(database, TEXT.replace("1000.00", "2000.00"))


def test_a_plan_needs_a_book_of_which_something_is_in_force(database: Database) -> None:
    world.load(database, world.book("candidate", ("analytics/query", "1", EVER)))
    for code in ("candidate", "nowhere"):
        with pytest.raises(NotFound):
            load(database, TEXT.replace('"gpu-cloud"', f'"{code}"').replace('fees = ["platform"]', ""))


def test_an_accounts_history_says_which_version_of_which_plan_it_was_on(database: Database) -> None:
    account_id = world.open_account(database)
    load(database, TEXT)
    load(database, TEXT.replace("1000.00", "2000.00").replace("2026-01-01", "2027-01-01"))
    with database.transaction("jobs") as session:
        subscriptions.subscribe(session, now=NOW, account_id=account_id, plan_code="gold", valid_from=NOW)
        subscriptions.subscribe(session, now=NOW, account_id=account_id, valid_from=NOW + timedelta(days=90))
    with database.reading("jobs") as session:
        rows = subscriptions.list_subscriptions(session, account_id)
        found = subscriptions.stretches(session, account_id)
        now = subscriptions.plan_at(session, account_id, NOW)
        assert subscriptions.plan_at(session, account_id, plans.ALWAYS - timedelta(days=1)) is None
    assert [(row.plan_code, row.until_at) for row in rows] == [
        ("default", NOW),
        ("gold", NOW + timedelta(days=90)),
        ("default", None),
    ]
    new_year = datetime(2027, 1, 1, tzinfo=UTC)
    assert [(one.plan.code, one.plan.version, one.from_at, one.until_at) for one in found] == [
        ("default", 1, plans.ALWAYS, NOW),
        ("gold", 1, NOW, new_year),
        ("gold", 2, new_year, NOW + timedelta(days=90)),
        ("default", 1, NOW + timedelta(days=90), None),
    ]
    assert now is not None
    assert now.plan.terms.fees == ("platform",)


def test_a_plan_begins_at_most_ten_years_ahead(database: Database) -> None:
    account_id = world.open_account(database)
    far = NOW + timedelta(days=3_654)
    with pytest.raises(Invalid) as version:
        load(database, TEXT.replace("2026-01-01", "9999-01-01"))
    with pytest.raises(Invalid) as subscription, database.transaction("jobs") as session:
        subscriptions.subscribe(session, now=NOW, account_id=account_id, valid_from=far)
    for refusal in (version, subscription):
        assert (refusal.value.fields["field"], refusal.value.fields["reason"]) == ("valid_from", "too_far_ahead")
    with database.transaction("jobs") as session:
        subscriptions.subscribe(session, now=NOW, account_id=account_id, valid_from=far - timedelta(days=1))


def test_a_minimum_is_in_the_currency_of_every_account_on_the_plan(database: Database) -> None:
    account_id = world.open_account(database)
    euros = TEXT.replace("USD", "EUR")
    assert load(database, euros) == 1

    def subscribe(at: datetime) -> None:
        with database.transaction("jobs") as session:
            subscriptions.subscribe(session, now=NOW, account_id=account_id, plan_code="gold", valid_from=at)

    with pytest.raises(Invalid) as refusal:
        subscribe(NOW)
    assert refusal.value.fields["reason"] == "minimum_in_other_currency"
    assert (refusal.value.fields["currency"], refusal.value.fields["plan"]) == ("USD", "gold")
    both = TEXT.replace("{ USD", '{ EUR = "900.00", USD')
    assert load(database, both.replace("2026-01-01", f"{LATER:%Y-%m-%d}")) == 2
    with pytest.raises(Invalid):
        subscribe(NOW)  # the first version holds until then
    subscribe(LATER)
    with pytest.raises(Invalid) as change:
        load(database, euros.replace("2026-01-01", "2027-06-01"))
    assert change.value.fields["reason"] == "minimum_in_other_currency"
    with database.transaction("jobs") as session:
        subscriptions.subscribe(session, now=NOW, account_id=account_id, valid_from=LATER + timedelta(days=30))
    assert load(database, euros.replace("2026-01-01", "2027-06-01")) == 3
