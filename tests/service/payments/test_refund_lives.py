"""Lives of refunds in any order, to cards of every kind and by transfer, against plain sums: the limits hold after every step."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.kernel.errors import Refusal
from billing.payments import refund_acts, refund_transfers
from billing.payments.refunds import RefundRow
from billing.storage.database import Database
from tests.service.payments import refund_world as way
from tests.service.payments.test_refund_ways import paid_invoice
from tests.service.payments.world import SandboxCustomer, World, open_world

AMOUNTS = st.integers(1, 7_000)
_OPEN = ("approved", "sent", "unknown")
_GONE = (*_OPEN, "succeeded")


class Lives(RuleBasedStateMachine):
    """One account with a top-up and a paid invoice, by a card that takes refunds, fails them, takes its time or asks for details."""

    database: Database

    @initialize(last4=st.sampled_from(["4242", "5126", "7726", "0006"]))
    def begin(self, last4: str) -> None:
        customer = SandboxCustomer(self.database)
        customer.last4 = last4
        number = next(_numbers)
        self.world: World = open_world(self.database, customer, code=f"a{number}")
        self.invoice, self.paid = paid_invoice(self.world, code=f"billed{number}")
        self.payment = self.world.top_up(6_000)
        self.refunds: list[RefundRow] = []

    @rule(minor=AMOUNTS)
    def ask(self, minor: int) -> None:
        self._try(lambda: self.refunds.append(self.world.ask(self.payment, minor)))

    @rule(minor=st.integers(1, 12_000))
    def ask_behind_a_credit_note(self, minor: int) -> None:
        self._try(lambda: self.refunds.append(way.ask(self.world, self.paid, minor, invoice=self.invoice)))

    @rule(minor=AMOUNTS)
    def ask_for_a_transfer(self, minor: int) -> None:
        self._try(lambda: self.refunds.append(way.ask(self.world, self.payment, minor, mode="bank")))

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), is_yes=st.booleans())
    def decide(self, data: st.DataObject, is_yes: bool) -> None:
        refund = data.draw(st.sampled_from(self.refunds))
        self._try(lambda: self.world.approve(refund) if is_yes else self.world.reject(refund, "No"))

    @precondition(lambda self: self.refunds)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        self._try(lambda: self.world.send(data.draw(st.sampled_from(self.refunds))))

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), act=st.sampled_from(["ask", "cancel", "left", "not_left", "back"]))
    def follow(self, data: st.DataObject, act: str) -> None:
        world, refund = self.world, data.draw(st.sampled_from(self.refunds))
        if act == "ask":
            self._try(
                lambda: refund_acts.refresh_refund(world.database, world.providers, now=world.now, refund_id=refund.id)
            )
        elif act == "cancel":
            self._try(
                lambda: refund_acts.cancel_refund(
                    world.database, world.providers, now=world.now, refund_id=refund.id, actor="usr_bank"
                )
            )
        else:
            self._try(lambda: self._transfer(act, refund))

    def _transfer(self, act: str, refund: RefundRow) -> None:
        world, today = self.world, self.world.now.date()
        known: dict[str, Any] = {"now": world.now, "refund_id": refund.id, "actor": "usr_bank"}
        with world.database.transaction() as session:
            if act == "left":
                refund_transfers.confirm(session, transfer_on=today, reference=refund.id, **known)
            elif act == "not_left":
                refund_transfers.give_up(session, reason="Closed", **known)
            else:
                refund_transfers.take_back(session, returned_on=today, reason="Closed", **known)

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "world"):
            return
        rows = [self.world.refund(refund) for refund in self.refunds]
        for payment in self.world.payments():
            mine = [row for row in rows if row.payment_id == payment.id]
            assert sum(row.amount_minor for row in mine if row.state in _GONE) == payment.refunded_minor
            assert payment.refunded_minor <= payment.amount_minor
        gone = sum(row.amount_minor for row in rows if row.state in _GONE)
        held = sum(row.amount_minor for row in rows if row.state in _OPEN and row.booked_at is None)
        left = sum(
            row.amount_minor for row in rows if row.outcome == "refunded" or (row.state in _OPEN and row.booked_at)
        )
        credited = sum(row.amount_minor for row in rows if row.credit_note_id is not None)
        assert credited <= 11_900
        assert (self.world.held("wallet"), self.world.held("refund_pending")) == (6_000 + credited - gone, held)
        posted = way.posted(self.world)
        out = sum(minor for kind, _, _, minor in posted if kind in ("provider_refund", "bank_refund"))
        back = sum(minor for kind, _, _, minor in posted if kind == "refund_return")
        assert out - back == left
        assert all((row.outcome is None) == (row.state in ("requested", *_OPEN)) for row in rows)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Refusal:
            pass


_numbers = iter(range(10**9))


@pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.merge_medium)], indirect=True
)
@pytest.mark.parametrize(
    ("examples", "steps"), [(3, 12), pytest.param(60, 40, marks=pytest.mark.merge_medium)], ids=["short", "long"]
)
def test_any_life_of_refunds_stays_within_what_was_paid(database: Database, examples: int, steps: int) -> None:
    Lives.database = database
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
