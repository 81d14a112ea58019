"""A process that dies at any step of an act leaves nothing lost and nothing doubled: the jobs bring it to the same end."""

from collections.abc import Callable
from typing import Any

import pytest

from billing.payments import acts, apply, webhooks
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.recovery import unknown
from billing.storage.database import Database
from tests.service.payments.world import World, customer_of, open_world


class Died(BaseException):
    """The process is gone: no handler of ours may see it."""


class Dying(SandboxProvider):
    """Dies once at a call of the provider, before or after the effect there."""

    at: tuple[str, str] | None = None  # (call, "before" or "after")

    def create_customer(self, **facts: Any) -> Any:
        return self._maybe("create_customer", lambda: super(Dying, self).create_customer(**facts))

    def create_checkout(self, request: Any) -> Any:
        return self._maybe("create_checkout", lambda: super(Dying, self).create_checkout(request))

    def fetch_checkout(self, checkout_id: str) -> Any:
        return self._maybe("fetch_checkout", lambda: super(Dying, self).fetch_checkout(checkout_id))

    def refund(self, request: Any) -> Any:
        return self._maybe("refund", lambda: super(Dying, self).refund(request))

    def _maybe(self, call: str, act: Callable[[], Any]) -> Any:
        if self.at == (call, "before"):
            self.at = None
            raise Died
        result = act()
        if self.at == (call, "after"):
            self.at = None
            raise Died
        return result


def run_jobs(world: World, provider: SandboxProvider) -> None:
    providers = {"sandbox": provider}
    apply.apply_pending(world.database, providers, now=world.now)
    acts.send_approved_refunds(world.database, providers, now=world.now)
    unknown.look_up_unknown(world.database, providers, now=world.now)


@pytest.mark.parametrize("call", ["create_customer", "create_checkout", "fetch_checkout"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_payment_survives_a_death_at_each_call(database: Database, call: str, moment: str) -> None:
    with customer_of("sandbox", database) as customer:
        provider = Dying(secret="sandbox secret", base_url="http://127.0.0.1:8000", database=database)
        customer.provider = provider
        world = open_world(database, customer)
        provider.at = (call, moment)
        with pytest.raises(Died):
            world.start(form_key="once")
        world.later(minutes=2)
        run_jobs(world, provider)
        row = world.start(form_key="once")
        assert row.state == "open"
        event = provider.pay(str(row.provider_session_id), now=world.now)
        with database.transaction() as session:
            webhooks.receive(session, now=world.now, provider=provider, raw_body=event.body, headers=event.headers)
        provider.at = ("fetch_checkout", moment)
        for _ in range(2):
            try:
                run_jobs(world, provider)
            except Died:
                world.later(minutes=11)
        run_jobs(world, provider)
        assert world.session(row).state == "paid"
        assert (len(world.payments()), world.held("wallet")) == (1, 5000)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_refund_survives_a_death_at_its_call(database: Database, moment: str) -> None:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        refund = world.approve(world.ask(world.top_up(5000), 2000))
        provider = Dying(secret="sandbox secret", base_url="http://127.0.0.1:8000", database=database)
        provider.at = ("refund", moment)
        with pytest.raises(Died):
            acts.send_refund(database, {"sandbox": provider}, now=world.now, refund_id=refund.id)
        assert world.refund(refund).state == "sent"
        world.later(minutes=2)
        run_jobs(world, provider)
        assert world.refund(refund).state == "succeeded"
        payment = world.payments()[0]
        assert [fact.amount.minor for fact in provider.list_refunds(payment.provider_payment_id)] == [2000]
        assert (world.held("wallet"), world.held("refund_pending")) == (3000, 0)
