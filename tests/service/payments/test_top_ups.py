"""Wallets that are filled by themselves: below a threshold, up to a month's cap in the account's own zone, never twice for one reason."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from billing.accounts import heads
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.ledger import balances, book
from billing.ledger.entries import Entry
from billing.payments.charges import agreements
from billing.payments.charges.agreements import TopUp
from billing.payments.errors import AmountOutOfRange
from billing.storage.database import Database
from tests.service.payments.charging import Charging, charging_at


@pytest.fixture(params=["sandbox", "stripe"])
def either(request: pytest.FixtureRequest, database: Database) -> Iterator[Charging]:
    """What every provider must do."""
    with charging_at(request.param, database) as made:
        yield made


@pytest.fixture
def charging(database: Database) -> Iterator[Charging]:
    """The same through Stripe's SDK against the peer, where that is enough to prove it."""
    with charging_at("stripe", database) as made:
        yield made


def low(charging: Charging, card: str = "visa", *, cap: int = 25_000) -> str:
    """An empty wallet that is to be filled with 100.00 below 20.00; our id of the method."""
    method_id = charging.save(card)
    charging.agree(top_up=(2_000, 10_000, cap))
    return method_id


def empty(charging: Charging) -> None:
    """Take the wallet back to nothing, as usage would: by a correction of the ledger."""
    held = charging.world.held("wallet")
    with charging.database.transaction() as session:
        head = heads.lock_one(session, charging.world.account_id)
        book.post(
            session, now=charging.world.now, head=head, type="adjustment", source_type="test",
            source_id=f"spent-{charging.world.now.isoformat()}", occurred_at=charging.world.now, actor="usr_mia",
            entries=[Entry(kind="adjustment", debit="wallet", credit="bad_debt", amount=Money(minor=held, currency="USD"))],
        )  # fmt: skip


def test_low_wallet_is_filled_once_and_told(either: Charging) -> None:
    low(either)
    assert either.run() == 1
    assert either.world.held("wallet") == 10_000
    assert either.run() == 0
    [told] = either.told("top_up.automatic")
    assert (told["amount_minor"], told["method_label"]) == (10_000, "visa ending 4242")
    assert either.charged_minor() == [10_000]


def test_wallet_at_its_threshold_is_left_alone(charging: Charging) -> None:
    charging.pay(charging.world.start(2_000))
    low(charging)
    assert charging.top_up() == "enough"


def test_cap_ends_the_month_and_is_told_once(charging: Charging) -> None:
    low(charging)
    for hour in (1, 2, 3, 4):
        charging.at(2026, 11, 22, hour)
        charging.run()
        if charging.world.held("wallet"):
            empty(charging)
    assert charging.charged_minor() == [10_000, 10_000], "a third would make 300.00 of 250.00"
    [told] = charging.told("top_up.cap_reached")
    assert (told["spent_minor"], told["cap_minor"], told["month"]) == (20_000, 25_000, "2026-11")
    charging.at(2026, 12, 1, 1)
    assert charging.run() == 1


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        # Kiritimati is 14 hours ahead: its December begins on 30 November at 10:00 UTC.
        ("Pacific/Kiritimati", datetime(2026, 11, 30, 9, 59, tzinfo=UTC), datetime(2026, 11, 30, 10, 0, tzinfo=UTC)),
        # Los Angeles left summer time on 1 November: its month ends at 08:00 UTC, no more at 07:00.
        ("America/Los_Angeles", datetime(2026, 12, 1, 7, 59, tzinfo=UTC), datetime(2026, 12, 1, 8, 0, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 31, 22, 59, tzinfo=UTC), datetime(2026, 10, 31, 23, 0, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 9, 30, 21, 59, tzinfo=UTC), datetime(2026, 9, 30, 22, 0, tzinfo=UTC)),
    ],
)
def test_month_of_the_cap_is_the_account_s_own(
    database: Database, zone: str, before: datetime, after: datetime
) -> None:
    with charging_at("sandbox", database, zone=zone) as charging:
        low(charging, cap=10_000)
        charging.world.now = before
        assert charging.run() == 1
        empty(charging)
        assert charging.top_up() == "cap_reached"
        charging.world.now = after
        assert charging.top_up() == "paid"


def test_cap_holds_when_many_ask_at_once(charging: Charging) -> None:
    low(charging, cap=10_000)
    barrier, states = threading.Barrier(6), []

    def work() -> None:
        barrier.wait()
        states.append(charging.top_up())

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert states.count("paid") == 1
    assert set(states) <= {"paid", "under_way", "enough"}
    assert charging.charged_minor() == [10_000]
    assert charging.world.held("wallet") == 10_000


def test_hard_decline_turns_top_ups_off_and_says_so(either: Charging) -> None:
    method_id = low(either)
    either.change_mind(method_id, "chargeDeclinedLostCard")
    assert either.top_up() == "failed"
    with either.database.reading() as session:
        agreement = agreements.get(session, either.world.account_id)
    assert (agreement.is_topping_up, agreement.off_reason) == (False, "lost_card")
    [told] = either.told("payment.failed")
    assert (told["is_turned_off"], told["decline_code"]) == (True, "generic_decline")
    assert either.run() == 0
    with pytest.raises(Invalid) as refused:
        either.agree(top_up=(2_000, 10_000, 25_000))
    assert refused.value.fields["reason"] == "method_refused"
    either.save("visa")
    either.agree(top_up=(2_000, 10_000, 25_000))
    assert either.run() == 1


def test_soft_decline_is_tried_again_a_day_later_and_after_four_in_a_row_no_more(charging: Charging) -> None:
    method_id = low(charging)
    charging.change_mind(method_id, "chargeDeclinedInsufficientFunds")
    assert charging.top_up() == "failed"
    charging.at(2026, 11, 22, 11)
    assert charging.top_up() == "waits"
    for day in (22, 23, 24):
        charging.at(2026, 11, day, 13)
        assert charging.top_up() == "failed"
    charging.at(2026, 11, 26)
    assert charging.top_up() == "not_agreed"
    assert [one["is_turned_off"] for one in charging.told("payment.failed")] == [False, False, False, True]
    assert charging.world.held("wallet") == 0


def test_nothing_further_is_charged_while_a_top_up_is_unknown(charging: Charging) -> None:
    low(charging)
    charging.stripe.peer.fail_next("drop_after", "/v1/payment_intents")
    assert charging.top_up() == "unknown"
    assert charging.top_up() == "under_way"
    assert charging.look_up(charging.attempts()[0])
    assert charging.world.held("wallet") == 10_000
    assert charging.charged_minor() == [10_000]


def test_debit_is_under_way_until_the_bank_has_answered(database: Database) -> None:
    with charging_at("stripe", database, currency="EUR", code="euro") as charging:
        charging.save(kind="sepa_debit")
        charging.agree(top_up=(2_000, 10_000, 25_000), currency="EUR")
        assert charging.top_up() == "open"
        assert charging.attempts()[0].outcome == "processing"
        assert charging.top_up() == "under_way"
        with charging.stripe.peer.playing() as objects:
            [intent] = objects.all("payment_intent")
            objects.settle_intent(intent["id"], is_paid=False)
        assert charging.look_up(charging.attempts()[0])
        assert charging.attempts()[0].outcome == "declined"
        charging.at(2026, 11, 23)
        assert charging.top_up() == "open"
        with charging.stripe.peer.playing() as objects:
            objects.settle_intent(objects.all("payment_intent")[0]["id"], is_paid=True)
        assert charging.look_up(charging.attempts()[0])
        with database.reading() as session:
            [held] = balances.of_account(session, charging.world.account_id, currency="EUR")
        assert held.wallet_minor == 10_000


def test_currency_without_decimals_is_charged_in_its_own_units(database: Database) -> None:
    with charging_at("stripe", database, currency="JPY", code="yen") as charging:
        charging.save()
        charging.agree(top_up=(1_000, 5_000, 20_000), currency="JPY")
        assert charging.top_up() == "paid"
        assert charging.charged_minor() == [5_000]
        with database.reading() as session:
            [held] = balances.of_account(session, charging.world.account_id, currency="JPY")
        assert held.wallet_minor == 5_000


@pytest.mark.parametrize(
    ("figures", "field"),
    [
        ((2_000, 50, 25_000), "amount"), ((2_000, 10_000, 9_999), "cap"), ((2_000, 10_000, 10**13), "cap"),
        ((20_000_000, 10_000, 25_000), "threshold"),
    ],
)  # fmt: skip
def test_figures_that_make_no_sense_are_refused(charging: Charging, figures: tuple[int, int, int], field: str) -> None:
    charging.save()
    with pytest.raises((Invalid, AmountOutOfRange)) as refused:
        charging.agree(top_up=figures)
    assert refused.value.fields["field"] == field


def test_figures_of_another_currency_are_refused(charging: Charging) -> None:
    charging.save()
    euro = Money(minor=10_000, currency="EUR")
    with charging.database.transaction() as session, pytest.raises(Invalid) as refused:
        agreements.check_top_up(session, charging.world.account_id, TopUp(threshold=euro, amount=euro, cap=euro))
    assert refused.value.fields["reason"] == "currency_mismatch"
