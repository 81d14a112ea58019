"""Reservations: usage matched hour by hour, worked by hand, and the same whatever the order in which it arrives."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import select

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.catalog import activations, onboarding, plans, reservations, terms
from billing.catalog.errors import ReservationEnded
from billing.catalog.items import Item
from billing.catalog.reservations import HOUR, Wanted
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.metering import records, reserved_hours
from billing.metering.tables import ReservedHour, UsageRecord
from billing.rating import price_changes, rater
from billing.rating.tables import RatedLine
from billing.storage.database import Database
from tests.service.rating import world as rating_world

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
GPU_MS = 21_000  # base units of one GPU in a millisecond
GPU_HOUR = GPU_MS * 3_600_000
BOOK = """
code = "gpu"
name = "GPU"
currency = "USD"
valid_from = 1970-01-01T00:00:00Z
""" + "".join(
    f"""
[[products]]
sku = "gpu/x900{"" if mode == "on_demand" else "-" + mode}"
meter = "gpu_hour"
variant = "x900"
mode = "{mode}"
name = "X900 {mode}"

[[prices]]
sku = "gpu/x900{"" if mode == "on_demand" else "-" + mode}"
model = "per_unit"
unit_price = "{price}"
"""
    for mode, price in (("on_demand", "3.00"), ("reserved", "2.00"), ("unused", "1.50"))
)


@dataclass(frozen=True)
class Ran:
    """GPUs that ran from an instant on, for so many minutes."""

    gpus: Fraction | int
    at: datetime = TEN
    minutes: int = 60
    project: str | None = None
    sign: int = 1
    allocation_id: str | None = None


def opened(database: Database, *, zone: str = "UTC", code: str = "acme", book: str = BOOK) -> str:
    with database.transaction("jobs") as session:
        loaded = activations.install(session, book, now=NOW, actor="test")
        if plans.find_plan(session, "gpu-plan") is None:
            plans.create_plan(
                session, now=NOW, code="gpu-plan", name="GPU", book_code=loaded.code, valid_from=plans.ALWAYS
            )
        return onboarding.open_account(session, now=NOW, code=code, zone=zone, plan_code="gpu-plan").id


def wanted(
    gpus: str = "8", *, starts_at: datetime = TEN, ends_at: datetime | None = None, name: str = "Training"
) -> Wanted:
    return Wanted(name=name, meter_code="gpu_hour", variant="x900", capacity=gpus, starts_at=starts_at, ends_at=ends_at)


def reserve(database: Database, account_id: str, asked: Wanted, *, now: datetime = NOW) -> str:
    with database.transaction("jobs") as session:
        return reservations.create(session, now=now, account_id=account_id, wanted=asked, actor="test").id


def tell(database: Database, account_id: str, *ran: Ran, now: datetime = NOW) -> None:
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        attributor = Attributor(session, now=now)
        pieces = []
        for one in ran:
            origin = records.Origin(
                source="test",
                source_id=new_id("evt"),
                allocation_id=one.allocation_id,
                project_id=attributor.project_id(account_id, one.project),
                member_id=None,
                resource="gpu-node/1",
                tags_json="{}",
                correlation_id=None,
                content_hash="0" * 64,
                import_id=None,
            )
            quantity = Fraction(one.gpus) * GPU_MS * one.minutes * 60_000 * one.sign
            assert quantity.denominator == 1
            window = (one.at, one.at + timedelta(minutes=one.minutes))
            pieces.append(records.Piece(origin, Item("gpu_hour", "x900"), window, quantity.numerator))
        records.insert(session, records.rows(head, pieces, now=now))


def match(database: Database, account_id: str, *, now: datetime = NOW) -> int:
    with database.transaction("jobs") as session:
        return reserved_hours.match_account(session, now=now, account_id=account_id)


def modes(database: Database, account_id: str, *, at: datetime | None = None) -> dict[str, Fraction]:
    """GPU-hours by mode, of one hour or of all."""
    with database.reading("jobs") as session:
        query = select(UsageRecord.mode, UsageRecord.quantity_base).where(UsageRecord.billing_account_id == account_id)
        if at is not None:
            query = query.where(UsageRecord.start_at >= at, UsageRecord.start_at < at + HOUR)
        sums: dict[str, Fraction] = {}
        for mode, base in session.execute(query):
            sums[mode] = sums.get(mode, Fraction(0)) + Fraction(base, GPU_HOUR)
        return {mode: total for mode, total in sums.items() if total}


def cost_minor(database: Database, account_id: str) -> Fraction:
    with database.transaction("jobs") as session:
        while rater.rate_account(session, now=NOW, account_id=account_id) >= 10_000:
            pass
        amounts = session.scalars(select(RatedLine.amount_micro).where(RatedLine.billing_account_id == account_id))
        return Fraction(sum(amounts), 10**6)


def of_hour_minor(database: Database, account_id: str) -> Fraction:
    """What the hour from ten has cost."""
    cost_minor(database, account_id)
    with database.reading("jobs") as session:
        amounts = session.scalars(
            select(RatedLine.amount_micro)
            .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
            .where(RatedLine.billing_account_id == account_id, UsageRecord.start_at < TEN + HOUR)
        )
        return Fraction(sum(amounts), 10**6)


# (reserved GPUs, what ran in the hour from ten, what each mode comes to in GPU-hours)
BY_HAND: list[tuple[str, tuple[Ran, ...], dict[str, str]]] = [
    ("8", (), {"unused": "8"}),
    ("8", (Ran(8),), {"reserved": "8"}),
    ("8", (Ran(5),), {"reserved": "5", "unused": "3"}),
    ("8", (Ran(11),), {"reserved": "8", "on_demand": "3"}),
    (
        "8",
        (Ran(4, minutes=30), Ran(1, at=TEN + timedelta(minutes=30), minutes=20)),
        {"reserved": "7/3", "unused": "17/3"},
    ),
    ("8", (Ran(16, minutes=30),), {"reserved": "8"}),  # an hour's capacity, not a level
    ("0.5", (Ran(Fraction(1, 7)),), {"reserved": "1/7", "unused": "5/14"}),
    ("2", (Ran(3), Ran(3, sign=-1)), {"unused": "2"}),
    ("2", (Ran(5), Ran(2, sign=-1)), {"reserved": "2", "on_demand": "1"}),
    ("4", (Ran(2, project="a"), Ran(2, project="b")), {"reserved": "4"}),
    ("3", (Ran(4, project="a"), Ran(2, project="b")), {"reserved": "3", "on_demand": "3"}),
    (
        "1",
        (Ran(1, at=TEN - timedelta(minutes=30), minutes=60),),
        {"reserved": "1/2", "on_demand": "1/2", "unused": "1/2"},
    ),
]


@pytest.mark.parametrize("is_late", [False, True])
def test_an_hour_is_what_was_worked_by_hand_told_in_time_or_late(database: Database, is_late: bool) -> None:
    for number, (gpus, ran, expected) in enumerate(BY_HAND):
        account_id = opened(database, code=f"case-{number}")
        reserve(database, account_id, wanted(gpus, ends_at=TEN + HOUR))
        if is_late:
            match(database, account_id)
        tell(database, account_id, *ran)
        match(database, account_id)
        assert modes(database, account_id) == {mode: Fraction(hours) for mode, hours in expected.items()}, number
        assert match(database, account_id) == 0


def test_what_it_costs_is_the_price_of_each_mode(database: Database) -> None:
    account_id = opened(database)
    reserve(database, account_id, wanted("8", ends_at=TEN + 2 * HOUR))
    tell(database, account_id, Ran(11), Ran(6, at=TEN + HOUR))
    # 8 x 2.00 + 3 x 3.00, then 6 x 2.00 + 2 x 1.50
    assert cost_minor(database, account_id) == 2500 + 1500
    tell(database, account_id, Ran(1, at=TEN + HOUR))
    # the seventh GPU was paid as unused: 0.50 more
    assert cost_minor(database, account_id) == 4050


def test_projects_share_by_what_they_used_and_each_pays_for_its_own_rest(database: Database) -> None:
    account_id = opened(database)
    reserve(database, account_id, wanted("3", ends_at=TEN + HOUR))
    tell(database, account_id, Ran(4, project="a"), Ran(2, project="b"))
    match(database, account_id)
    with database.reading("jobs") as session:
        rows = session.execute(
            select(UsageRecord.project_id, UsageRecord.mode, UsageRecord.quantity_base).where(
                UsageRecord.billing_account_id == account_id
            )
        ).all()
        (hour,) = session.scalars(select(ReservedHour)).all()
        assert (hour.used_base, hour.reserved_base, hour.unused_base, hour.revision) == (
            6 * GPU_HOUR,
            3 * GPU_HOUR,
            0,
            1,
        )
    sums: dict[tuple[str | None, str], int] = {}
    for project, mode, base in rows:
        sums[project, mode] = sums.get((project, mode), 0) + base
    assert sorted(base // GPU_HOUR for base in sums.values()) == [1, 1, 2, 2]


def test_what_is_reserved_leaves_at_the_price_it_came_at_also_where_that_is_locked(database: Database) -> None:
    account_id = opened(database)
    dearer = BOOK.replace("1970-01-01", "2026-11-19").replace("3.00", "4.00")
    with database.transaction("jobs") as session:
        price_changes.change_plan(
            session,
            now=NOW,
            code="gpu-plan",
            book_code="gpu",
            valid_from=plans.ALWAYS + timedelta(seconds=1),
            terms=terms.PlanTerms(locks_price=True),
            actor="test",
        )
        activations.install(session, dearer, now=NOW, actor="test")
    old = rating_world.allocate(database, account_id, TEN - timedelta(days=2))
    reserve(database, account_id, wanted("2"))
    tell(database, account_id, Ran(4, allocation_id=old))
    # Two hours at the locked 3.00, two reserved at 2.00, two of the next hour unused at 1.50; the day's 4.00 is nobody's price.
    assert cost_minor(database, account_id) == 1_300


def test_an_hour_that_has_not_ended_has_nothing_unused_yet(database: Database) -> None:
    account_id = opened(database)
    reserve(database, account_id, wanted("8"))
    tell(database, account_id, Ran(2, minutes=20))
    match(database, account_id, now=TEN + timedelta(minutes=30))
    assert modes(database, account_id) == {"reserved": Fraction(2, 3)}
    match(database, account_id, now=TEN + HOUR)
    assert modes(database, account_id) == {"reserved": Fraction(2, 3), "unused": Fraction(22, 3)}


def test_two_reservations_of_one_item_add_up_and_the_older_is_filled_first(database: Database) -> None:
    account_id = opened(database)
    first = reserve(database, account_id, wanted("4", ends_at=TEN + HOUR))
    second = reserve(database, account_id, wanted("4", ends_at=TEN + HOUR, name="More"))
    tell(database, account_id, Ran(5))
    match(database, account_id)
    assert modes(database, account_id) == {"reserved": Fraction(5), "unused": Fraction(3)}
    with database.reading("jobs") as session:
        by_id = {row.reservation_id: row.reserved_base // GPU_HOUR for row in session.scalars(select(ReservedHour))}
    assert by_id == {first: 4, second: 1}


def test_a_reservation_made_after_the_usage_moves_what_was_rated_already(database: Database) -> None:
    account_id = opened(database)
    tell(database, account_id, Ran(2))
    assert cost_minor(database, account_id) == 600
    reserve(database, account_id, wanted("2", ends_at=TEN + HOUR))
    assert cost_minor(database, account_id) == 400


def test_an_hour_with_a_month_in_it_has_a_part_on_each_side(database: Database) -> None:
    """In Kolkata November begins at 18:30 UTC: what is moved falls on the month it was used in."""
    account_id = opened(database, zone="Asia/Kolkata")
    at = datetime(2026, 10, 31, 18, tzinfo=UTC)
    reserve(database, account_id, wanted("2", starts_at=at, ends_at=at + HOUR))
    tell(database, account_id, Ran(1, at=at, minutes=30), Ran(4, at=at + timedelta(minutes=30), minutes=30))
    match(database, account_id)
    with database.reading("jobs") as session:
        parts = [
            (row.hour_at.minute, Fraction(row.reserved_base, GPU_HOUR), Fraction(row.unused_base, GPU_HOUR))
            for row in session.scalars(select(ReservedHour).order_by(ReservedHour.hour_at))
        ]
    assert parts == [(0, Fraction(1, 2), Fraction(1, 2)), (30, Fraction(1), Fraction(0))]


def test_other_usage_is_left_alone(database: Database) -> None:
    account_id = opened(database)
    reserve(database, account_id, wanted("1", ends_at=TEN + HOUR))
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        origin = records.Origin("test", "x", None, None, None, "r", "{}", None, "0" * 64, None)
        items = (Item("gpu_hour", "h200"), Item("gpu_hour", "x900", "spot"), Item("cpu_hour"))
        pieces = [
            records.Piece(origin._replace(source_id=str(item)), item, (TEN, TEN + HOUR), GPU_HOUR) for item in items
        ]
        records.insert(session, records.rows(head, pieces, now=NOW))
    match(database, account_id)
    with database.reading("jobs") as session:
        booked = session.scalars(select(UsageRecord.mode).where(UsageRecord.source.startswith("reservation/"))).all()
    assert booked == ["unused"]


def test_the_job_finds_accounts_with_ended_hours_and_no_others(database: Database) -> None:
    account_id = opened(database)
    reserve(database, account_id, wanted("1", starts_at=TEN, ends_at=TEN + 2 * HOUR))
    with database.reading("jobs") as session:
        assert reserved_hours.accounts_to_match(session, now=TEN + timedelta(minutes=59)) == []
        assert reserved_hours.accounts_to_match(session, now=TEN + HOUR) == [account_id]
    match(database, account_id, now=TEN + HOUR)
    with database.reading("jobs") as session:
        assert reserved_hours.accounts_to_match(session, now=TEN + HOUR) == []
    match(database, account_id, now=TEN + 9 * HOUR)
    assert modes(database, account_id) == {"unused": Fraction(2)}
    with database.reading("jobs") as session:
        assert reserved_hours.accounts_to_match(session, now=TEN + 99 * HOUR) == []


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"capacity": "0"}, "not_a_capacity"),
    ({"capacity": "-1"}, "not_a_capacity"),
    ({"capacity": "1e3"}, "not_a_capacity"),
    ({"capacity": "0.00001"}, "capacity_not_exact"),
    ({"starts_at": TEN + timedelta(minutes=1)}, "not_whole_hours"),
    ({"starts_at": datetime(2026, 11, 20, 10)}, "naive_time"),  # noqa: DTZ001
    ({"ends_at": TEN}, "ends_before_it_begins"),
    ({"starts_at": NOW - timedelta(days=500)}, "too_far_back"),
    ({"meter_code": "plan_fee", "variant": ""}, "not_reservable"),
    ({"meter_code": "cpu_hour", "variant": ""}, "no_mode_price"),
]


def test_what_cannot_be_reserved_is_refused(database: Database) -> None:
    account_id = opened(database)
    for changes, reason in REFUSED:
        facts = {"name": "x", "meter_code": "gpu_hour", "variant": "x900", "capacity": "8", "starts_at": TEN} | changes
        with pytest.raises(Invalid) as refusal:
            reserve(database, account_id, Wanted(**facts))  # type: ignore[arg-type]
        assert refusal.value.fields["reason"] == reason


def test_a_price_in_another_currency_is_refused(database: Database) -> None:
    euros = BOOK.replace("USD", "EUR")
    account_id = opened(database, book=euros)
    with pytest.raises(Invalid) as refusal:
        reserve(database, account_id, wanted())
    assert refusal.value.fields["reason"] == "mode_price_in_other_currency"
    with pytest.raises(Invalid) as other, database.transaction("jobs") as session:
        reservations.create(session, now=NOW, account_id=account_id, wanted=wanted(), actor="t", currency="EUR")
    assert other.value.fields["reason"] == "not_the_accounts_currency"


def test_a_reservation_ends_at_an_hour_that_has_not_begun(database: Database) -> None:
    account_id = opened(database)
    reservation_id = reserve(database, account_id, wanted("1"))

    def end(at: datetime, now: datetime = TEN + timedelta(minutes=10), owner: str = account_id) -> None:
        with database.transaction("jobs") as session:
            reservations.end(
                session, now=now, account_id=owner, reservation_id=reservation_id, ends_at=at, actor="test"
            )

    with pytest.raises(Invalid):
        end(TEN)
    with pytest.raises(NotFound):
        end(TEN + HOUR, owner=opened(database, code="other"))
    end(TEN + 3 * HOUR)
    end(TEN + HOUR)
    with pytest.raises(ReservationEnded):
        end(TEN + 9 * HOUR, now=TEN + HOUR)
    match(database, account_id)
    assert modes(database, account_id) == {"unused": Fraction(1)}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_change_of_price_that_was_not_known_when_its_hour_was_matched_leaves_the_hours_sums(
    database: Database, is_late: bool
) -> None:
    """8 reserved and 8 used all hour, told until 10:55; then a price is found to begin at 10:50: 8 GPU-hours reserved, none unused."""
    account_id = opened(database)
    reserve(database, account_id, wanted())
    until = TEN + timedelta(minutes=60 if is_late else 55)
    tell(database, account_id, Ran(8, minutes=60 if is_late else 55), now=until)
    match(database, account_id, now=until)
    rating_world.rate(database, account_id)
    change = BOOK.partition("\n\n")[0] + (
        '\n[[prices]]\nsku = "gpu/x900"\nmodel = "per_unit"\nunit_price = "3.50"\nvalid_from = 2026-11-20T10:50:00Z\n'
    )
    with database.transaction("jobs") as session:
        activations.install(session, change, now=until, actor="test")
    more = Ran(1, minutes=60) if is_late else Ran(8, at=until, minutes=5)
    tell(database, account_id, more, now=NOW)
    match(database, account_id, now=TEN + HOUR)
    wanted_hours = {"reserved": 8, "on_demand": 1} if is_late else {"reserved": 8}
    assert modes(database, account_id, at=TEN) == wanted_hours
    assert match(database, account_id, now=TEN + HOUR) == 0
    # 8 x 2.00, and the ninth GPU at 3.00: it was told as one window, which takes the price of its start.
    assert of_hour_minor(database, account_id) == 1_600 + (300 if is_late else 0)


@pytest.mark.parametrize("change_at", ["2026-11-20T10:55:00Z", "2026-11-20T10:00:00Z", "2026-11-20T09:20:00Z"])
def test_usage_that_was_told_across_a_change_of_price_leaves_at_the_price_it_came_at(
    database: Database, change_at: str
) -> None:
    """Eight GPUs of 08:30 to 11:00 in one record at 3.00; 3.50 begins inside it. Reserved from nine on, or nothing is left."""
    account_id = opened(database)
    since = TEN - timedelta(minutes=90)
    tell(database, account_id, Ran(8, at=since, minutes=150))
    rating_world.rate(database, account_id)
    assert cost_minor(database, account_id) == 6_000
    change = BOOK.partition("\n\n")[0] + (
        f'\n[[prices]]\nsku = "gpu/x900"\nmodel = "per_unit"\nunit_price = "3.50"\nvalid_from = {change_at}\n'
    )
    with database.transaction("jobs") as session, price_changes.guarded(session, [account_id], now=NOW):
        activations.install(session, change, now=NOW, actor="test")
    reserve(database, account_id, wanted("8", starts_at=TEN - HOUR, ends_at=TEN + HOUR))
    # Half an hour stays on demand: 4 x 3.00; two hours are reserved: 16 x 2.00.
    assert cost_minor(database, account_id) == 1_200 + 3_200
    assert modes(database, account_id) == {"on_demand": 4, "reserved": 16}
    tell(database, account_id, Ran(8, at=since, minutes=150, sign=-1))
    # Taken back whole: the capacity of two hours was not used.
    assert cost_minor(database, account_id) == 16 * 150
    assert modes(database, account_id) == {"unused": 16}
