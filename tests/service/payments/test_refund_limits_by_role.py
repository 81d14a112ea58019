"""What a role may ask for and allow in refunds: data that two people change, held under races."""

import pytest
from sqlalchemy import text

from billing.controls import second_person
from billing.kernel.errors import Conflict, Invalid
from billing.payments import refund_authority
from billing.payments.errors import AboveAuthority
from billing.storage.database import Database
from tests import staff
from tests.service.payments import refund_world as way
from tests.service.payments.test_refunds import outcomes
from tests.service.payments.world import World, customer_of, open_world


@pytest.fixture
def world(database: Database) -> World:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        with database.transaction("jobs") as session:
            staff.hire_two(session)
        return world


def set_limit(world: World, role: str, per_refund: int | None, per_day: int | None) -> None:
    with world.database.transaction() as session:
        asked = refund_authority.request(
            session,
            now=world.now,
            role=role,
            currency="USD",
            per_refund_minor=per_refund,
            per_day_minor=per_day,
            maker=staff.MAKER,
            reason="New limits",
        )
        staff.approve(session, asked, now=world.now)


def test_limit_is_in_force_once_a_second_person_agreed(world: World) -> None:
    with world.database.transaction() as session:
        asked = refund_authority.request(
            session,
            now=world.now,
            role="approver",
            currency="USD",
            per_refund_minor=1000,
            per_day_minor=None,
            maker=staff.MAKER,
            reason="First limits",
        )
        assert refund_authority.in_force(session) == []
        with pytest.raises(Conflict):
            refund_authority.request(
                session,
                now=world.now,
                role="approver",
                currency="USD",
                per_refund_minor=9000,
                per_day_minor=None,
                maker=staff.MAKER,
                reason="Another at the same time",
            )
        staff.approve(session, asked, now=world.now)
    with world.database.reading() as session:
        [rule] = refund_authority.in_force(session)
    assert (rule.per_refund_minor, rule.per_day_minor, rule.set_by, rule.approved_by) == (
        1000,
        None,
        staff.MAKER,
        staff.CHECKER,
    )


def test_approver_allows_up_to_the_limit_and_another_role_above(world: World) -> None:
    set_limit(world, "approver", 1000, None)
    payment = world.top_up(5000)
    small, large = world.ask(payment, 1000), world.ask(payment, 1001)
    assert (world.approve(small).policy or {})["role"] == "approver"
    with pytest.raises(AboveAuthority) as refused:
        world.approve(large)
    assert (refused.value.fields["reason"], refused.value.fields["limit_minor"]) == ("above_role_refund", 1000)
    assert world.refund(large).state == "requested"
    staff.hired(world.database, "usr_chief", role="admin")
    assert world.approve(large, actor="usr_chief").state == "approved"


def test_limit_of_a_day_counts_what_one_person_allowed_and_ends_with_the_day(world: World) -> None:
    world.now = world.now.replace(hour=8)
    set_limit(world, "approver", 1000, 1500)
    payment = world.top_up(5000)
    first, second = world.ask(payment, 1000), world.ask(payment, 501)
    world.approve(first)
    with pytest.raises(AboveAuthority) as refused:
        world.approve(second)
    assert (refused.value.fields["reason"], refused.value.fields["limit_minor"]) == ("above_role_day", 500)
    world.later(days=1)
    assert world.approve(second).state == "approved"


def test_maker_asks_up_to_the_limit_and_a_tenant_is_not_held_by_it(world: World) -> None:
    set_limit(world, "maker", 0, 0)
    payment = world.top_up(5000)
    with pytest.raises(AboveAuthority):
        way.ask(world, payment, 1, actor=staff.MAKER)
    assert way.ask(world, payment, 5000, actor="usr_of_the_tenant").state == "requested"


def test_many_approvals_at_once_stay_within_the_day(world: World) -> None:
    """Ten refunds of 10.00 of ten accounts, one person, 30.00 a day: three go."""
    set_limit(world, "approver", None, 3000)
    waiting = []
    for number in range(10):
        other = open_world(world.database, world.customer, code=f"other{number}")
        waiting.append((other, other.ask(other.top_up(1000), 1000)))
    done, refused = outcomes(10, lambda number: waiting[number][0].approve(waiting[number][1]))
    assert (len(done), {type(refusal) for refusal in refused}) == (3, {AboveAuthority})


@pytest.mark.parametrize(
    ("role", "currency", "per_refund", "per_day", "reason"),
    [
        ("viewer", "USD", 1, None, "unknown_role"),
        ("approver", "XXQ", 1, None, "unknown_currency"),
        ("approver", "USD", -1, None, "amount_out_of_range"),
        ("approver", "USD", 200, 100, "day_below_refund"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    world: World, role: str, currency: str, per_refund: int | None, per_day: int | None, reason: str
) -> None:
    with pytest.raises(Invalid) as refused, world.database.transaction() as session:
        refund_authority.request(
            session,
            now=world.now,
            role=role,
            currency=currency,
            per_refund_minor=per_refund,
            per_day_minor=per_day,
            maker=staff.MAKER,
            reason="x",
        )
    assert refused.value.fields["reason"] == reason


@pytest.mark.tampers
def test_limits_are_never_changed_in_place(world: World) -> None:
    set_limit(world, "approver", 1000, None)
    with pytest.raises(Exception, match=r"append-only|permission denied"), world.database.transaction() as session:
        session.execute(text("UPDATE refund_role_limits SET per_refund_minor = 999999"))


def test_limit_that_changed_meanwhile_is_not_set(world: World) -> None:
    with world.database.transaction() as session:
        asked = refund_authority.request(
            session,
            now=world.now,
            role="approver",
            currency="USD",
            per_refund_minor=1000,
            per_day_minor=None,
            maker=staff.MAKER,
            reason="One",
        )
        second_person.withdraw(session, now=world.now, approval_id=asked.id, maker=staff.MAKER)
    set_limit(world, "approver", 1000, None)
    with pytest.raises(Invalid) as refused:
        set_limit(world, "approver", 1000, None)
    assert refused.value.fields["reason"] == "limit_unchanged"
