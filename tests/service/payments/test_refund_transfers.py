"""Refunds by bank transfer: held at approval, booked when an operator says that the transfer left, back when it did not or came back."""

from datetime import date, timedelta

import pytest

from billing.accounts import directory
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.money import Money
from billing.payments import refund_transfers
from billing.payments.bank import transfers
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from billing.storage.database import Database
from tests.service.payments import refund_world as way
from tests.service.payments.world import DECIDER, World, customer_of, open_world

HELD = ("refund_hold", "wallet", "refund_pending", 2000)
SENT = ("bank_refund", "refund_pending", "cash:bank", 2000)


@pytest.fixture(params=["prepaid", "postpaid"])
def world(request: pytest.FixtureRequest, database: Database) -> World:
    with customer_of("sandbox", database) as customer:
        return open_world(database, customer, policy=request.param)


def transferred(world: World, minor: int = 5000) -> PaymentRow:
    """A payment that came by bank transfer."""
    with world.database.transaction() as session:
        account = directory.get_account(session, world.account_id)
        seller = directory.get_seller(session, account.seller_id)
        line = transfers.Line(
            bank_account=seller.bank_account or way.IBAN,
            bank_reference=f"line-{next(world.keys)}",
            value_on=world.now.date(),
            amount=Money(minor=minor, currency="USD"),
            payer="Calla GmbH",
        )
        transfers.book(session, now=world.now, account_id=world.account_id, line=line, actor=DECIDER)
    return world.payments()[0]


def confirm(world: World, refund: RefundRow, on: date | None = None, reference: str = "OUT-1") -> str:
    with world.database.transaction() as session:
        return refund_transfers.confirm(
            session,
            now=world.now,
            refund_id=refund.id,
            transfer_on=on or world.now.date(),
            reference=reference,
            actor=DECIDER,
        )


def give_up(world: World, refund: RefundRow) -> str:
    with world.database.transaction() as session:
        return refund_transfers.give_up(
            session, now=world.now, refund_id=refund.id, reason="Account closed", actor=DECIDER
        )


def take_back(world: World, refund: RefundRow, on: date) -> str:
    with world.database.transaction() as session:
        return refund_transfers.take_back(
            session, now=world.now, refund_id=refund.id, returned_on=on, reason="Account closed", actor=DECIDER
        )


def approved(world: World) -> RefundRow:
    return world.approve(way.ask(world, transferred(world), 2000, mode="bank"))


def test_transfer_that_left_is_booked_once_with_its_day_and_reference(world: World) -> None:
    refund = approved(world)
    assert (refund.state, world.held("refund_pending"), way.posted(world)) == ("approved", 2000, [HELD])
    world.later(days=1)
    assert [confirm(world, refund) for _ in range(2)] == ["succeeded", "succeeded"]
    ended = world.refund(refund)
    assert (ended.outcome, ended.transfer_reference, ended.transfer_on) == ("refunded", "OUT-1", world.now.date())
    assert ended.expected_on == world.now.date() + timedelta(days=3)
    assert way.posted(world) == [HELD, SENT]
    with pytest.raises(Conflict) as refused:
        confirm(world, refund, reference="OUT-2")
    assert refused.value.fields["reason"] == "transfer_confirmed"


def test_transfer_that_never_left_is_released(world: World) -> None:
    refund = approved(world)
    assert [give_up(world, refund) for _ in range(2)] == ["failed", "failed"]
    assert way.posted(world) == [HELD, ("refund_release", "refund_pending", "wallet", 2000)]
    assert (world.held("wallet"), world.payments()[0].rest_minor) == (5000, 5000)
    with pytest.raises(Conflict):
        confirm(world, refund)


def test_transfer_that_came_back_returns_to_the_wallet(world: World) -> None:
    refund = approved(world)
    confirm(world, refund)
    world.later(days=4)
    assert [take_back(world, refund, world.now.date()) for _ in range(2)] == ["failed", "failed"]
    assert way.posted(world) == [HELD, SENT, ("refund_return", "cash:bank", "wallet", 2000)]
    assert world.refund(refund).outcome == "returned"
    again = world.approve(way.ask(world, world.payments()[0], 5000, mode="bank"))
    assert confirm(world, again, reference="OUT-2") == "succeeded"


@pytest.mark.parametrize("days", [-1, 1])
def test_day_before_the_approval_or_after_today_is_refused(world: World, days: int) -> None:
    refund = approved(world)
    with pytest.raises(Invalid) as refused:
        confirm(world, refund, world.now.date() + timedelta(days=days))
    assert refused.value.fields["reason"] == "transfer_day_outside"
    assert world.refund(refund).state == "approved"


def test_money_goes_back_the_way_it_came(world: World) -> None:
    payment = transferred(world)
    with pytest.raises(Invalid) as refused:
        world.ask(payment, 100)
    assert refused.value.fields["reason"] == "not_paid_by_card"
    with pytest.raises(Invalid) as refused:
        way.ask(world, world.top_up(5000), 100, mode="bank")
    assert refused.value.fields["reason"] == "card_first"
    with pytest.raises(Invalid) as refused:
        way.ask(world, payment, 100, mode="bank", iban="DE00370400440532013000")
    assert refused.value.fields["reason"] == "iban_wrong"


def test_card_that_did_not_take_it_is_followed_by_a_transfer(world: World) -> None:
    world.customer.last4 = "5126"  # type: ignore[attr-defined]
    from billing.payments import refund_acts

    payment = world.top_up(5000)
    failed = world.send(world.approve(world.ask(payment, 2000)))
    refund_acts.refresh_refund(world.database, world.providers, now=world.now, refund_id=failed.id)
    refund = world.approve(way.ask(world, payment, 2000, mode="bank"))
    assert confirm(world, refund) == "succeeded"
    assert world.payments()[0].rest_minor == 3000
