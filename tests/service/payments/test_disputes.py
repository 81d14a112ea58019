"""What disputes do to the books, worked by hand: in any order, any number of times, on prepaid and postpaid accounts."""

from collections.abc import Iterator
from itertools import permutations

import pytest
from sqlalchemy import select

from billing.accounts import heads
from billing.assurance import selfcheck
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.payments import webhooks
from billing.payments.disputes import postings, standing, states
from billing.payments.disputes.tables import Dispute
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.service.invoicing import world as invoicing
from tests.service.payments.disputing import Bank, booked, happened, invoice_state, the_dispute
from tests.service.payments.world import NOW, SandboxCustomer, StripeCustomer, World, customer_of, open_world

HELD = ("chargeback_debit", "disputed", "cash:stripe")
FEE = ("dispute_fee", "dispute_fees", "cash:stripe", 1500)
BACK = ("chargeback_reversal", "cash:stripe", "disputed")


@pytest.fixture
def world(database: Database) -> World:
    """An account that pays in the sandbox; what differs between providers is shown with both (`either`)."""
    return open_world(database, SandboxCustomer(database))


@pytest.fixture(params=["sandbox", "stripe"])
def either(request: pytest.FixtureRequest, database: Database) -> Iterator[World]:
    """An account that pays through the sandbox, and one that pays through Stripe's SDK against the peer."""
    with customer_of(request.param, database) as customer:
        yield open_world(database, customer)


@pytest.fixture
def bank(world: World) -> Bank:
    return Bank(world)


@pytest.fixture
def billed(world: World) -> tuple[World, InvoiceHeader]:
    """An invoice of 100.00 net, 119.00 gross, to an account of its own."""
    invoice = invoicing.invoice_of(world.database, 10_000, code="billed")
    world.account_id, world.now = invoice.billing_account_id, max(NOW, invoicing.NOW)
    return world, invoice


def pay(world: World, invoice: InvoiceHeader, minor: int) -> None:
    row = world.start(minor, purpose="invoice", invoice_id=invoice.id)
    assert set(world.deliver(*world.customer.pay(row))) == {"processed"}


def told(world: World) -> list[str]:
    """Topics of the notices about disputes."""
    with world.database.reading("jobs") as session:
        topics = session.scalars(select(OutboxMessage.topic).order_by(OutboxMessage.id))
        return [topic for topic in topics if "dispute" in topic]


def test_a_disputed_top_up_is_held_and_its_fee_is_the_houses(world: World, bank: Bank) -> None:
    payment = world.top_up(5_000)
    assert set(world.deliver(*bank.dispute(payment))) == {"processed"}
    assert booked(world) == [(*HELD, 5_000), FEE]
    item = the_dispute(world)
    assert (item.state, item.funds, item.payment_id, item.amount_minor) == (
        "needs_response",
        "withdrawn",
        payment.id,
        5_000,
    )
    assert (world.held("wallet"), world.held("disputed"), world.held("balance")) == (5_000, -5_000, 0)
    assert told(world) == ["dispute.opened", "payment.disputed"]
    with world.database.reading() as session:
        assert standing.is_open(session, payment_id=payment.id)
        assert postings.charged_back_minor(session, payment.id) == 5_000


def test_won_brings_the_money_back(either: World) -> None:
    world, bank = either, Bank(either)
    payment = world.top_up(5_000)
    world.deliver(*bank.dispute(payment))
    world.deliver(*bank.decide("won"))
    assert booked(world) == [(*HELD, 5_000), FEE, (*BACK, 5_000)]
    item = the_dispute(world)
    assert (item.state, item.funds, world.held("wallet"), world.held("disputed")) == ("won", "reinstated", 5_000, 0)
    assert told(world) == ["dispute.opened", "payment.disputed", "dispute.won", "payment.dispute_ended"]
    with world.database.reading() as session:
        assert not standing.is_open(session, payment_id=payment.id)
        assert postings.charged_back_minor(session, payment.id) == 0


def test_lost_top_up_leaves_the_wallet(either: World) -> None:
    world, bank = either, Bank(either)
    payment = world.top_up(5_000)
    world.deliver(*bank.dispute(payment))
    world.deliver(*bank.decide("lost"))
    assert booked(world) == [(*HELD, 5_000), FEE, ("chargeback_final", "wallet", "disputed", 5_000)]
    assert (world.held("wallet"), world.held("disputed"), the_dispute(world).funds) == (0, 0, "withdrawn")


def test_lost_money_that_was_given_back_already_makes_the_wallet_negative(world: World, bank: Bank) -> None:
    """50.00 paid, 20.00 refunded to the card, all 50.00 charged back: 20.00 are owed to us."""
    payment = world.top_up(5_000)
    world.send(world.approve(world.ask(payment, 2_000)))
    world.deliver(*bank.dispute(payment, amount=5_000))
    world.deliver(*bank.decide("lost"))
    assert (world.held("wallet"), world.held("disputed"), world.held("balance")) == (-2_000, 0, -2_000)


def test_a_dispute_may_be_of_less_than_the_payment(world: World, bank: Bank) -> None:
    payment = world.top_up(5_000)
    world.deliver(*bank.dispute(payment, amount=1_234))
    world.deliver(*bank.decide("lost"))
    assert booked(world) == [(*HELD, 1_234), FEE, ("chargeback_final", "wallet", "disputed", 1_234)]
    assert world.held("wallet") == 3_766


def test_an_inquiry_moves_no_money(world: World, bank: Bank) -> None:
    payment = world.top_up(5_000)
    world.deliver(*bank.dispute(payment, is_inquiry=True))
    item = the_dispute(world)
    assert (item.state, item.funds, item.is_inquiry, booked(world)) == ("needs_response", "none", True, [])
    with world.database.reading() as session:
        assert standing.is_open(session, payment_id=payment.id)
        assert not standing.is_open(session, payment_id=payment.id, with_inquiries=False)
    world.deliver(*bank.decide("closed"))
    assert (the_dispute(world).state, booked(world), told(world)) == ("closed", [], ["dispute.opened"])


def test_an_inquiry_may_become_a_dispute(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    bank = Bank(world)
    pay(world, invoice, 11_900)
    world.deliver(*bank.dispute(world.payments()[0], is_inquiry=True))
    assert invoice_state(world, invoice.id) == ("paid", 0)
    world.deliver(*bank.decide("disputed"))
    assert (invoice_state(world, invoice.id), booked(world)) == (("disputed", 0), [(*HELD, 11_900), FEE])
    assert the_dispute(world).is_inquiry is False


def test_a_lost_dispute_opens_its_invoice_again(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    bank = Bank(world)
    pay(world, invoice, 11_900)
    world.deliver(*bank.dispute(world.payments()[0]))
    assert (invoice_state(world, invoice.id), world.held("receivable")) == (("disputed", 0), 0)
    world.deliver(*bank.decide("lost"))
    assert booked(world) == [(*HELD, 11_900), FEE, ("chargeback_final", "receivable", "disputed", 11_900)]
    assert (world.held("receivable"), world.held("wallet"), world.held("disputed")) == (-11_900, 0, 0)
    state, due_minor = invoice_state(world, invoice.id)
    assert (state in ("issued", "overdue"), due_minor) == (True, 11_900)
    with world.database.reading() as session:
        assert standing.was_lost(session, invoice_id=invoice.id)
        assert not standing.is_open(session, invoice_id=invoice.id)
    pay(world, invoice, 11_900)
    assert invoice_state(world, invoice.id) == ("paid", 0)


def test_a_loss_divides_as_the_payment_was_credited(billed: tuple[World, InvoiceHeader]) -> None:
    """119.00 for an invoice with 100.00 open: 100.00 receivable, 19.00 wallet. 50.00 lost: 42.02 and 7.98."""
    world, invoice = billed
    bank = Bank(world)
    first = world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    second = world.start(1_900, purpose="invoice", invoice_id=invoice.id)
    world.deliver(*world.customer.pay(second))
    world.deliver(*world.customer.pay(first))
    paid = next(payment for payment in world.payments() if payment.session_id == first.id)
    world.deliver(*bank.dispute(paid, amount=5_000))
    world.deliver(*bank.decide("lost"))
    assert booked(world)[2:] == [
        ("chargeback_final", "receivable", "disputed", 4_202),
        ("chargeback_final", "wallet", "disputed", 798),
    ]
    assert (world.held("receivable"), world.held("wallet")) == (-4_202, 1_102)
    assert invoice_state(world, invoice.id)[1] == 4_202


def test_money_that_comes_back_after_a_loss_pays_the_invoice_again(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    bank = Bank(world)
    pay(world, invoice, 11_900)
    world.deliver(*bank.dispute(world.payments()[0]))
    for outcome in ("lost", "reinstated"):
        world.deliver(*bank.decide(outcome))
    assert booked(world)[2:] == [
        ("chargeback_final", "receivable", "disputed", 11_900),
        (*BACK, 11_900),
        ("chargeback_final", "disputed", "receivable", 11_900),
    ]
    assert (world.held("receivable"), world.held("disputed"), invoice_state(world, invoice.id)) == (0, 0, ("paid", 0))


def test_money_that_comes_back_for_an_invoice_paid_again_is_the_wallets(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    bank = Bank(world)
    pay(world, invoice, 11_900)
    world.deliver(*bank.dispute(world.payments()[0]))
    world.deliver(*bank.decide("lost"))
    pay(world, invoice, 10_000)
    world.deliver(*bank.decide("reinstated"))
    assert booked(world)[-2:] == [
        ("chargeback_final", "disputed", "receivable", 1_900),
        ("chargeback_final", "disputed", "wallet", 10_000),
    ]
    assert (world.held("receivable"), world.held("wallet"), world.held("disputed")) == (0, 10_000, 0)


def test_funds_may_be_withdrawn_once_more(world: World, bank: Bank) -> None:
    payment = world.top_up(5_000)
    world.deliver(*bank.dispute(payment))
    for outcome in ("won", "withdrawn"):
        world.deliver(*bank.decide(outcome))
    assert booked(world) == [
        (*HELD, 5_000), FEE, (*BACK, 5_000), (*HELD, 5_000), ("chargeback_final", "wallet", "disputed", 5_000)
    ]  # fmt: skip
    assert (the_dispute(world).state, the_dispute(world).funds, world.held("wallet")) == ("lost", "withdrawn", 0)
    world.deliver(*bank.decide("reinstated"))
    assert (the_dispute(world).state, world.held("wallet"), world.held("disputed")) == ("won", 5_000, 0)


def test_an_invoice_credited_since_is_not_owed_again(billed: tuple[World, InvoiceHeader]) -> None:
    """Paid 119.00, credited whole into the wallet, then charged back: the wallet gives it, nothing is open."""
    from billing.payments import refunds
    from tests.service.payments.test_invoice_payments import ask_credit

    world, invoice = billed
    bank = Bank(world)
    pay(world, invoice, 11_900)
    credited = world.approve(ask_credit(world, invoice, 11_900))
    assert (credited.state, world.held("wallet")) == ("succeeded", 11_900)
    assert isinstance(credited, refunds.RefundRow)
    world.deliver(*bank.dispute(world.payments()[0]))
    world.deliver(*bank.decide("lost"))
    assert booked(world)[-1] == ("chargeback_final", "wallet", "disputed", 11_900)
    assert (world.held("wallet"), world.held("receivable"), invoice_state(world, invoice.id)) == (0, 0, ("credited", 0))


@pytest.mark.parametrize("policy", ["prepaid", "postpaid"])
def test_prepaid_and_postpaid_book_alike(world: World, policy: str) -> None:
    other = open_world(world.database, world.customer, code=f"other-{policy}", policy=policy)
    bank = Bank(other)
    payment = other.top_up(5_000)
    other.deliver(*bank.dispute(payment))
    assert (other.held("balance"), other.held("available")) == (0, 0)
    other.deliver(*bank.decide("lost"))
    assert booked(other) == [(*HELD, 5_000), FEE, ("chargeback_final", "wallet", "disputed", 5_000)]


def test_any_order_and_repetition_of_the_events_books_the_same(either: World) -> None:
    world, bank = either, Bank(either)
    payment = world.top_up(5_000)
    deliveries = [*bank.dispute(payment), *bank.decide("lost")]
    for order in permutations(deliveries):
        world.deliver(*order, *order)
    assert booked(world) == [(*HELD, 5_000), FEE, ("chargeback_final", "wallet", "disputed", 5_000)]
    with world.database.reading("jobs") as session:
        assert len(list(session.scalars(select(Dispute)))) == 1
    assert happened(world).count("state_lost") == 1


def test_a_look_that_was_overtaken_is_done_again(world: World, bank: Bank) -> None:
    """Two workers ask; the slower one holds an older answer, which must not be the last word."""
    from billing.payments.disputes import taking
    from billing.payments.errors import OutcomeUnknown

    payment = world.top_up(5_000)
    opened = bank.dispute(payment)
    with world.database.reading("jobs") as session:
        version = taking.find_version(session, provider=world.provider.name, provider_dispute_id=bank.newest())
    old = world.provider.fetch_dispute(bank.newest())
    world.deliver(*opened[:1], *bank.decide("won"))
    with pytest.raises(OutcomeUnknown), world.database.transaction("jobs") as session:
        taking.record(
            session,
            now=world.now,
            provider=world.provider.name,
            is_live=False,
            facts=old,
            version=version,
            actor="test",
        )
    assert the_dispute(world).state == "won"


def test_a_dispute_that_comes_before_its_payment_waits_for_it(world: World) -> None:
    bank = Bank(world)
    row = world.start(5_000)
    paid = world.customer.pay(row)
    paid_id = _intent_of(world, row.provider_session_id or "")
    disputed = bank.dispute(_Paid(paid_id))  # type: ignore[arg-type]
    assert world.deliver(disputed[0]) == ["received"]
    world.deliver(*paid)
    assert set(world.deliver(*disputed)) == {"processed"}
    assert (world.held("disputed"), the_dispute(world).finding) == (-5_000, None)


class _Paid:
    def __init__(self, provider_payment_id: str) -> None:
        self.provider_payment_id = provider_payment_id


def _intent_of(world: World, checkout_id: str) -> str:
    facts = world.provider.fetch_checkout(checkout_id)
    assert facts.payment is not None
    return facts.payment.id


def test_a_dispute_of_a_payment_we_do_not_know_is_a_case_and_posts_nothing(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world

    def foreign(objects: object) -> None:
        from tests.peers import drive

        v1 = drive.client_of(customer.peer).v1
        params = {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
                  "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}  # fmt: skip
        customer.peer.foreign = v1.payment_intents.create(params).id  # type: ignore[attr-defined]

    foreign(None)
    deliveries = customer._told(lambda objects: objects.dispute(customer.peer.foreign))  # type: ignore[attr-defined]
    assert set(world.deliver(*deliveries)) == {"processed"}
    item = the_dispute(world)
    assert (item.finding, item.billing_account_id, item.state) == ("payment_unknown", None, "needs_response")
    assert booked(world) == []


def test_a_converted_dispute_is_held_in_the_currency_of_the_payment(stripe_world: tuple[World, StripeCustomer]) -> None:
    """50.00 USD disputed, taken from the balance as 46.30 EUR at 0.926."""
    world, customer = stripe_world
    payment = world.top_up(5_000)
    deliveries = customer._told(lambda objects: objects.dispute(payment.provider_payment_id))
    dispute = Bank(world).item(Bank(world).newest())
    dispute["balance_transactions"][0].update(currency="eur", amount=-4630, net=-6018, fee=1388, exchange_rate=0.926)
    world.deliver(*deliveries)
    assert booked(world) == [(*HELD, 5_000), ("dispute_fee", "dispute_fees", "cash:stripe", 1388)]


def test_a_dispute_in_another_currency_than_its_payment_is_a_case(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    payment = world.top_up(5_000)
    deliveries = customer._told(lambda objects: objects.dispute(payment.provider_payment_id))
    Bank(world).item(Bank(world).newest())["currency"] = "eur"
    world.deliver(*deliveries)
    assert (the_dispute(world).finding, booked(world)) == ("currency_mismatch", [])


def test_a_fee_that_is_given_back_swaps_sides(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    payment = world.top_up(5_000)
    world.deliver(*Bank(world).dispute(payment))
    won = Bank(world).newest()
    world.deliver(*customer._told(lambda objects: objects.move_dispute(won, 5_000, status="won", fee=-1500)))
    assert booked(world) == [(*HELD, 5_000), FEE, (*BACK, 5_000), ("dispute_fee", "cash:stripe", "dispute_fees", 1500)]


def test_parts_may_come_back_one_by_one(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    payment = world.top_up(5_000)
    world.deliver(*Bank(world).dispute(payment))
    for part, left in ((2_000, -3_000), (3_000, 0)):
        dispute_id = Bank(world).newest()
        moved = customer._told(lambda objects, part=part, of=dispute_id: objects.move_dispute(of, part))
        world.deliver(*moved)
        assert world.held("disputed") == left
    assert the_dispute(world).funds == "reinstated"


def test_test_cards_of_the_provider_are_disputed_by_themselves(stripe_world: tuple[World, StripeCustomer]) -> None:
    from tests.peers.stripe import cards

    world, customer = stripe_world
    row = world.start(5_000)
    card = cards.BY_NAME["pm_card_createDispute"]
    paid = customer._told(lambda objects: objects.pay(str(row.provider_session_id), card=card))
    world.deliver(*paid)
    world.deliver(*customer._told(lambda objects: None))
    disputed = customer.peer.account.all("event")
    world.deliver(*(customer.peer.signed(event) for event in disputed if event["type"].startswith("charge.dispute.")))
    assert (world.held("disputed"), the_dispute(world).reason) == (-5_000, "fraudulent")


@pytest.mark.tampers  # money is held by an entry alone
def test_money_held_without_a_dispute_is_found_by_the_self_check(world: World) -> None:
    world.top_up(5_000)
    with world.database.transaction() as session:
        entry = Entry(
            kind="chargeback_debit", debit="disputed", credit="cash:stripe", amount=Money(minor=7, currency="USD")
        )
        book.post(
            session, now=world.now, head=heads.lock_one(session, world.account_id), type="dispute", source_type="test",
            source_id="stray", entries=[entry], occurred_at=world.now, actor="test",
        )  # fmt: skip
    with world.database.reading("jobs") as session:
        found = [one.sentence for one in selfcheck.run(session).differences]
    assert any("no dispute says so" in sentence for sentence in found)
    assert any("disputed figure is -7 USD" in sentence for sentence in found)


def test_every_event_of_disputes_is_heard() -> None:
    wanted = {
        f"charge.dispute.{name}" for name in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
    }
    wanted |= {"radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"}
    assert wanted <= webhooks.HANDLED_TYPES


def test_what_is_lost_divides_to_the_last_cent() -> None:
    assert states.divide(100, {"a": 100, "b": 100, "wallet": 100}, {"a": 999, "b": 999}, wallet="wallet") == {
        "a": 34, "b": 33, "wallet": 33
    }  # fmt: skip
    assert states.divide(500, {"a": 300, "wallet": 0}, {"a": 100}, wallet="wallet") == {"a": 100, "wallet": 400}
    assert states.divide(0, {"a": 300, "wallet": 0}, {"a": 300}, wallet="wallet") == {"a": 0, "wallet": 0}
