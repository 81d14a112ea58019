"""A provider that does not answer: nothing is lost, nothing is done twice, and what is old is never sent again."""

from billing.payments import acts, refund_outcomes
from billing.payments.recovery import unknown
from billing.payments.tables import PaymentSession, RefundRequest
from tests.service.payments.world import StripeCustomer, World

StripeWorld = tuple[World, StripeCustomer]
CHECKOUTS, REFUNDS = "/v1/checkout/sessions", "/v1/refunds"


def test_lost_answer_is_unknown_then_found_and_paid(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", CHECKOUTS)
    row = world.start()
    assert (row.state, row.redirect_url) == ("unknown", None)
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    found = world.session(row)
    assert found.state == "open"
    assert found.redirect_url is not None
    world.deliver(*customer.pay(found))
    assert world.held("wallet") == 5000
    assert customer.peer.count_calls("POST", CHECKOUTS) == 1


def test_call_that_never_arrived_ends_as_failed(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_before", CHECKOUTS)
    row = world.start()
    assert row.state == "unknown"
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 0
    world.later(minutes=14)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    ended = world.session(row)
    assert (ended.state, ended.failure) == ("failed", "never_reached_provider")


def test_second_click_after_a_lost_answer_gets_the_same_checkout(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", CHECKOUTS)
    first = world.start(form_key="once")
    second = world.start(form_key="once")
    assert (first.id, second.state) == (second.id, "open")
    with customer.peer.playing() as objects:
        assert len(objects.all("checkout.session")) == 1


def test_second_click_a_day_later_asks_the_provider_for_nothing(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_before", CHECKOUTS)
    world.start(form_key="once")
    world.later(hours=23, minutes=1)
    assert world.start(form_key="once").state == "unknown"
    assert customer.peer.count_calls("POST", CHECKOUTS) == 1


def test_webhook_that_overtakes_the_lost_answer_is_credited(stripe_world: StripeWorld) -> None:
    """Our row does not know the checkout's id yet; the reference it carries leads to the intent."""
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", CHECKOUTS)
    row = world.start()
    with customer.peer.playing() as objects:
        [checkout] = objects.all("checkout.session")
        objects.pay(checkout["id"])
        events = list(objects.events)
    told = [event for event in events if event["type"] in ("payment_intent.succeeded", "checkout.session.completed")]
    assert len(told) == 2
    assert world.deliver(*(customer.peer.signed(event) for event in told)) == ["processed", "processed"]
    assert world.session(row).state == "paid"
    assert world.held("wallet") == 5000


def test_process_that_died_before_the_call_leaves_an_intent_that_recovery_ends(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    row = world.start()
    with world.database.transaction() as session:
        item = session.get_one(PaymentSession, row.id)
        item.state, item.provider_session_id, item.redirect_url = "created", None, None
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.session(row).state == "open"
    assert customer.peer.count_calls("POST", CHECKOUTS) == 1


def test_provider_that_is_down_changes_nothing_and_is_asked_again(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    row = world.start()
    deliveries = customer.pay(row)[-2:]
    customer.peer.fail_next("error_500", CHECKOUTS, times=2)
    assert world.deliver(*deliveries) == ["received", "received"]
    assert world.held("wallet") == 0
    world.later(minutes=1)
    from billing.payments import apply

    assert apply.apply_pending(world.database, world.providers, now=world.now) == 2
    assert world.held("wallet") == 5000
    assert {event.state for event in world.events()} == {"processed"}


def test_event_is_given_up_after_three_days_with_the_reason(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    deliveries = customer.pay(world.start())
    world.later(days=3, seconds=1)
    customer.peer.fail_next("error_500", CHECKOUTS)
    assert world.deliver(deliveries[0]) == ["failed"]
    assert "given_up: provider_unreachable" in str(world.events()[0].note)


def test_refund_with_a_lost_answer_is_found_and_not_sent_again(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    customer.peer.fail_next("drop_after", REFUNDS)
    assert world.send(refund).state == "unknown"
    assert (world.held("wallet"), world.held("refund_pending")) == (3000, 2000)
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.refund(refund).state == "succeeded"
    assert (world.held("wallet"), world.held("refund_pending")) == (3000, 0)
    assert customer.peer.count_calls("POST", REFUNDS) == 1


def test_refund_that_never_arrived_is_sent_again_under_its_key(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    customer.peer.fail_next("drop_before", REFUNDS)
    assert world.send(refund).state == "unknown"
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.refund(refund).state == "succeeded"
    keys = {key for method, path, key in customer.peer.calls if (method, path) == ("POST", REFUNDS)}
    assert keys == {refund.id}
    with customer.peer.playing() as objects:
        assert [item["amount"] for item in objects.all("refund")] == [2000]


def test_refund_unknown_for_23_hours_is_never_sent_again_and_released(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    customer.peer.fail_next("drop_before", REFUNDS)
    world.send(refund)
    world.later(hours=23, minutes=1)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    ended = world.refund(refund)
    assert (ended.state, ended.failure) == ("failed", "never_reached_provider")
    assert (world.held("wallet"), world.held("refund_pending")) == (5000, 0)
    assert customer.peer.count_calls("POST", REFUNDS) == 1


def test_process_that_died_after_noting_the_refund_as_sent_is_made_up(world: World) -> None:
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    with world.database.transaction() as session:
        assert refund_outcomes.begin_sending(session, now=world.now, refund_id=refund.id) is not None
    assert acts.send_approved_refunds(world.database, world.providers, now=world.now) == 0
    world.later(minutes=2)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.refund(refund).state == "succeeded"
    assert world.held("wallet") == 3000


def test_refund_still_pending_after_ten_minutes_is_looked_up(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    world.send(refund)
    with world.database.transaction() as session:
        assert session.get_one(RefundRequest, refund.id).state == "succeeded"
    second = world.approve(world.ask(world.payments()[0], 1000))
    with customer.peer.playing() as objects:
        objects.refunds_start_pending = True
    assert world.send(second).state == "sent"
    with customer.peer.playing() as objects:
        objects.all("refund")[0]["status"] = "succeeded"
    world.later(minutes=11)
    assert unknown.look_up_unknown(world.database, world.providers, now=world.now) == 1
    assert world.refund(second).state == "succeeded"
    assert world.held("wallet") == 2000
