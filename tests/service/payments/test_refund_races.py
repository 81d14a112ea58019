"""Fifty at once on one refund and on one payment, on both engines: as much leaves as was paid, never a cent more."""

from billing.accounts.errors import AlreadyDecided
from billing.payments import refund_outcomes
from billing.payments.errors import AboveRefundable
from billing.storage.database import Database
from tests import staff
from tests.service.payments import refund_world as way
from tests.service.payments.test_refund_ways import paid_invoice
from tests.service.payments.test_refunds import outcomes
from tests.service.payments.world import customer_of, open_world

MANY = 50


def test_fifty_approvals_of_one_refund_hold_it_once(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        refund = world.ask(world.top_up(5000), 5000)
        people = [f"usr_{number}" for number in range(MANY)]
        staff.hired(database, *people)
        done, refused = outcomes(MANY, lambda number: world.approve(refund, actor=people[number]))
    assert (len(done), {type(refusal) for refusal in refused}) == (1, {AlreadyDecided})
    assert way.posted(world) == [("refund_hold", "wallet", "refund_pending", 5000)]


def test_fifty_requests_of_one_payment_ask_for_no_more_than_was_paid(database: Database) -> None:
    """50.00 paid, the wallet holds more: of fifty that ask for 3.00 at once, sixteen may."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        payment = world.top_up(5000)
        world.top_up(50_000)
        done, refused = outcomes(MANY, lambda number: world.ask(payment, 300, form_key=f"at-once-{number}"))
    assert (len(done), {type(refusal) for refusal in refused}) == (16, {AboveRefundable})


def test_credit_notes_and_refunds_of_one_invoice_at_once_leave_the_books_right(database: Database) -> None:
    """119.00 paid; behind credit notes 50.00, 40.00 and 29.00 go at once, each approved by several."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        invoice, payment = paid_invoice(world)
        asked = [way.ask(world, payment, minor, invoice=invoice) for minor in (5000, 4000, 2900)]
        people = [f"usr_{number}" for number in range(12)]
        staff.hired(database, *people)
        done, refused = outcomes(12, lambda number: world.approve(asked[number % 3], actor=people[number]))
        assert (len(done), {type(refusal) for refusal in refused}) == (3, {AlreadyDecided})
        assert (world.held("wallet"), world.held("refund_pending")) == (0, 11_900)
        sent, _ = outcomes(12, lambda number: world.send(asked[number % 3]))
    assert {row.state for row in sent} <= {"sent", "succeeded"}
    assert sum(minor for kind, _, _, minor in way.posted(world) if kind == "provider_refund") == 11_900


def test_the_same_outcome_told_by_many_at_once_is_booked_once(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        refund = world.send(world.approve(world.ask(world.top_up(5000), 2000)))
        facts = world.provider.fetch_refund(str(refund.provider_refund_id))

        def tell(_number: int) -> str:
            with database.transaction() as session:
                return refund_outcomes.record_outcome(
                    session, now=world.now, refund_id=refund.id, facts=facts, actor="provider:sandbox"
                )

        assert set(outcomes(20, tell)[0]) == {"succeeded"}
    assert len(way.posted(world)) == 2
