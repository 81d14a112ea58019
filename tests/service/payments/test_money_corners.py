"""Where two ways of money cross: a booking taken back, a loss, a refund nobody asked us for, and what was written off, credited or drawn."""

import pytest

from billing.invoicing import credit_notes, settlement
from billing.invoicing.tables import InvoiceHeader
from billing.ledger import reversal
from billing.ledger.errors import NotReversible
from billing.payments import apply
from billing.payments.charges import agreements
from billing.storage.database import Database
from tests.service.invoicing import terms_world, test_write_offs
from tests.service.invoicing import world as invoicing
from tests.service.payments import refund_world as way
from tests.service.payments.charging import charging_at
from tests.service.payments.disputing import Bank
from tests.service.payments.test_bank_transfers import book, held, line, taken_back
from tests.service.payments.test_payment_listing import foreign, found, read
from tests.service.payments.test_top_ups import low
from tests.service.payments.world import NOW, Delivery, SandboxCustomer, StripeCustomer, World, open_world


def credited(database: Database, invoice: InvoiceHeader, minor: int) -> None:
    with database.transaction() as session:
        credit_notes.credit(
            session, now=invoicing.NOW, invoice_id=invoice.id, reason="Part", actor="usr_ann", amount_minor=minor
        )


def open_minor(database: Database, invoice: InvoiceHeader) -> int:
    with database.reading() as session:
        return settlement.open_minor(session, invoice.id)


def sold(database: Database, account_id: str) -> InvoiceHeader:
    """A commitment of 1,000.00 net, 1,190.00 gross, of which 800.00 are drawn."""
    made = terms_world.contract(database, account_id, 100_000)
    return terms_world.sell(database, made.id)


def draw(database: Database, account_id: str) -> None:
    invoicing.used(database, account_id, invoicing.Use(80_000))
    invoicing.issued(database, account_id)


def test_a_transfer_taken_back_gives_nobody_what_a_credit_note_took_off_its_write_off(database: Database) -> None:
    """119.00 written off, 100.00 paid after all, 50.00 credited: 19.00 of it against what was left written off, 31.00 to the wallet.

    Without the payment, the 50.00 are all against the write-off: nothing was ever paid, so nothing is in the wallet.
    """
    invoice = invoicing.invoice_of(database, 10_000)
    test_write_offs._written_off(database, invoice, 11_900)
    paid = book(database, invoice.billing_account_id, line(10_000), (invoice.id, 10_000))
    credited(database, invoice, 5_000)
    assert held(database, invoice.billing_account_id) == (3_100, 0)
    taken_back(database, paid)
    assert held(database, invoice.billing_account_id) == (0, 0)
    assert open_minor(database, invoice) == 0


def test_a_transfer_taken_back_opens_all_of_a_sale_whatever_was_drawn_since(database: Database) -> None:
    account_id = invoicing.open_account(database)
    sale = sold(database, account_id)
    paid = book(database, account_id, line(119_000), (sale.id, 119_000))
    draw(database, account_id)
    taken_back(database, paid)
    assert open_minor(database, sale) == 119_000
    assert held(database, account_id) == (0, -119_000)


def test_a_lost_dispute_opens_all_of_a_sale_whatever_was_drawn_since(database: Database) -> None:
    world = open_world(database, SandboxCustomer(database), code="other")
    world.account_id = invoicing.open_account(database)
    world.now = max(NOW, invoicing.NOW)
    sale = sold(database, world.account_id)
    row = world.start(119_000, purpose="invoice", invoice_id=sale.id)
    world.deliver(*world.customer.pay(row))
    draw(database, world.account_id)
    bank = Bank(world)
    world.deliver(*bank.dispute(world.payments()[0]))
    world.deliver(*bank.decide("lost"))
    assert (open_minor(database, sale), world.held("wallet")) == (119_000, 0)


def test_a_foreign_refund_can_be_adopted_though_the_rest_was_charged_back(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    params = {"payment_intent": payment.provider_payment_id, "amount": "2000"}
    way.play(world, customer, lambda objects: objects.create_refund(params))
    bank = Bank(world)
    world.deliver(*bank.dispute(payment, amount=5000))
    world.deliver(*bank.decide("lost"))
    [case] = way.cases(world)
    ended = world.approve(way.ask_adoption(world, case.id))
    assert (ended.state, world.held("wallet")) == ("succeeded", -2000)


def test_a_wallet_that_is_low_because_its_money_is_disputed_is_not_filled_from_the_same_card(
    database: Database,
) -> None:
    with charging_at("sandbox", database) as charging:
        low(charging)
        assert charging.top_up() == "paid"
        world, bank = charging.world, Bank(charging.world)
        world.now = NOW
        world.deliver(*bank.dispute(world.payments()[0]))
        assert (charging.run(), charging.top_up()) == (0, "disputed")
        world.later(minutes=1)
        world.deliver(*bank.decide("lost"))
        assert (charging.top_up(), charging.top_up()) == ("dispute_lost", "not_agreed")
        with database.reading() as session:
            assert agreements.get(session, world.account_id).off_reason == "dispute_lost"
        world.later(minutes=1)
        charging.agree(top_up=(2_000, 10_000, 25_000))
        assert charging.top_up() == "paid"


def test_a_refund_that_is_heard_of_before_its_payment_becomes_a_case(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world
    paid = customer.pay(world.start(5000))
    assert set(world.deliver(*refunded(customer, "2000"))) == {"ignored", "received"}
    world.deliver(*paid)
    world.later(minutes=5)
    assert apply.apply_pending(world.database, world.providers, now=world.now) == 1
    assert [case.amount_minor for case in way.cases(world)] == [2000]


def test_a_refund_of_a_payment_without_an_owner_is_noted_with_it(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    foreign(customer)
    world.later(minutes=2)
    assert read(world) == 1
    assert [one.is_given_back for one in found(world)] == [False]
    assert set(world.deliver(*refunded(customer, "700"))) == {"processed"}
    assert [one.is_given_back for one in found(world)] == [True]


def test_money_that_a_provider_holds_is_not_taken_back_in_the_books_alone(database: Database) -> None:
    """Its payment could be refunded on, from the next top-up, and the provider's balance would differ for ever."""
    world = open_world(database, SandboxCustomer(database))
    payment = world.top_up(5_000)
    with database.reading() as session, pytest.raises(NotReversible) as refused:
        reversal.content_of(session, payment.transaction_id)
    assert refused.value.fields["reason"] == "of_the_provider"


def refunded(customer: StripeCustomer, minor: str) -> list[Delivery]:
    """The newest payment is refunded at the provider's own pages."""
    with customer.peer.playing() as objects:
        before, newest = len(objects.events), objects.all("payment_intent")[0]["id"]
        objects.create_refund({"payment_intent": newest, "amount": minor})
        return [customer.peer.signed(event) for event in objects.events[before:]]
