"""The worked numbers of the money core that concern rating: usage in, lines, what the ledger holds. Each is one test."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from billing.assurance import replay
from billing.catalog import activations
from billing.catalog.meters import METERS
from billing.kernel.clock import to_rfc3339
from billing.rating import periods, price_changes
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use

HALF = datetime(2026, 11, 16, tzinfo=UTC)
EARLY, LATE = NOVEMBER + timedelta(days=3), NOVEMBER + timedelta(days=18)
BENT = (("1000", "1.00"), (None, "0.50"))


def bring_in(database: Database, account_id: str, *uses: Use) -> list[int]:
    """Take usage in, rate and post it; what the ledger then holds of each charge, in minor units."""
    world.use(database, account_id, *uses)
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading("jobs") as session:
        assert replay.replay(session).differences == ()
        return [charge.posted_minor for charge in world.charges(session, account_id)]


def orders(*uses: Use) -> Iterable[tuple[Use, ...]]:
    return [uses, tuple(reversed(uses))]


def test_allowance_100_three_projects_using_100_each_are_200_charged(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("allowance", free="100", unit_price="0.01"))
    assert bring_in(database, account_id, *(Use(100, project=name) for name in "abc")) == [200]


@pytest.mark.parametrize("uses", orders(Use(100, project="a"), Use(100, project="b")))
def test_two_tiers_over_two_projects_in_any_order_are_2_50(database: Database, uses: tuple[Use, ...]) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", ("100", "0.015"), (None, "0.010")))
    assert bring_in(database, account_id, *uses) == [250]


@pytest.mark.parametrize("is_known", [True, False], ids=["known before", "known late"])
def test_a_change_at_half_the_period_makes_two_counters_of_650(database: Database, is_known: bool) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    if not is_known:
        assert bring_in(database, account_id, Use(800, at=EARLY)) == [80_000]
    with database.transaction("jobs") as session, price_changes.guarded(session, [account_id], now=NOW):
        text = world.tiered("graduated", *BENT, starts=(to_rfc3339(HALF),))
        activations.install(session, text, now=NOW, actor="test")
    late = [Use(800, at=LATE)]
    assert bring_in(database, account_id, *([Use(800, at=EARLY), *late] if is_known else late)) == [65_000, 65_000]


def test_ten_million_tokens_at_six_billionths_are_six_cents_however_they_come(database: Database) -> None:
    book = world.book("per_unit", sku="inference/token_input", unit_price="0.000000006")
    account_id = world.open_account(database, book=book)
    # one by one they would round to 0.10 or to nothing; ten records of a million posted one after the other stay exact
    held = [bring_in(database, account_id, Use(1_000_000, meter="token_input"))[0] for _ in range(10)]
    # 0.6, 1.2, 1.8, ... cents, each rounded once
    assert held == [1, 1, 2, 2, 3, 4, 4, 5, 5, 6]


def test_833333_tokens_at_six_billionths_are_posted_as_nothing(database: Database) -> None:
    book = world.book("per_unit", sku="inference/token_input", unit_price="0.000000006")
    account_id = world.open_account(database, book=book)
    assert bring_in(database, account_id, Use(833_333, meter="token_input")) == [0]
    with database.reading("jobs") as session:
        # 0.4999998 cents, in millionths of a cent
        assert [line.amount_micro for line in world.lines(session, account_id)] == [500_000]


def test_volume_900_billed_and_200_late_are_20_less(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("volume", ("1000", "1.00"), (None, "0.80")))
    assert bring_in(database, account_id, Use(900, at=EARLY)) == [90_000]
    world.close(database, account_id, "drf_november")
    # the next generation of the same charge, for the next document
    assert bring_in(database, account_id, Use(200, at=EARLY)) == [90_000, -2_000]


def test_graduated_1500_less_100_are_1200(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    assert bring_in(database, account_id, Use(1_500, at=EARLY)) == [125_000]
    assert bring_in(database, account_id, Use(-100, at=EARLY)) == [120_000]


def test_thirty_minutes_of_four_gpus_and_twenty_of_one_are_seven_thirds_of_a_gpu_hour(database: Database) -> None:
    meter = METERS["gpu_hour"]
    minute = meter.base_per_unit // 60
    used = 4 * 30 * minute + 20 * minute
    assert meter.to_units(used) == Fraction(7, 3)  # 2.333 GPU-hours
    account_id = world.open_account(database, book=world.book("per_unit", sku="compute/gpu_hour", unit_price="3"))
    assert bring_in(
        database, account_id, Use(4 * 30 * minute, meter="gpu_hour"), Use(20 * minute, meter="gpu_hour")
    ) == [700]


@pytest.mark.parametrize(("label", "hours"), [("2026-03", 743), ("2026-10", 745)])
def test_berlin_months_have_743_and_745_hours(database: Database, label: str, hours: int) -> None:
    meter = METERS["cpu_hour"]
    account_id = world.open_account(
        database, book=world.book("per_unit", sku="compute/cpu_hour", unit_price="1"), zone="Europe/Berlin"
    )
    middle = datetime(2026, int(label[5:]), 15, tzinfo=UTC)
    world.use(database, account_id, Use(1, meter="cpu_hour", at=middle))
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        (period,) = periods.list_periods(session, account_id)
        assert period.label == label
        assert (period.end_at - period.start_at) == timedelta(hours=hours)
    whole = bring_in(database, account_id, Use(hours * meter.base_per_unit - 1, meter="cpu_hour", at=middle))
    assert whole == [hours * 100]
