"""Issued invoices paid by a saved method: once, on the days of the calendar, never beside somebody who pays by hand."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, select, update

from billing.controls.dunning import calendar as values
from billing.controls.dunning import calendars, due, preview
from billing.invoicing import reminders
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments.charges import agreements, intents, retrospect
from billing.payments.charges.tables import ChargeAttempt, ChargeConsent
from billing.payments.disputes.tables import Dispute
from billing.payments.errors import NotPayable
from billing.storage.database import Database
from tests.service.invoicing import world as invoicing
from tests.service.payments.charging import Charging, billed, charging_at, days_after
from tests.service.payments.world import NOW


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


def agreed(charging: Charging, card: str = "visa") -> InvoiceHeader:
    """An invoice of 119.00, and an account that lets it be paid by that card."""
    invoice = billed(charging)
    charging.save(card)
    charging.agree(is_paying=True)
    return invoice


def test_invoice_is_charged_on_its_due_date_and_not_before(either: Charging) -> None:
    invoice = agreed(either)
    either.at(*days_after(invoice, -1))
    assert either.run() == 0
    either.at(*days_after(invoice, 0), 6)
    assert either.run() == 0, "nobody's card is asked at night"
    either.at(*days_after(invoice, 0), 12)
    assert either.run() == 1
    assert (either.open_minor(invoice), either.world.held("receivable"), either.world.held("wallet")) == (0, 0, 0)
    assert either.charged_minor() == [11_900]
    [attempt] = either.attempts()
    assert (attempt.outcome, attempt.state, attempt.trigger, attempt.step) == ("paid", "paid", "auto_pay", "due+0")
    assert either.run() == 0
    assert either.told("payment.failed") == []


def test_calendar_that_charges_at_issue_does_so_at_once(charging: Charging) -> None:
    invoice = agreed(charging)
    with charging.database.transaction() as session:
        steps = values.made_of(charges_at="issue", retry_days=(2,), reminder_days=())
        calendars.change(
            session, now=NOW, seller_id=invoice.seller_id, steps=steps, reason="As agreed", actor="usr_mia"
        )
    assert charging.run() == 1
    assert charging.attempts()[0].step == "issue+0"
    assert charging.open_minor(invoice) == 0


def test_nothing_is_charged_without_agreement_or_without_a_method(charging: Charging) -> None:
    invoice = billed(charging)
    charging.at(*days_after(invoice, 0))
    with pytest.raises(Invalid) as refused:
        charging.agree(is_paying=True)
    assert refused.value.fields["reason"] == "no_payment_method"
    assert charging.charge(invoice) == "no_method"
    charging.save()
    assert charging.charge(invoice) == "not_agreed"
    assert charging.run() == 0


def test_only_what_is_open_is_charged(charging: Charging) -> None:
    invoice = agreed(charging)
    invoicing.pay(charging.database, invoice, 4_000)
    charging.at(*days_after(invoice, 0))
    assert charging.run() == 1
    assert charging.charged_minor() == [7_900]
    assert (charging.open_minor(invoice), charging.world.held("wallet")) == (0, 0)


def test_soft_decline_is_told_with_the_next_try_and_tried_on_the_days_of_the_calendar(either: Charging) -> None:
    invoice = agreed(either, "chargeDeclinedInsufficientFunds")
    tries = []
    for day in range(20):
        either.at(*days_after(invoice, day))
        if either.run():
            tries.append(day)
    assert tries == [0, 1, 3, 7, 14]
    assert [one.decline_code for one in either.attempts()] == ["insufficient_funds"] * 5
    told = either.told("payment.failed")
    assert [one["next_try_on"] for one in told] == ["2026-12-06", "2026-12-08", "2026-12-12", "2026-12-19", None]
    assert {one["decline_code"] for one in told} == {"insufficient_funds"}
    assert either.charged_minor() == []
    assert either.open_minor(invoice) == 11_900


def test_hard_decline_stops_until_another_method_is_chosen(charging: Charging) -> None:
    invoice = agreed(charging, "chargeDeclinedLostCard")
    charging.at(*days_after(invoice, 0))
    assert charging.run() == 1
    [attempt] = charging.attempts()
    assert (attempt.verdict, attempt.next_try_on) == ("method", None)
    [told] = charging.told("payment.failed")
    assert (told["decline_code"], told["next_try_on"]) == ("generic_decline", None), "a lost card is not spoken of"
    charging.at(*days_after(invoice, 1))
    assert charging.run() == 0
    assert charging.charge(invoice, "due+1") == "stopped"
    charging.save("visa")
    assert charging.run() == 1
    assert charging.open_minor(invoice) == 0


def test_method_that_was_refused_for_good_is_not_asked_for_the_next_invoice_either(charging: Charging) -> None:
    first = agreed(charging, "chargeDeclinedLostCard")
    charging.at(*days_after(first, 0))
    charging.run()
    with charging.database.reading() as session:
        attempt = session.get_one(ChargeAttempt, charging.attempts()[0].session_id)
        assert intents.is_refused(session, charging.world.account_id, attempt.method_id)
        assert not intents.is_refused(session, charging.world.account_id, "met_other")


def test_bank_that_wants_the_person_is_told_and_the_person_pays_by_checkout(either: Charging) -> None:
    invoice = agreed(either, "authenticationRequired")
    either.at(*days_after(invoice, 0))
    assert either.run() == 1
    [attempt] = either.attempts()
    assert (attempt.outcome, attempt.state, attempt.verdict) == ("action_required", "failed", "person")
    [told] = either.told("payment.action_required")
    assert told["payment_session_id"] == attempt.session_id
    either.at(*days_after(invoice, 1))
    assert either.run() == 0, "the bank wants the person, not a second try"
    row = either.world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    either.pay(row)
    assert (either.open_minor(invoice), either.world.held("wallet")) == (0, 0)
    assert either.told("payment.failed") == []


def test_intent_that_waits_for_the_customer_is_ended_before_anything_else(charging: Charging) -> None:
    """Some banks answer a charge without the customer by a question: nobody may answer it beside the checkout."""
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    charging.stripe.peer.fail_next("drop_after", "/v1/payment_intents")
    assert charging.run() == 1
    [attempt] = charging.attempts()
    with charging.stripe.peer.playing() as objects:
        [intent] = objects.all("payment_intent")
        intent.update(status="requires_action", amount_received=0, latest_charge=None)
        objects.by_id.pop(objects.all("charge")[0]["id"])
    assert charging.look_up(attempt)
    [attempt] = charging.attempts()
    assert (attempt.outcome, attempt.state) == ("action_required", "failed")
    with charging.stripe.peer.playing() as objects:
        assert objects.all("payment_intent")[0]["status"] == "canceled"
    assert len(charging.told("payment.action_required")) == 1


def test_lost_answer_is_looked_up_and_credited_once(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    charging.stripe.peer.fail_next("drop_after", "/v1/payment_intents")
    assert charging.run() == 1
    [attempt] = charging.attempts()
    assert (attempt.state, charging.open_minor(invoice)) == ("unknown", 11_900)
    charging.at(*days_after(invoice, 1))
    assert charging.run() == 0, "nothing is asked while it is unknown"
    with pytest.raises(NotPayable) as refused:
        charging.world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    assert refused.value.fields["reason"] == "charge_under_way"
    assert charging.look_up(attempt)
    assert not charging.look_up(attempt)
    assert (charging.open_minor(invoice), charging.charged_minor()) == (0, [11_900])


def test_call_that_never_arrived_is_no_try_and_is_made_again_the_same_day(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0), 12)
    charging.stripe.peer.fail_next("drop_before", "/v1/payment_intents")
    assert charging.run() == 1
    [attempt] = charging.attempts()
    assert not charging.look_up(attempt)
    charging.at(*days_after(invoice, 0), 13)
    assert charging.look_up(attempt)
    assert charging.attempts()[0].outcome == "never_sent"
    assert charging.told("payment.failed") == []
    assert charging.run() == 1
    assert (charging.open_minor(invoice), charging.charged_minor()) == (0, [11_900])


def test_key_that_the_provider_knows_with_other_content_is_looked_up(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    charging.stripe.peer.fail_next("error_500_after", "/v1/payment_intents")
    assert charging.run() == 1
    [attempt] = charging.attempts()
    assert attempt.state == "unknown"
    assert charging.look_up(attempt)
    assert charging.charged_minor() == [11_900]
    assert charging.open_minor(invoice) == 0


def test_event_that_overtakes_the_lost_answer_credits_it(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    charging.stripe.peer.fail_next("drop_after", "/v1/payment_intents")
    charging.run()
    with charging.stripe.peer.playing() as objects:
        events = [event for event in objects.events if event["type"].startswith(("payment_intent.", "charge."))]
    assert {event["type"] for event in events} == {"charge.succeeded", "payment_intent.succeeded"}
    for event in (*events, *reversed(events)):
        assert charging.deliver(event) == ["processed"]
    assert charging.open_minor(invoice) == 0
    assert charging.world.held("wallet") == 0
    assert charging.attempts()[0].outcome == "paid"


def test_two_workers_make_one_charge(either: Charging) -> None:
    invoice = agreed(either)
    either.at(*days_after(invoice, 0))
    barrier, counts = threading.Barrier(4), []

    def work() -> None:
        barrier.wait()
        counts.append(due.run(either.database, either.providers, now=either.world.now))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(counts) == 1
    assert either.charged_minor() == [11_900]
    assert (either.open_minor(invoice), either.world.held("wallet")) == (0, 0)


def test_person_at_the_page_is_left_alone_and_an_abandoned_page_is_closed_first(either: Charging) -> None:
    invoice = agreed(either)
    either.at(*days_after(invoice, 0), 12)
    row = either.world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    assert either.charge(invoice) == "at_the_page"
    either.at(*days_after(invoice, 0), 13)
    assert either.run() == 1
    assert either.world.session(row).state == "expired"
    assert either.charged_minor() == [11_900]
    assert (either.open_minor(invoice), either.world.held("wallet")) == (0, 0)


def test_person_who_pays_at_the_moment_the_page_is_closed_has_paid_and_nothing_is_charged(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0), 12)
    row = charging.world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    charging.world.customer.pay(row)  # the event is lost
    charging.at(*days_after(invoice, 0), 13)
    assert charging.run() == 0
    assert charging.world.session(row).state == "paid"
    assert charging.attempts() == []
    assert (charging.open_minor(invoice), charging.world.held("wallet")) == (0, 0)


def test_bank_transfer_during_an_unknown_charge_leaves_the_surplus_in_the_wallet(charging: Charging) -> None:
    """The last resort: both payments came, nobody could know."""
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    charging.stripe.peer.fail_next("drop_after", "/v1/payment_intents")
    charging.run()
    invoicing.pay(charging.database, invoice, 11_900)
    assert charging.look_up(charging.attempts()[0])
    assert (charging.open_minor(invoice), charging.world.held("receivable"), charging.world.held("wallet")) == (
        0, 0, 11_900,
    )  # fmt: skip


def test_settled_disputed_or_lost_invoice_is_never_charged(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(*days_after(invoice, 0))
    row = charging.world.start(4_000, purpose="invoice", invoice_id=invoice.id)
    charging.pay(row)
    payment = charging.world.payments()[0]
    with charging.database.transaction() as session:
        session.add(dispute_of(charging, payment.id, invoice.id, "needs_response"))
    assert charging.charge(invoice) == "disputed"
    with charging.database.transaction() as session:
        session.execute(update(Dispute).values(state="lost", ended_at=NOW))
    assert charging.charge(invoice) == "dispute_lost"
    with charging.database.transaction() as session:
        session.execute(update(Dispute).values(state="won", ended_at=NOW))
    assert charging.charge(invoice) == "paid"
    assert charging.charge(invoice, "due+1") == "nothing_open"
    with charging.database.transaction() as session:
        session.execute(delete(Dispute))  # it was never the provider's: the self-check would rightly miss its postings


def dispute_of(charging: Charging, payment_id: str, invoice_id: str, state: str) -> Dispute:
    return Dispute(
        id=new_id("dsp"),
        billing_account_id=charging.world.account_id,
        payment_id=payment_id,
        invoice_id=invoice_id,
        provider=charging.world.provider.name,
        provider_dispute_id="dp_1",
        is_inquiry=False,
        amount_minor=4_000,
        currency="USD",
        reason="fraudulent",
        provider_state=state,
        state=state,
        funds="none",
        opened_at=NOW,
        recorded_at=NOW,
        updated_at=NOW,
        looked_up_at=NOW,
    )


def test_consent_is_kept_with_the_words_and_its_end(charging: Charging) -> None:
    billed(charging)
    charging.save()
    charging.agree(is_paying=True)
    with charging.database.transaction() as session:
        agreement = agreements.get(session, charging.world.account_id)
        with pytest.raises(Conflict):
            agreements.change(
                session, now=NOW, account_id=charging.world.account_id, is_paying=False, is_topping_up=False, top_up=None,
                version=agreement.version - 1, providers=charging.providers, actor="usr_ada",
            )  # fmt: skip
        agreements.change(
            session, now=NOW, account_id=charging.world.account_id, is_paying=False, is_topping_up=False, top_up=None,
            version=agreement.version, providers=charging.providers, actor="usr_bram",
        )  # fmt: skip
    with charging.database.reading() as session:
        rows = list(session.scalars(select(ChargeConsent).order_by(ChargeConsent.id)))
    assert [(row.act, row.actor, row.method_label) for row in rows] == [
        ("agreed", "usr_ada", "visa ending 4242"), ("withdrawn", "usr_bram", None),
    ]  # fmt: skip
    assert rows[0].wording.startswith("I authorise ")


def test_reminders_follow_the_calendar_of_the_account(charging: Charging) -> None:
    invoice = billed(charging)
    charging.at(*days_after(invoice, 2))
    with charging.database.transaction() as session:
        calendars.change(
            session, now=NOW, seller_id=invoice.seller_id, account_id=invoice.billing_account_id, reason="By contract",
            steps=values.made_of(charges_at="never", retry_days=(), reminder_days=(2, 60)), actor="usr_mia",
        )  # fmt: skip
    with charging.database.reading("jobs") as session:
        plain = reminders.list_due(session, now=charging.world.now)
        own = reminders.list_due(session, now=charging.world.now, days_of=calendars.reminder_days)
    assert [one.step_days for one in plain] == [1]
    assert [one.step_days for one in own] == [2]


def test_what_is_said_beforehand_is_what_happens(charging: Charging) -> None:
    invoice = agreed(charging, "chargeDeclinedInsufficientFunds")

    def said() -> list[tuple[str, str, str | None]]:
        with charging.database.reading("jobs") as session:
            found = preview.of_invoice(
                session, now=charging.world.now, invoice_id=invoice.id, providers=charging.providers
            )
        return [(one.step.code, one.state, one.reason) for one in found.events if one.step.kind == "charge"]

    charging.at(*days_after(invoice, 1))
    assert said() == [
        ("due+0", "missed", None), ("due+1", "planned", None), ("due+3", "planned", None), ("due+7", "planned", None),
        ("due+14", "planned", None),
    ]  # fmt: skip
    with charging.database.reading("jobs") as session:
        rows = preview.month(session, now=charging.world.now, seller_id=invoice.seller_id)
        charges = [row for row in rows if row.step.kind == "charge"]
        asked = preview.with_reasons(session, charges, now=charging.world.now, providers=charging.providers)
    assert [(row.on.isoformat(), row.step.code, row.reason) for row in asked] == [
        ("2026-12-06", "due+1", None), ("2026-12-08", "due+3", None), ("2026-12-12", "due+7", None),
        ("2026-12-19", "due+14", None),
    ]  # fmt: skip
    assert charging.run() == 1
    assert said()[1] == ("due+1", "done", None)
    charging.save("chargeDeclinedLostCard")
    charging.at(*days_after(invoice, 3))
    assert charging.run() == 1
    assert said()[3:] == [("due+7", "withheld", "stopped"), ("due+14", "withheld", "stopped")]


def test_last_month_is_replayed_with_the_calendar_and_figures_of_today(charging: Charging) -> None:
    invoice = agreed(charging)
    charging.at(2027, 1, 15)
    with charging.database.reading() as session:
        label, charges = preview.last_month(session, now=charging.world.now, account_id=charging.world.account_id)
        figures = [Money(minor=minor, currency="USD") for minor in (1_000, 5_000, 12_000)]
        top_up = agreements.TopUp(threshold=figures[0], amount=figures[1], cap=figures[2])
        replay = retrospect.of_last_month(
            session, now=charging.world.now, account_id=charging.world.account_id, top_up=top_up
        )
    assert (label, charges) == ("2026-12", [(invoice.due_on, invoice.number, 11_900, "USD")])
    # The ledger keeps when it was told, which is the time of this run: whatever that was, the cap is two top-ups.
    assert (replay.month, len(replay.days)) in (("2026-12", 2), ("2026-12", 0))
    assert (replay.capped_on is None) == (replay.lowest_minor is not None and replay.lowest_minor >= -9_000)
