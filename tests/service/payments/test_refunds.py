"""Refunds to the card: two people, never more than was paid or than may leave, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from billing.accounts import heads
from billing.accounts.errors import AlreadyDecided, SecondPersonNeeded
from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.payments import acts, refund_offers, refund_outcomes, refunds
from billing.payments.errors import AboveRefundable, DisputedAccount
from billing.storage.database import Database
from tests import staff
from tests.service.payments.world import ASKER, DECIDER, SandboxCustomer, StripeCustomer, World, customer_of, open_world

StripeWorld = tuple[World, StripeCustomer]
# Money is spent by entries alone, without the invoice or usage behind them, which the self-check rightly misses.
BY_HAND = pytest.mark.tampers


def spend(
    world: World, minor: int, kind: str = "wallet_apply", debit: str = "wallet", credit: str = "receivable"
) -> None:
    """Money of the wallet goes to an invoice (or as the kind says), posted by hand."""
    with world.database.transaction() as session:
        entry = Entry(kind=kind, debit=debit, credit=credit, amount=Money(minor=minor, currency="USD"))
        book.post(
            session,
            now=world.now,
            head=heads.lock_one(session, world.account_id),
            type="test",
            source_type="test",
            source_id=f"{kind}-{next(world.keys)}",
            entries=[entry],
            occurred_at=world.now,
            actor="test",
        )


def outcomes(count: int, act: Callable[[int], Any]) -> tuple[list[Any], list[Refusal]]:
    """What `count` threads at once get: results and refusals."""

    def attempt(number: int) -> Any:
        try:
            return act(number)
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(attempt, range(count)))
    return [one for one in found if not isinstance(one, Refusal)], [one for one in found if isinstance(one, Refusal)]


def test_refund_goes_from_request_to_the_card(world: World) -> None:
    payment = world.top_up(5000)
    refund = world.ask(payment, 2000)
    assert (refund.state, world.held("wallet")) == ("requested", 5000)
    refund = world.approve(refund)
    assert (refund.state, refund.decided_by) == ("approved", DECIDER)
    assert (world.held("wallet"), world.held("refund_pending")) == (3000, 2000)
    refund = world.send(refund)
    assert refund.state == "succeeded"
    assert refund.provider_refund_id is not None
    assert (world.held("wallet"), world.held("refund_pending")) == (3000, 0)
    [left] = world.payments()
    assert (left.refunded_minor, left.rest_minor) == (2000, 3000)


def test_refund_in_parts_up_to_the_payment(world: World) -> None:
    payment = world.top_up(5000)
    for minor in (1, 1999, 3000):
        assert world.send(world.approve(world.ask(payment, minor))).state == "succeeded"
    assert world.held("wallet") == 0
    with pytest.raises(AboveRefundable) as refusal:
        world.ask(payment, 1)
    assert refusal.value.fields["limit_minor"] == 0


def test_second_refund_above_paid_amount_is_refused(world: World) -> None:
    payment = world.top_up(5000)
    world.top_up(5000)
    world.approve(world.ask(payment, 3000))
    with pytest.raises(AboveRefundable) as refusal:
        world.ask(payment, 2001)
    assert (refusal.value.fields["reason"], refusal.value.fields["limit_minor"]) == ("above_rest", 2000)


def test_requests_that_wait_count_against_the_next(world: World) -> None:
    payment = world.top_up(5000)
    world.ask(payment, 3000)
    with pytest.raises(AboveRefundable):
        world.ask(payment, 2001)
    with world.database.reading() as session:
        left = refund_offers.refundable(session, now=world.now, account_id=world.account_id, payment_id=payment.id)
    assert left == Money(minor=2000, currency="USD")


@BY_HAND
def test_spent_money_does_not_leave(world: World) -> None:
    payment = world.top_up(5000)
    spend(world, 3500)
    with pytest.raises(AboveRefundable) as refusal:
        world.ask(payment, 1501)
    assert (refusal.value.fields["reason"], refusal.value.fields["limit_minor"]) == ("above_funds", 1500)
    assert world.send(world.approve(world.ask(payment, 1500))).state == "succeeded"


@BY_HAND
def test_money_spent_after_the_request_stops_the_approval(world: World) -> None:
    refund = world.ask(world.top_up(5000), 5000)
    spend(world, 1)
    with pytest.raises(AboveRefundable):
        world.approve(refund)
    assert world.refund(refund).state == "requested"
    assert (world.held("wallet"), world.held("refund_pending")) == (4999, 0)


@BY_HAND
def test_gift_never_leaves_as_cash(database: Database) -> None:
    """Prepaid: top-up 100, 84.03 net used, gift 100: the tax on what the gift does not cover is kept back."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer, policy="prepaid")
        payment = world.top_up(10_000)
        spend(world, 10_000, kind="admin_credit", debit="promo_expense", credit="promo")
        spend(world, 8403, kind="usage_debit", debit="unbilled", credit="revenue:compute")
        with world.database.reading() as session:
            left = refund_offers.refundable(session, now=world.now, account_id=world.account_id, payment_id=payment.id)
        assert left.minor == 10_000
        spend(world, 10_000)
        with pytest.raises(AboveRefundable) as refusal:
            world.ask(payment, 1)
    assert refusal.value.fields["limit_minor"] == 0


@BY_HAND
def test_prepaid_keeps_back_pending_usage_with_its_tax(database: Database) -> None:
    """The house sells from Ireland to an Irish buyer: 23 %. 100.00 paid, 50.00 used: 50.00 x 1.23 = 61.50 stay, 38.50 may leave."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer, policy="prepaid")
        payment = world.top_up(10_000)
        spend(world, 5000, kind="usage_debit", debit="unbilled", credit="revenue:compute")
        with world.database.reading() as session:
            left = refund_offers.refundable(session, now=world.now, account_id=world.account_id, payment_id=payment.id)
    assert left.minor == 3850


@BY_HAND
def test_refund_during_a_dispute_is_refused(world: World) -> None:
    payment = world.top_up(5000)
    spend(world, 100, kind="chargeback_debit", debit="disputed", credit="cash:stripe")
    with pytest.raises(DisputedAccount):
        world.ask(payment, 10)


def test_requester_cannot_decide(world: World) -> None:
    refund = world.ask(world.top_up(5000), 100)
    with pytest.raises(SecondPersonNeeded):
        world.approve(refund, actor=ASKER)
    with pytest.raises(SecondPersonNeeded):
        world.reject(refund, "no", actor=ASKER)
    assert world.refund(refund).state == "requested"


@pytest.mark.tampers
def test_database_refuses_one_person_in_both_roles_and_more_than_was_paid(world: World) -> None:
    payment = world.top_up(5000)
    refund = world.ask(payment, 100)
    with pytest.raises(IntegrityError), world.database.transaction() as session:
        session.execute(text("UPDATE refund_requests SET decided_by = requested_by WHERE id = :id"), {"id": refund.id})
    with pytest.raises(IntegrityError), world.database.transaction() as session:
        session.execute(text("UPDATE payments SET refunded_minor = 5001 WHERE id = :id"), {"id": payment.id})


def test_rejected_refund_moves_nothing_and_says_why(world: World) -> None:
    refund = world.ask(world.top_up(5000), 100)
    row = world.reject(refund, "Already used")
    assert (row.state, row.decision_note, world.held("wallet")) == ("rejected", "Already used", 5000)
    with pytest.raises(AlreadyDecided):
        world.approve(refund)


def test_request_sent_twice_is_one_and_other_content_is_refused(world: World) -> None:
    payment = world.top_up(5000)
    first, second = world.ask(payment, 100, form_key="once"), world.ask(payment, 100, form_key="once")
    assert first.id == second.id
    with pytest.raises(Conflict):
        world.ask(payment, 200, form_key="once")


def test_payment_of_another_account_does_not_exist(world: World) -> None:
    payment, other = world.top_up(5000), open_world(world.database, world.customer, code="other")
    with pytest.raises(NotFound):
        other.ask(payment, 100)
    with pytest.raises(NotFound), world.database.reading() as session:
        refunds.get_request(session, refund_id=world.ask(payment, 1).id, account_id=other.account_id)


@pytest.mark.parametrize("reason", ["", "   \n ", "x" * 501, "nul \x00", "\ud800"])
def test_unusable_reasons_are_refused(world: World, reason: str) -> None:
    payment = world.top_up(5000)
    with pytest.raises(Invalid), world.database.transaction() as session:
        refunds.request(
            session,
            now=world.now,
            account_id=world.account_id,
            mode="card",
            amount=Money(minor=1, currency="USD"),
            reason=reason,
            form_key="f",
            actor=ASKER,
            payment_id=payment.id,
        )


def test_twenty_approvals_of_one_refund_give_one(world: World) -> None:
    refund = world.ask(world.top_up(5000), 5000)
    staff.hired(world.database, *(f"usr_{number}" for number in range(20)))
    done, refused = outcomes(20, lambda number: world.approve(refund, actor=f"usr_{number}"))
    assert (len(done), len(refused)) == (1, 19)
    assert {type(refusal) for refusal in refused} == {AlreadyDecided}
    assert (world.held("wallet"), world.held("refund_pending")) == (0, 5000)


@BY_HAND
def test_twenty_refunds_for_one_wallet_give_as_many_as_it_holds(database: Database) -> None:
    """Twenty payments of 10.00 each, 150.00 spent: of twenty refunds of 10.00 approved at once, five may go."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        waiting = [world.ask(world.top_up(1000), 1000) for _ in range(20)]
        spend(world, 15_000)
        done, refused = outcomes(20, lambda number: world.approve(waiting[number]))
    assert (len(done), len(refused)) == (5, 15)
    assert {type(refusal) for refusal in refused} == {AboveRefundable}
    assert (world.held("wallet"), world.held("refund_pending")) == (0, 5000)


def test_twenty_clicks_on_send_are_one_refund_at_the_provider(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    done, refused = outcomes(20, lambda _: world.send(refund))
    assert (len(done), refused) == (20, [])
    assert customer.peer.count_calls("POST", "/v1/refunds") == 1
    assert world.refund(refund).state == "succeeded"
    assert world.held("wallet") == 3000


def test_job_sends_what_was_approved(world: World) -> None:
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    assert acts.send_approved_refunds(world.database, world.providers, now=world.now) == 1
    assert acts.send_approved_refunds(world.database, world.providers, now=world.now) == 0
    assert world.refund(refund).state == "succeeded"


def test_job_leaves_refunds_of_a_provider_that_is_not_configured(world: World) -> None:
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    assert acts.send_approved_refunds(world.database, {}, now=world.now) == 0
    with pytest.raises(Invalid):
        acts.send_refund(world.database, {}, now=world.now, refund_id=refund.id)
    assert world.refund(refund).state == "approved"


def test_refund_that_the_bank_returns_after_success_is_back_in_the_wallet(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    refund = world.send(world.approve(world.ask(payment, 2000)))
    with customer.peer.playing() as objects:
        objects.set_refund(str(refund.provider_refund_id), "failed", "lost_or_stolen_card")
        told = [customer.peer.signed(event) for event in objects.events if "refund" in event["type"]]
    assert set(world.deliver(*told, *reversed(told))) == {"processed"}
    ended = world.refund(refund)
    assert (ended.state, ended.failure) == ("failed", "lost_or_stolen_card")
    assert (world.held("wallet"), world.held("refund_pending")) == (5000, 0)
    assert world.payments()[0].rest_minor == 5000
    assert world.send(world.approve(world.ask(payment, 5000))).state == "succeeded"


def test_sandbox_card_without_refunds_fails_and_the_wallet_gets_it_back(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        assert isinstance(customer, SandboxCustomer)
        customer.last4 = "5126"
        world = open_world(database, customer)
        refund = world.send(world.approve(world.ask(world.top_up(5000), 2000)))
        assert (refund.state, world.held("wallet"), world.held("refund_pending")) == ("sent", 3000, 0)
        world.later(minutes=11)
        from billing.payments.recovery import unknown

        assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
        assert world.refund(refund).state == "failed"
        assert (world.held("wallet"), world.held("refund_pending")) == (5000, 0)


def test_refund_that_the_provider_refuses_is_released(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    with customer.peer.playing() as objects:
        objects.create_refund({"payment_intent": payment.provider_payment_id})
    refund = world.send(world.approve(world.ask(payment, 2000)))
    assert (refund.state, refund.failure) == ("failed", "charge_already_refunded")
    assert (world.held("wallet"), world.held("refund_pending")) == (5000, 0)


def test_refund_of_another_amount_than_ours_is_kept_as_failed(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    refund = world.approve(world.ask(payment, 2000))
    with customer.peer.playing() as objects:
        objects.create_refund(
            {
                "payment_intent": payment.provider_payment_id,
                "amount": "1999",
                "metadata": {"plumbline_id": refund.id},
            }
        )
        told = customer.peer.signed(objects.events[-1])
    assert world.deliver(told) == ["failed"]
    assert str(world.events()[-1].note).startswith("amount_mismatch")
    assert (world.held("wallet"), world.held("refund_pending")) == (3000, 2000)


def test_only_an_approved_refund_begins_to_be_sent_and_only_once(world: World) -> None:
    refund = world.ask(world.top_up(5000), 2000)
    began = []
    for act in (None, world.approve, None):
        if act is not None:
            act(refund)
        with world.database.transaction() as session:
            began.append(refund_outcomes.begin_sending(session, now=world.now, refund_id=refund.id) is not None)
    assert began == [False, True, False]
