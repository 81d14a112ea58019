"""All orders and repetitions of the events of a payment with its refund and its dispute end in the same books, written here by hand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from billing.payments import acts
from billing.storage.database import DatabaseUrls
from tests import databases
from tests.peers.stripe.play import Play
from tests.peers.stripe.server import StripeServer
from tests.service.payments.orders import Life, Movement, Orders, Remembering, Step
from tests.service.payments.rewinding import Rewinding
from tests.service.payments.world import NOW, StripeCustomer, World, open_world

# (account, currency, kind, type, source, debit, credit, minor units). Of 50.00 Stripe keeps 2.9 % and 0.30, of a dispute 15.00.
TRANSACTION, REQUEST = "balance_transaction", "refund_request"
PAID = ("calla", "USD", "stripe_credit", "payment", TRANSACTION, "cash:stripe", "wallet", 5000)
FEE = ("house:house", "USD", "processor_fee", "processor_fee", TRANSACTION, "processor_fees", "cash:stripe", 175)
HELD = ("calla", "USD", "refund_hold", "refund_hold", REQUEST, "wallet", "refund_pending", 2000)
REFUNDED = ("calla", "USD", "provider_refund", "provider_refund", TRANSACTION, "refund_pending", "cash:stripe", 2000)
RETURNED = ("calla", "USD", "refund_return", "refund_return", TRANSACTION, "cash:stripe", "wallet", 2000)
WITHDRAWN = ("calla", "USD", "chargeback_debit", "dispute", TRANSACTION, "disputed", "cash:stripe", 3000)
DISPUTE_FEE = ("house:house", "USD", "dispute_fee", "dispute_fee", TRANSACTION, "dispute_fees", "cash:stripe", 1500)
REINSTATED = ("calla", "USD", "chargeback_reversal", "dispute", TRANSACTION, "cash:stripe", "disputed", 3000)
LOST = ("calla", "USD", "chargeback_final", "dispute_final", "payment_dispute", "wallet", "disputed", 3000)

PAYING = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
)
REFUNDING = ("charge.refunded", "refund.updated", "refund.failed")
DISPUTING = (
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
TWICE_TOLD = ("charge.succeeded", "charge.failed", "refund.created", "charge.refund.updated")
MOST = ("charge.succeeded", "refund.created")


@pytest.fixture(params=databases.engines_of_pages())
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite; at full depth both."""
    return str(request.param)


@contextmanager
def hearing(urls: DatabaseUrls, types: Iterable[str]) -> Iterator[tuple[World, StripeServer]]:
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


def refund_and_dispute(refund_id: str, outcome: str, play: Play) -> None:
    """The refund arrives; then the cardholder disputes what is left, and the bank decides."""
    refund = play.set_refund(refund_id, "succeeded")
    dispute = play.dispute(refund["payment_intent"], amount=3000)
    play.decide_dispute(dispute["id"], outcome)


def dispute(session_id: str, outcome: str, play: Play) -> None:
    """Paid, disputed in part and decided before we hear of anything."""
    intent_id = play.pay(session_id)["payment_intent"]
    play.decide_dispute(play.dispute(intent_id, amount=3000)["id"], outcome)


def ends(*movements: Movement) -> list[tuple[Movement, ...]]:
    """The one end that there may be."""
    return [tuple(sorted(movements))]


def test_a_payment_after_a_declined_card(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, PAYING) as (world, peer):
        session_id = str(world.start(5000).provider_session_id)
        found = explore(world, peer, lambda play: play.decline(session_id), lambda play: play.pay(session_id))
    assert list(found.ends) == ends(PAID, FEE)
    assert len(found.events) == 3


def test_a_debit_that_takes_days(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, PAYING) as (world, peer):
        session_id = str(world.start(5000).provider_session_id)
        found = explore(
            world, peer, lambda play: play.pay_later(session_id), lambda play: play.settle(session_id, is_paid=True)
        )
    assert list(found.ends) == ends(PAID, FEE)
    assert len(found.events) == 3


def test_a_refund_that_failed_after_it_had_succeeded(database_urls: DatabaseUrls) -> None:
    """Also when the first that is heard of it is its failure: the provider's balance moved twice."""
    with hearing(database_urls, REFUNDING) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(
            world,
            peer,
            lambda play: play.set_refund(refund_id, "succeeded"),
            lambda play: play.set_refund(refund_id, "failed", "expired_or_canceled_card"),
        )
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED, RETURNED)
    assert len(found.events) == 3


def test_a_dispute_of_a_payment_that_we_have_not_heard_of(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, ("checkout.session.completed", DISPUTING[0], DISPUTING[-1])) as (world, peer):
        session_id = str(world.start(5000).provider_session_id)
        found = explore(world, peer, partial(dispute, session_id, "won"))
    assert list(found.ends) == ends(PAID, FEE, WITHDRAWN, DISPUTE_FEE, REINSTATED)
    assert len(found.events) == 3


def test_a_refund_and_a_lost_dispute(database_urls: DatabaseUrls) -> None:
    import time

    t = time.process_time()
    with hearing(database_urls, (*PAYING, *REFUNDING, *DISPUTING)) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(world, peer, partial(refund_and_dispute, refund_id, "lost"))
    print(time.process_time() - t, found.orders, found.applied, found.repeated)
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED, WITHDRAWN, DISPUTE_FEE, LOST)
    assert len(found.events) == 7
    assert found.orders >= 5040


@pytest.mark.merge_medium
@pytest.mark.parametrize(("outcome", "last"), [("won", REINSTATED), ("lost", LOST)])
def test_a_refund_and_a_dispute_told_by_most_types(database_urls: DatabaseUrls, outcome: str, last: Movement) -> None:
    with hearing(database_urls, (*PAYING, *REFUNDING, *DISPUTING, *MOST)) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(world, peer, partial(refund_and_dispute, refund_id, outcome))
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED, WITHDRAWN, DISPUTE_FEE, last)
    assert found.orders >= 362_880


@pytest.mark.merge_medium
def test_a_refund_that_failed_told_by_all_types(database_urls: DatabaseUrls) -> None:
    with hearing(database_urls, (*REFUNDING, *TWICE_TOLD)) as (world, peer):
        refund_id = begin_refund(world, peer)
        found = explore(
            world,
            peer,
            lambda play: play.set_refund(refund_id, "succeeded"),
            lambda play: play.set_refund(refund_id, "failed", "expired_or_canceled_card"),
        )
    assert list(found.ends) == ends(PAID, FEE, HELD, REFUNDED, RETURNED)
    assert found.orders >= 2000
