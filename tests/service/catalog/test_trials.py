"""Which shadow rating opens the gate, and until when."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from billing.catalog import trials
from billing.catalog.trials import Limits
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTENT = "a" * 64
RESULT = {"totals": [{"currency": "USD", "old_micro": "100", "new_micro": "104"}], "accounts": [], "movers": []}


def record(database: Database, *, at: datetime = NOW, **facts: Any) -> trials.Trial:
    whole: dict[str, Any] = {
        "book_code": "acme",
        "content_hash": CONTENT,
        "price_book_id": None,
        "from_at": NOW - timedelta(days=30),
        "to_at": NOW,
        "scope": {"account_ids": []},
        "row_bound": 1_000,
        "row_count": 10,
        "is_whole": True,
        "limits": Limits(total_percent="5", account_percent="20"),
        "is_inside": True,
        "result": RESULT,
        "actor": "mia",
    }
    with database.transaction("jobs") as session:
        return trials.record(session, now=at, **whole | facts)


def fresh(database: Database, now: datetime = NOW, content_hash: str = CONTENT) -> str | None:
    with database.reading("jobs") as session:
        found = trials.find_fresh(session, content_hash, now)
        return None if found is None else found.id


def test_a_trial_opens_the_gate_for_its_content_for_24_hours(database: Database) -> None:
    made = record(database)
    day = timedelta(hours=24)
    assert [fresh(database, NOW + age) for age in (timedelta(0), day, day + timedelta(seconds=1))] == [
        made.id,
        made.id,
        None,
    ]
    assert fresh(database, NOW - timedelta(seconds=1)) is None
    assert fresh(database, content_hash="b" * 64) is None
    with database.reading("jobs") as session:
        assert trials.get_trial(session, made.id) == made


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"is_whole": False}, "not_whole"),
        ({"scope": {"account_ids": ["bac_1"]}}, "some_accounts_only"),
        ({"row_count": 0}, "looked_at_nothing"),
        ({"is_inside": False}, "outside_limits"),
    ],
)
def test_a_trial_that_shows_too_little_opens_nothing(database: Database, facts: dict[str, Any], fault: str) -> None:
    made = record(database, **facts)
    assert made.fault == fault
    assert fresh(database) is None
    sound = record(database, at=NOW - timedelta(hours=1))
    assert fresh(database) == sound.id


def test_the_newest_trials_come_first(database: Database) -> None:
    ids = [record(database, at=NOW + timedelta(minutes=minute)).id for minute in range(3)]
    other = record(database, book_code="other", content_hash="b" * 64).id
    with database.reading("jobs") as session:
        assert [trial.id for trial in trials.list_trials(session, book_code="acme")] == ids[::-1]
        assert [trial.id for trial in trials.list_trials(session, content_hash="b" * 64)] == [other]
        assert len(trials.list_trials(session, limit=2)) == 2
        with pytest.raises(NotFound):
            trials.get_trial(session, "ptr_none\x00")


def test_a_trial_of_no_time_is_refused(database: Database) -> None:
    with pytest.raises(Invalid) as refusal:
        record(database, from_at=NOW)
    assert refusal.value.fields["reason"] == "ends_before_it_begins"


def test_limits_are_exact_and_hold_both_ways() -> None:
    limits = Limits(total_percent="5", account_percent="0.1")
    assert limits.is_total_inside(100, 105)
    assert limits.is_total_inside(100, 95)
    assert limits.is_total_inside(-100, -105)
    assert not limits.is_total_inside(100, Fraction(105) + Fraction(1, 10**12))
    assert not limits.is_account_inside(1_000, 1_002)
    assert limits.is_total_inside(0, 0)
    assert not limits.is_total_inside(0, 1)
    for wrong in ("-1", "1e2", "five", "", "1.1234567"):
        with pytest.raises(Invalid):
            Limits(total_percent=wrong, account_percent="1")
