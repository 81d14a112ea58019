"""Shadow rating: stored usage under candidate prices, beside what was charged, with nothing written but the trial."""

import hashlib
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import text

from billing.accounts import heads
from billing.catalog import books, trials
from billing.catalog.items import Item
from billing.catalog.trials import Limits
from billing.kernel.errors import Invalid, NotFound
from billing.metering import records
from billing.rating import shadow, shadow_candidates
from billing.rating.shadow import Outcome, Question
from billing.storage.columns import Base
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, OCTOBER, Use


def ask(
    database: Database,
    candidate: str,
    *,
    from_at: datetime = OCTOBER,
    to_at: datetime = NOVEMBER,
    account_ids: tuple[str, ...] = (),
    limits: Limits = shadow.DEFAULT_LIMITS,
    rows: int = shadow.DEFAULT_ROWS,
) -> Outcome:
    """Try a book's text in one snapshot."""
    with database.reading("jobs") as session:
        question = Question(
            candidate=shadow_candidates.of_text(session, candidate),
            from_at=from_at,
            to_at=to_at,
            account_ids=account_ids,
            limits=limits,
            row_bound=rows,
        )
        return shadow.run(session, question)


def sides(outcome: Outcome) -> tuple[int, int]:
    """(current, candidate) of the one currency, in millionths of a minor unit."""
    (total,) = outcome.result["totals"] or [{"old_micro": "0", "new_micro": "0"}]
    return int(total["old_micro"]), int(total["new_micro"])


def cents(outcome: Outcome) -> tuple[Fraction, Fraction]:
    old, new = sides(outcome)
    return Fraction(old, 10**6), Fraction(new, 10**6)


# What 130 units in two records (70, 60) cost under each model, worked by hand, beside 130 x 0.01 = 130 cents in force.
BY_HAND: list[tuple[str, dict[str, str], int]] = [
    ("per_unit", {"unit_price": "0.02"}, 260),
    ("flat", {"amount": "5"}, 500),
    ("package", {"package_size": "50", "package_price": "0.40"}, 120),  # three packages
    ("allowance", {"free": "100", "unit_price": "0.03"}, 90),  # 30 x 3
]


@pytest.mark.parametrize(("model", "numbers", "expected"), BY_HAND, ids=[each[0] for each in BY_HAND])
def test_each_model_costs_what_was_worked_by_hand(
    database: Database, model: str, numbers: dict[str, str], expected: int
) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(70, project="a"), Use(60, project="b"))
    world.rate(database, account_id)
    found = ask(database, world.book(model, code="default", valid_from="2027-01-01T00:00:00Z", **numbers))
    assert cents(found) == (130, expected)
    assert (found.row_count, found.is_whole) == (2, True)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("graduated", 180),  # 100 x 1.5 + 30 x 1
        ("volume", 130),  # 130 x 1
    ],
)
def test_tiers_cost_what_was_worked_by_hand(database: Database, model: str, expected: int) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(70), Use(60))
    world.rate(database, account_id)
    found = ask(
        database,
        world.tiered(model, ("100", "0.015"), (None, "0.010"), code="default", starts=["2027-01-01T00:00:00Z"]),
    )
    assert cents(found) == (130, expected)


def test_prices_in_force_give_no_difference_to_the_last_millionth(database: Database) -> None:
    odd = world.tiered("graduated", ("33", "0.000000000007"), ("70", "0.333333333333"), (None, "0.1"))
    account_id = world.open_account(database, book=odd, zone="Asia/Kolkata")
    uses = [Use(n % 17 + 1, project=str(n % 3), at=OCTOBER + timedelta(hours=37 * n)) for n in range(40)]
    world.use(database, account_id, *reversed(uses))
    world.rate(database, account_id, limit=7)
    found = ask(database, odd, from_at=OCTOBER + timedelta(days=5), to_at=NOVEMBER + timedelta(days=3))
    old, new = sides(found)
    assert old == new > 0
    assert found.result["movers"] == []
    assert found.is_inside
    assert found.row_count < 40
    middle = [bar for bar in found.result["distribution"] if bar["from"] == bar["to"]]
    assert [bar["lines"] for bar in middle] == [found.row_count]


def test_models_of_one_price_stand_on_one_counter(database: Database) -> None:
    """Two GPU models without prices of their own share the bounds of the price of any."""
    tiers = world.tiered("graduated", ("100", "0.03"), (None, "0.01"))
    account_id = world.open_account(database, book=tiers)
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        at = OCTOBER + timedelta(days=3)
        origin = records.Origin("test", "one", None, None, None, "r", "{}", None, "0" * 64, None)
        pieces = [
            records.Piece(origin._replace(source_id=variant), Item("query", variant), (at, at), 70)
            for variant in ("small", "large")
        ]
        records.insert(session, records.rows(head, pieces, now=NOW))
    world.rate(database, account_id)
    # 100 x 3 + 40 x 1
    assert cents(ask(database, tiers)) == (340, 340)
    dearer = world.tiered("graduated", ("100", "0.06"), (None, "0.02"), starts=["2027-01-01T00:00:00Z"])
    assert cents(ask(database, dearer)) == (340, 680)


def test_a_change_of_price_inside_a_month_gives_no_difference_either(database: Database) -> None:
    starts = ("1970-01-01T00:00:00Z", "2026-10-16T00:00:00Z")
    halves = world.tiered("graduated", ("1000", "1.00"), (None, "0.50"), starts=starts)
    account_id = world.open_account(database, book=halves)
    uses = [Use(700, at=OCTOBER + timedelta(days=days)) for days in (2, 9, 18, 25)]
    world.use(database, account_id, *uses)
    world.rate(database, account_id)
    found = ask(database, halves)
    assert sides(found)[0] == sides(found)[1] > 0
    assert found.result["movers"] == []


def test_a_stretch_inside_a_month_starts_where_the_months_counter_stands(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(100, at=OCTOBER), Use(50, at=OCTOBER + timedelta(days=20)))
    world.rate(database, account_id)
    tiers = world.tiered("graduated", ("100", "1"), (None, "0.5"), code="default", starts=["2027-01-01T00:00:00Z"])
    found = ask(database, tiers, from_at=OCTOBER + timedelta(days=10))
    assert cents(found) == (50, 2500)
    assert (found.row_count, found.result["rows_read"]) == (1, 2)


def test_accounts_outside_a_limit_are_counted_and_named_first(database: Database) -> None:
    small, large = (world.open_account(database, code=code) for code in ("small", "large"))
    world.use(database, small, Use(10, meter="report"))
    world.use(database, large, Use(100_000))
    for account_id in (small, large):
        world.rate(database, account_id)
    dearer = world.book(
        "per_unit", code="default", sku="analytics/report", unit_price="0.31", valid_from="2027-01-01T00:00:00Z"
    )
    found = ask(database, dearer)
    # 10 reports: 250 -> 310 cents, 24 %; in all 100,250 -> 100,310 cents
    assert cents(found) == (100_250, 100_310)
    assert not found.is_inside
    assert found.result["outside_count"] == 1
    assert [(row["code"], row["is_inside"]) for row in found.result["accounts"]] == [("small", False), ("large", True)]
    assert found.result["skus"][0]["sku"] == "analytics/report"
    (mover,) = found.result["movers"]
    assert (mover["account_id"], mover["sku"], int(mover["new_micro"]) - int(mover["old_micro"])) == (
        small,
        "analytics/report",
        60_000_000,
    )
    assert ask(database, dearer, limits=Limits(total_percent="5", account_percent="24")).is_inside
    assert ask(database, dearer, account_ids=(large,)).is_inside


def test_candidate_keys_are_the_same_in_every_run(database: Database) -> None:
    account_id = world.open_account(database)
    (usage_id,) = world.use(database, account_id, Use(5))
    world.rate(database, account_id)
    candidate = world.book("per_unit", code="default", unit_price="0.02", valid_from="2027-01-01T00:00:00Z")
    first, second = (ask(database, candidate) for _ in range(2))
    assert first.result == second.result
    key = first.result["movers"][0]["key"]
    expected = hashlib.sha256(
        f'["candidate-line/1","{first.question.candidate.content_hash}","{usage_id}"]'.encode()
    ).hexdigest()
    assert key == expected


def test_an_empty_history_is_inside(database: Database) -> None:
    world.open_account(database)
    found = ask(database, world.book("per_unit", code="default", unit_price="9", valid_from="2027-01-01T00:00:00Z"))
    assert (found.row_count, found.is_whole, found.is_inside) == (0, True, True)
    assert found.result["totals"] == []


def test_a_bound_stops_the_run_and_says_so(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, *(Use(1) for _ in range(5)))
    world.rate(database, account_id)
    candidate = world.book("per_unit", code="default", unit_price="0.01", valid_from="2027-01-01T00:00:00Z")
    cut = ask(database, candidate, rows=3)
    assert (cut.row_count, cut.is_whole) == (3, False)
    assert ask(database, candidate, rows=5).is_whole


def test_a_book_of_no_plan_is_tried_in_the_place_of_every_plans(database: Database) -> None:
    first, second = (
        world.open_account(database),
        world.open_account(database, book=world.book("per_unit", unit_price="1"), code="other"),
    )
    for account_id in (first, second):
        world.use(database, account_id, Use(10))
        world.rate(database, account_id)
    found = ask(database, world.book("per_unit", code="idea", unit_price="0.5"))
    assert found.result["is_everywhere"]
    assert cents(found) == (10 + 1000, 500 + 500)


def test_usage_that_the_candidate_has_no_price_for_is_named_and_never_inside(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(10), Use(1, meter="report"))
    world.rate(database, account_id)
    found = ask(database, world.book("per_unit", code="idea", unit_price="0.01"))
    assert [(row["item"], row["reason"], row["rows"], row["old_micro"]) for row in found.result["unpriced"]] == [
        ("report", "no_price", 1, "25000000")
    ]
    assert not found.is_inside


def test_usage_that_waits_and_would_have_a_price_is_shown_beside_the_totals(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    world.use(database, account_id, Use(1), Use(4, meter="report"))
    world.rate(database, account_id)
    two = world.book("per_unit", unit_price="1") + (
        '\n[[prices]]\nsku = "analytics/report"\nmodel = "per_unit"\nunit_price = "2"\n'
    )
    found = ask(database, two)
    assert cents(found) == (100, 100)
    assert [(row["sku"], row["rows"], row["new_micro"]) for row in found.result["waiting"]] == [
        ("analytics/report", 1, "800000000")
    ]


def test_of_several_new_prices_the_last_is_tried_and_the_others_are_named(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(10))
    world.rate(database, account_id)
    starts = ("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z")
    found = ask(database, world.tiered("volume", (None, "0.01"), code="default", starts=starts))
    assert [row["valid_from"] for row in found.result["untried"]] == [starts[0]]
    assert not found.is_inside


def test_a_loaded_version_is_tried_as_its_file_is(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    world.use(database, account_id, Use(10))
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        (book,) = [book for book in books.list_books(session) if book.code == "own"]
        candidate = shadow_candidates.of_version(session, book.id)
        found = shadow.run(session, Question(candidate=candidate, from_at=OCTOBER, to_at=NOVEMBER))
    assert (cents(found), candidate.content_hash) == ((1000, 1000), book.content_hash)


def test_nothing_is_written_but_the_trial(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(10, project="a"), Use(3, at=OCTOBER - timedelta(days=40)))
    world.rate(database, account_id)
    world.post(database, account_id)
    before = digests(database)
    found = ask(database, world.book("per_unit", code="default", unit_price="0.02", valid_from="2027-01-01T00:00:00Z"))
    assert digests(database) == before
    with database.transaction("jobs") as session:
        trial = shadow.record(session, found, now=NOW, actor="test")
        assert trials.get_trial(session, trial.id).result == found.result
    after = digests(database)
    assert {name for name in after if after[name] != before[name]} == {"price_trials", "audit_log"} & set(after)


def digests(database: Database) -> dict[str, str]:
    """A hash of every row of every table."""
    with database.reading("jobs") as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            rows: list[Any] = [repr(tuple(row)) for row in session.execute(text(f'SELECT * FROM "{table.name}"'))]
            found[table.name] = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
        return found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to_at": OCTOBER}, "ends_before_it_begins"),
        ({"from_at": datetime(2026, 10, 1)}, "naive_time"),  # noqa: DTZ001
        ({"rows": 0}, "row_bound"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(database: Database, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        ask(database, world.book("per_unit", unit_price="1"), **changes)
    assert refusal.value.fields["reason"] == reason


def test_an_account_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        ask(database, world.book("per_unit", unit_price="1"), account_ids=("nobody",))
