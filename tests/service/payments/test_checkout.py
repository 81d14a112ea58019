"""Intents and their checkouts: committed before the call, one per form, credited once from what the provider confirms."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from billing.accounts import currencies, directory
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.payments import acts, sessions
from billing.payments.errors import AmountOutOfRange
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.recovery import unknown
from billing.payments.tables import PaymentSession
from billing.storage.database import Database
from tests.service.payments.world import World, customer_of, open_world


def test_paid_checkout_is_credited_to_the_wallet(world: World) -> None:
    row = world.start(5000)
    assert (row.state, row.amount_minor) == ("open", 5000)
    assert row.redirect_url is not None
    world.deliver(*world.customer.pay(row))
    assert world.session(row).state == "paid"
    assert world.held("wallet") == 5000
    [payment] = world.payments()
    assert (payment.amount_minor, payment.refunded_minor, payment.method_label) == (5000, 0, "visa ending 4242")


def test_intent_is_committed_before_the_provider_is_called(database: Database) -> None:
    """The provider looks into the database by another connection, which a transaction still open would hide or block."""
    seen = []

    class Watching(SandboxProvider):
        def create_checkout(self, request: CheckoutRequest) -> CheckoutFacts:
            with database.reading() as session:
                seen.append(session.execute(select(PaymentSession.id, PaymentSession.state)).one())
            return super().create_checkout(request)

    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        customer.provider = Watching(secret="s", base_url="http://localhost", database=database)
        row = world.start()
    assert seen == [(row.id, "created")]


def test_two_clicks_on_pay_are_one_intent(world: World) -> None:
    first, second = world.start(form_key="once"), world.start(form_key="once")
    assert first.id == second.id
    assert first.redirect_url == second.redirect_url


def test_eight_clicks_at_once_are_one_intent(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: world.start(form_key="once"), range(8)))
    assert len({row.id for row in rows}) == 1
    with world.database.reading() as session:
        [stored] = sessions.list_sessions(session, account_id=world.account_id)
    assert stored.state == "open"
    assert {row.provider_session_id for row in rows} <= {stored.provider_session_id, None}


def test_form_key_with_another_amount_is_refused(world: World) -> None:
    world.start(5000, form_key="once")
    with pytest.raises(Conflict):
        world.start(6000, form_key="once")


@pytest.mark.parametrize("minor", [0, 99, 10_000_001])
def test_top_up_outside_its_limits_is_refused(world: World, minor: int) -> None:
    with pytest.raises(AmountOutOfRange) as refusal:
        world.start(minor)
    assert (refusal.value.fields["min_minor"], refusal.value.fields["max_minor"]) == (100, 10_000_000)


def test_top_up_in_another_currency_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as refusal:
        world.start(5000, currency="EUR")
    assert refusal.value.fields["reason"] == "currency_mismatch"


def test_a_top_up_is_in_the_currency_of_the_invoices_that_it_will_pay(world: World) -> None:
    """Dollars in the wallet of an account that is invoiced in euros would pay none of its invoices."""
    with world.database.transaction() as session:
        code = directory.get_account(session, world.account_id).code
        currencies.set_invoice_currency(session, now=world.now, account_code=code, currency="EUR", actor="usr_ann")
    with pytest.raises(Invalid) as refusal:
        world.start(5000, currency="USD")
    assert refusal.value.fields["expected"] == "EUR"
    row = world.start(5000, currency="EUR")
    assert (row.amount_minor, row.currency) == (5000, "EUR")


def test_success_url_without_payment_credits_nothing(world: World) -> None:
    row = world.start()
    after = acts.refresh_session(
        world.database, world.providers, now=world.now, account_id=world.account_id, session_id=row.id
    )
    assert after.state == "open"
    assert world.payments() == []
    assert world.held("wallet") == 0


def test_return_page_of_another_account_does_not_exist(world: World) -> None:
    row, other = world.start(), open_world(world.database, world.customer, code="other")
    with pytest.raises(NotFound):
        acts.refresh_session(
            world.database, world.providers, now=world.now, account_id=other.account_id, session_id=row.id
        )


def test_return_page_before_the_webhook_credits_once(world: World) -> None:
    row = world.start()
    deliveries = world.customer.pay(row)
    after = acts.refresh_session(
        world.database, world.providers, now=world.now, account_id=world.account_id, session_id=row.id
    )
    assert after.state == "paid"
    assert set(world.deliver(*deliveries, *deliveries)) == {"processed"}
    assert len(world.payments()) == 1
    assert world.held("wallet") == 5000


def test_lost_webhook_is_made_up_by_recovery(world: World) -> None:
    row = world.start()
    world.customer.pay(row)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 0
    world.later(minutes=11)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 0
    assert world.session(row).state == "paid"
    assert world.held("wallet") == 5000


def test_declined_card_leaves_the_checkout_open_and_a_second_try_pays(world: World) -> None:
    row = world.start()
    world.deliver(*world.customer.decline(row))
    declined = world.session(row)
    assert (declined.state, declined.failure) == ("open", "insufficient_funds")
    world.deliver(*world.customer.pay(row))
    assert world.session(row).state == "paid"
    assert world.held("wallet") == 5000


def test_abandoned_checkout_expires_and_moves_nothing(world: World) -> None:
    row = world.start()
    world.deliver(*world.customer.abandon(row))
    assert world.session(row).state == "expired"
    assert world.held("wallet") == 0


def test_eight_ways_to_hear_of_one_payment_credit_it_once(world: World) -> None:
    row = world.start()
    deliveries = world.customer.pay(row)

    def hear(turn: int) -> None:
        if turn % 2:
            world.deliver(deliveries[turn // 2 % len(deliveries)])
        else:
            acts.refresh_session(
                world.database, world.providers, now=world.now, account_id=world.account_id, session_id=row.id
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hear, range(8)))
    assert len(world.payments()) == 1
    assert world.held("wallet") == 5000
