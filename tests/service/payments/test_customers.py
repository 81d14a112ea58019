"""One customer at the provider for each billing account: made once, adopted from an older system, made anew when it is gone."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.kernel.errors import Invalid, NotFound
from billing.payments.customers import acts, listing, methods, saving
from billing.payments.customers.errors import CustomerBusy, CustomerUnfit
from billing.payments.errors import OutcomeUnknown, ProviderMismatch
from billing.payments.providers.stripe.adapter import StripeProvider
from tests.service.payments.customers_world import (
    audited,
    customers_at_provider,
    delete_at_provider,
    ensure,
    foreign_customer,
    history,
    relink,
    remember,
    saved,
)
from tests.service.payments.world import ASKER, StripeCustomer, World, open_world


def test_two_tabs_at_once_make_one_customer(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: ensure(world), range(8)))
    assert len(made) == 1
    assert customers_at_provider(world) == 1
    assert history(world) == [("create", "done", made.pop())]


def test_a_customer_whose_answer_was_lost_is_the_same_one(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", "/v1/customers")
    with pytest.raises(OutcomeUnknown):
        ensure(world)
    found = ensure(world)
    assert (customers_at_provider(world), history(world)) == (1, [("create", "done", found)])


def test_once_the_key_is_too_old_the_provider_is_searched_for_what_it_made(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_after", "/v1/customers")
    with pytest.raises(OutcomeUnknown):
        ensure(world)
    world.later(hours=24)
    found = ensure(world)
    assert (customers_at_provider(world), history(world)) == (1, [("create", "done", found)])
    assert customer.peer.count_calls("POST", "/v1/customers") == 1


def test_a_key_too_old_that_made_nothing_is_given_up_for_a_new_one(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    customer.peer.fail_next("drop_before", "/v1/customers")
    with pytest.raises(OutcomeUnknown):
        ensure(world)
    world.later(hours=24)
    found = ensure(world)
    assert history(world) == [("create", "failed", None), ("create", "done", found)]


def test_an_older_systems_customer_is_verified_claimed_and_adopted(world: World) -> None:
    older = foreign_customer(world)
    remember(world, older)
    row = world.start()
    assert row.state == "open"
    assert history(world) == [("adopt", "done", older)]
    assert world.provider.fetch_customer(older).reference == world.account_id
    assert customers_at_provider(world) == 1


@pytest.mark.parametrize("flaw", ["missing", "deleted", "of another account"])
def test_an_older_id_that_does_not_fit_is_left_and_said_in_the_audit_log(world: World, flaw: str) -> None:
    older = "cus_nobody" if flaw == "missing" else foreign_customer(world)
    if flaw == "deleted":
        delete_at_provider(world, older)
    elif flaw == "of another account":
        world.provider.claim_customer(older, account_id="bac_somebody_else")
    remember(world, older)
    made = ensure(world)
    assert made != older
    assert history(world) == [("create", "done", made)]
    reasons = [facts["reason"] for facts in audited(world, "provider_customer.not_adopted")]
    assert reasons == [
        {
            "missing": "customer_missing",
            "deleted": "customer_deleted",
            "of another account": "customer_of_another_account",
        }[flaw]
    ]


def test_a_customer_of_the_other_mode_is_not_adopted(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, _customer = stripe_world
    older = foreign_customer(world)
    remember(world, older)

    class Live(StripeProvider):
        is_live = True

    live = Live(secret_key="sk_test_peer", webhook_secret="whsec", api_base=_customer.peer.url)
    made = ensure(world, live)
    assert made != older
    assert [facts["reason"] for facts in audited(world, "provider_customer.not_adopted")] == ["customer_other_mode"]
    with pytest.raises(CustomerUnfit) as refusal:
        relink(world, older, provider=live)
    assert refusal.value.fields["reason"] == "customer_other_mode"
    with pytest.raises(ProviderMismatch):
        acts.refresh(world.database, live, now=world.now, account_id=world.account_id)


def test_a_deleted_customer_is_replaced_by_the_next_payment(world: World) -> None:
    first = ensure(world)
    assert world.deliver(*delete_at_provider(world, first)) == ["processed"]
    row = world.start()
    assert row.state == "open"
    [_create, renewed] = history(world)
    assert renewed[:2] == ("renew", "done")
    assert renewed[2] != first
    world.deliver(*world.customer.pay(row))
    assert world.held() == 5000


def test_a_deletion_that_nobody_told_us_of_is_found_when_the_customer_is_used(world: World) -> None:
    first = ensure(world)
    delete_at_provider(world, first)
    row = world.start()
    assert row.state == "open"
    assert [(act, state) for act, state, _customer in history(world)] == [("create", "done"), ("renew", "done")]
    world.deliver(*world.customer.pay(row))
    assert (world.session(row).state, world.held()) == ("paid", 5000)


def test_an_operator_links_another_customer_and_its_methods_come_with_it(world: World) -> None:
    first = ensure(world)
    other = foreign_customer(world)
    assert relink(world, other) == other
    assert history(world) == [("create", "done", first), ("relink", "done", other)]
    with world.database.reading() as session:
        row = listing.list_acts(session, account_id=world.account_id, provider=world.provider.name)[0]
    assert (row.reason, row.previous_id, row.actor) == ("Merged at the provider", first, ASKER)
    assert world.provider.fetch_customer(other).reference == world.account_id


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_relink_without_a_fitting_reason_is_refused(world: World, reason: str) -> None:
    with pytest.raises(Invalid):
        relink(world, foreign_customer(world), reason=reason)
    assert history(world) == []


def test_a_customer_that_another_account_has_is_not_linked(world: World) -> None:
    theirs = open_world(world.database, world.customer, code="other")
    taken = ensure(theirs)
    with pytest.raises(CustomerUnfit) as refusal:
        relink(world, taken)
    assert refusal.value.fields["reason"] == "customer_of_another_account"
    assert history(world) == []


def test_no_customer_is_changed_under_a_payment_of_unknown_outcome(stripe_world: tuple[World, StripeCustomer]) -> None:
    world, customer = stripe_world
    ensure(world)
    customer.peer.fail_next("drop_after", "/v1/checkout/sessions")
    assert world.start().state == "unknown"
    with pytest.raises(CustomerBusy):
        relink(world, foreign_customer(world))


def test_an_operator_makes_it_anew_only_when_the_provider_has_it_no_more(world: World) -> None:
    first = ensure(world)

    def renew() -> str:
        return acts.renew(
            world.database,
            world.provider,
            now=world.now,
            account_id=world.account_id,
            reason="Deleted by mistake",
            actor=ASKER,
        )

    with pytest.raises(CustomerUnfit) as refusal:
        renew()
    assert refusal.value.fields["reason"] == "customer_still_there"
    delete_at_provider(world, first)
    second = renew()
    assert second != first
    assert ensure(world) == second
    with world.database.reading() as session:
        link = listing.get_link(session, account_id=world.account_id, provider=world.provider.name)
    assert (link.customer_id, link.gone_at) == (second, None)


def test_a_method_of_another_customer_is_refused(world: World) -> None:
    theirs = open_world(world.database, world.customer, code="other")
    method = saved(theirs)
    for act in (saving.make_default, saving.remove):
        with pytest.raises(NotFound):
            act(
                world.database,
                world.provider,
                now=world.now,
                account_id=world.account_id,
                method_id=method.id,
                actor=ASKER,
            )
    with theirs.database.reading() as session:
        assert methods.default_method(session, account_id=theirs.account_id, provider=theirs.provider.name) == method
