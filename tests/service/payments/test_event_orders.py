"""All orders and repetitions of the events of a payment with its refund and its dispute end in the same books, written here by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from billing.payments import acts, webhooks
from billing.storage.database import DatabaseUrls
from tests.peers.stripe.server import StripeServer
from tests.service.payments.orders import Life, Movement, Orders, Remembering, Step
from tests.service.payments.rewinding import Rewinding
from tests.service.payments.world import NOW, StripeCustomer, World, open_world

# (account, currency, kind, type, source, debit, credit, minor units). Of 50.00 Stripe keeps 2.9 % and 0.30.
TRANSACTION, REQUEST = "balance_transaction", "refund_request"
PAID = ("calla", "USD", "stripe_credit", "payment", TRANSACTION, "cash:stripe", "wallet", 5000)
FEE = ("house:house", "USD", "processor_fee", "processor_fee", TRANSACTION, "processor_fees", "cash:stripe", 175)
HELD = ("calla", "USD", "refund_hold", "refund_hold", REQUEST, "wallet", "refund_pending", 2000)
REFUNDED = ("calla", "USD", "provider_refund", "provider_refund", TRANSACTION, "refund_pending", "cash:stripe", 2000)
RETURNED = ("calla", "USD", "refund_return", "refund_return", TRANSACTION, "cash:stripe", "wallet", 2000)


@contextmanager
def hearing(urls: DatabaseUrls, types: frozenset[str]) -> Iterator[tuple[World, StripeServer]]:
    """An account, and a peer of whose events those types reach us."""
    database = Rewinding(urls)
    try:
        with database.held(), StripeServer(hears=sorted(types)) as peer:
            peer.clock.set(int(NOW.timestamp()))
            yield open_world(database, StripeCustomer(peer)), peer
    finally:
        database.dispose()


def explore(world: World, peer: StripeServer, *steps: Step) -> Orders:
    """Every order of the events that these steps at the provider tell; each is a moment at which events may arrive."""
    life = Life(peer, steps)
    provider = Remembering(world.provider, life)
    assert isinstance(world.database, Rewinding)
    return Orders(database=world.database, life=life, provider=provider, signed=peer.signed, now=world.now).explore()


def begin_refund(world: World, peer: StripeServer) -> str:
    """50.00 paid, known to us by the return page alone; 20.00 of it sent back, the answer lost. Returns the provider's refund."""
    row = world.start(5000)
    world.customer.pay(row)
    acts.refresh_session(world.database, world.providers, now=world.now, account_id=world.account_id, session_id=row.id)
    [payment] = world.payments()
    refund = world.approve(world.ask(payment, 2000))
    with peer.playing() as play:
        play.refunds_start_pending = True
    peer.fail_next("drop_after", "/v1/refunds")
    assert world.send(refund).state == "unknown"
    with peer.playing() as play:
        [made] = play.all("refund")
    return str(made["id"])


def ends(*movements: Movement) -> list[tuple[Movement, ...]]:
    """The one end that there may be."""
    return [tuple(sorted(movements))]


def test_a_payment_after_a_declined_card(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, webhooks.HANDLED_TYPES) as (world, peer):
        session_id = str(world.start(5000).provider_session_id)
        found = explore(world, peer, lambda play: play.decline(session_id), lambda play: play.pay(session_id))
    assert list(found.ends) == ends(PAID, FEE)
    assert found.orders >= 9


def test_a_debit_that_takes_days(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, webhooks.HANDLED_TYPES) as (world, peer):
        session_id = str(world.start(5000).provider_session_id)
        found = explore(
            world, peer, lambda play: play.pay_later(session_id), lambda play: play.settle(session_id, is_paid=True)
        )
    assert list(found.ends) == ends(PAID, FEE)


def test_a_refund_whose_answer_was_lost(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, webhooks.HANDLED_TYPES) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(world, peer, lambda play: play.set_refund(refund_id, "succeeded"))
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED)
    assert found.orders >= 720


def test_a_refund_that_failed_after_it_had_succeeded(database_urls: DatabaseUrls) -> None:
    """Also when the first that is heard of it is its failure: the provider's balance moved twice."""
    with hearing(database_urls, webhooks.HANDLED_TYPES) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(
            world,
            peer,
            lambda play: play.set_refund(refund_id, "succeeded"),
            lambda play: play.set_refund(refund_id, "failed", "expired_or_canceled_card"),
        )
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED, RETURNED)
