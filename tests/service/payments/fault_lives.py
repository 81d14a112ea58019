"""A whole life of an account by a seed: it pays, is charged, gets money back, is disputed, while everything that can go wrong does.

The same seed gives the same life. The peer errs (`faults.by_chance`), deliveries are doubled, late, shuffled and lost, our processes
die (`mortal`). Between the acts time passes and the jobs run; at the end nothing errs any more and time passes until nothing is due.
Then ours must equal the peer's (`differences`).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import case, func, select

from billing.catalog import onboarding
from billing.controls import second_person
from billing.jobs import steps
from billing.jobs.context import JobContext, SomeFailed
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.ledger.tables import LedgerAccount, LedgerEntry
from billing.payments import acts, refunds, webhooks
from billing.payments.cash.sync import SyncFailed
from billing.payments.charges import agreements
from billing.payments.customers import saving
from billing.payments.disputes.tables import Dispute
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.stripe.adapter import StripeProvider
from billing.payments.sessions import SessionRow
from billing.payments.tables import Payment, PaymentSession, RefundRequest
from tests.peers.stripe import cards
from tests.peers.stripe.account import Item
from tests.peers.stripe.errors import Refused
from tests.peers.stripe.faults import Kind
from tests.peers.stripe.play import Play
from tests.peers.stripe.server import StripeServer
from tests.service.payments.mortal import Died, MortalDatabase, MortalProvider
from tests.service.payments.world import ASKER, DECIDER

Result = TypeVar("Result")

BEGUN_AT = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
OPENED_AT = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
# Without those that hold a caller until it gives up: they end as `drop_*` do, but cost the time of giving up. A tenth of all lives
# has them too.
QUICK: tuple[Kind, ...] = (
    "rate_limit",
    "lock_timeout",
    "error_500",
    "error_500_after",
    "drop_before",
    "drop_after",
    "reset_before",
    "reset_after",
    "reset_within",
)
PATIENT: tuple[Kind, ...] = (*QUICK, "timeout_before", "timeout_after", "delay")
_FINAL = {"paid", "failed", "expired"}
_REFUND_FINAL = {"succeeded", "failed", "rejected"}


class Impatient(StripeProvider):
    """Ours, which gives up sooner."""

    read_timeout_s = 0.5


@dataclass
class Waiting:
    """A delivery on its way."""

    event: Item
    due_at: datetime


@dataclass
class Life:
    """One account and what becomes of it. `story` says what happened, for whoever looks at a seed that failed."""

    seed: int
    database: MortalDatabase
    peer: StripeServer
    code: str
    now: datetime = BEGUN_AT
    story: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    heard: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(f"life:{self.seed}")
        self.fate = self.database.fate
        inner = Impatient(secret_key="sk_test_peer", webhook_secret=self.peer.webhook_secret, api_base=self.peer.url)
        self.provider: Any = MortalProvider(inner, self.fate)
        self.account_id = self.open_account()

    @property
    def providers(self) -> dict[str, Any]:
        return {"stripe": self.provider}

    def open_account(self) -> str:
        """The account, prepaid or postpaid."""
        policy = self.random.choice(("prepaid", "postpaid"))
        with self.database.transaction("jobs") as session:
            return onboarding.open_account(session, now=OPENED_AT, code=self.code, policy=policy).id

    def attempt(self, what: str, act: Callable[[], Result]) -> Result | None:
        """One process of ours does something; None when it died or was refused."""
        try:
            result = act()
        except Died as death:
            self.story.append(f"{what}: died {death}")
        except (OutcomeUnknown, ProviderRefused, Refusal, SomeFailed, SyncFailed) as error:
            self.story.append(f"{what}: {type(error).__name__} {error}")
        else:
            self.story.append(f"{what}: {getattr(result, 'state', result)}")
            return result
        return None

    def play(self, what: str, act: Callable[[Play], object]) -> None:
        """Something happens at the provider; its events set out."""
        with self.peer.playing() as objects:
            try:
                act(objects)
                self.story.append(f"provider: {what}")
            except Refused as refused:
                self.story.append(f"provider: {what} refused: {refused}")
        self.listen()

    def listen(self) -> None:
        """New events set out: some are lost, some doubled, some late."""
        with self.peer.playing() as objects:
            told = objects.events[self.heard :]
            self.heard += len(told)
        for event in told:
            for _ in range(self.random.choice((0, 1, 1, 1, 1, 2, 3))):
                late = timedelta(seconds=self.random.choice((0, 0, 0, 5, 90, 3600, 30 * 3600)))
                self.waiting.append(Waiting(event, self.now + late))

    def deliver(self) -> None:
        """What is due arrives in any order; a delivery whose receiver died comes again."""
        self.listen()
        due = [item for item in self.waiting if item.due_at <= self.now]
        self.random.shuffle(due)
        for item in due:
            body, headers = self.peer.signed(item.event)
            if self.attempt(f"receive {item.event['type']}", lambda b=body, h=headers: self._receive(b, h)) is not None:
                self.waiting.remove(item)
            else:
                item.due_at = self.now + timedelta(minutes=1)

    def _receive(self, body: bytes, headers: dict[str, str]) -> webhooks.Received:
        with self.database.transaction() as session:
            return webhooks.receive(session, now=self.now, provider=self.provider, raw_body=body, headers=headers)

    def pass_time(self, **how_long: float) -> None:
        """Our clock and the provider's go on."""
        self.now += timedelta(**how_long)
        self.peer.clock.set(int(self.now.timestamp()))

    def jobs(self, wanted: "tuple[Step, ...]") -> int:
        """What the timetable does with money; a job that dies is begun again at its next time."""
        context = JobContext(database=self.database, providers=self.providers, now=self.now)
        return sum(self.attempt(step.__name__, lambda s=step: s(context)) or 0 for step in wanted)

    def go_on(self) -> None:
        """A while passes in which everything does its work."""
        self.pass_time(seconds=self.random.choice((1, 70, 70, 700, 1000)))
        self.deliver()
        also = self.random.choice((*MONEY_STEPS[1:], None, None, None, None))
        self.jobs((*PAYMENTS, *([also] if also else [])))

    def live(self) -> None:
        """The acts of this seed, one after another."""
        self.top_up("first")
        for act in self.random.sample(ACTS, k=self.random.choice((1, 1, 2))):
            act(self)
            self.go_on()
        self.end()

    def top_up(self, form: str) -> None:
        """Press "pay" until a page opens, at most three times, and do there what customers do."""
        row = None
        minor = self.random.choice((500, 2500, 5000, 99_99))
        for _ in range(3):
            row = self.attempt(f"start {form}", lambda: self._start(form, minor))
            if row is not None and row.state == "open":
                break
            self.go_on()
        if row is None or row.state != "open":
            return
        session_id = str(row.provider_session_id)
        manner = self.random.choice(("pay", "pay", "pay", "decline", "debit", "bounce", "bank", "abandon"))
        if manner == "decline":
            self.play("declined card", lambda objects: objects.decline(session_id))
        if manner in ("debit", "bounce"):
            self.play("debit begun", lambda objects: objects.pay_later(session_id))
            self.go_on()
            self.play("debit ended", lambda objects: objects.settle(session_id, is_paid=manner == "debit"))
        elif manner == "bank":
            self.play("card that asks", lambda objects: objects.pay(session_id, card=_ASKING))
            self.play("bank says yes", lambda objects: _authenticate(objects, session_id))
        elif manner != "abandon":
            self.play("paid", lambda objects: objects.pay(session_id))
        if self.random.random() < 0.4:
            self.attempt("return page", lambda: self._refresh(row))
        self.go_on()

    def _start(self, form: str, minor: int) -> SessionRow:
        return acts.start_checkout(
            self.database,
            self.provider,
            now=self.now,
            account_id=self.account_id,
            purpose="top_up",
            amount=Money(minor=minor, currency="USD"),
            form_key=form,
            actor=ASKER,
            return_url_of=lambda session_id: f"http://127.0.0.1:8000/add-funds/{session_id}",
        )

    def _refresh(self, row: SessionRow) -> SessionRow:
        return acts.refresh_session(
            self.database, self.providers, now=self.now, account_id=self.account_id, session_id=row.id
        )

    def top_up_again(self) -> None:
        """A second payment."""
        self.top_up("second")

    def refund(self) -> None:
        """Part or all of a payment goes back; banks take their time, and some say no after they had said yes."""
        payment = self._some_payment()
        if payment is None:
            return
        part = Money(minor=self.random.choice((payment.amount_minor, payment.amount_minor // 3)), currency="USD")
        form = f"refund-{self.random.randrange(10**9)}"
        asked = self.attempt("ask refund", lambda: self._ask(payment, part, form)) or self.attempt(
            "ask refund again", lambda: self._ask(payment, part, form)
        )
        if asked is None:
            return
        while self.attempt("approve", lambda: self._approve(asked)) is None and self._is_undecided(asked.id):
            pass
        with self.peer.playing() as objects:
            objects.refunds_start_pending = self.random.random() < 0.5
        self.attempt("send refund", lambda: self._send(asked))
        self.go_on()
        for status in self.random.choice(((), ("succeeded",), ("succeeded", "failed"), ("failed",))):
            self.play(f"refund {status}", lambda objects, s=status: _decide_refunds(objects, s))
            if self.random.random() < 0.5:
                self.go_on()

    def _some_payment(self) -> Payment | None:
        with self.database.reading("jobs") as session:
            found = session.execute(
                select(Payment).where(
                    Payment.billing_account_id == self.account_id, Payment.refunded_minor < Payment.amount_minor
                )
            ).scalars()
            return self.random.choice([*found] or [None])

    def _is_undecided(self, refund_id: str) -> bool:
        with self.database.reading("jobs") as session:
            return session.get_one(RefundRequest, refund_id).state == "requested"

    def _ask(self, payment: Payment, part: Money, form: str) -> Any:
        with self.database.transaction() as session:
            return refunds.request(
                session,
                now=self.now,
                account_id=self.account_id,
                mode="card",
                amount=part,
                reason="Ordered twice",
                form_key=form,
                actor=ASKER,
                payment_id=payment.id,
            )

    def _approve(self, asked: Any) -> Any:
        with self.database.transaction() as session:
            return second_person.approve(
                session,
                now=self.now,
                approval_id=str(asked.approval_id),
                content_hash=str(asked.content_hash),
                checker=DECIDER,
            )

    def _send(self, asked: Any) -> Any:
        return acts.send_refund(self.database, self.providers, now=self.now, refund_id=asked.id)

    def automatic_top_up(self) -> None:
        """A card is saved on the provider's page; from then on the wallet is filled without the customer."""
        card = self.random.choice(("visa", "visa", "chargeCustomerFail", "authenticationRequired"))
        row = None
        for _ in range(3):
            row = self.attempt("start setup", self._start_setup)
            if row is not None and row.state == "open":
                break
            self.go_on()
        if row is None or row.state != "open":
            return
        session_id = str(row.provider_session_id)
        self.play("card saved", lambda objects: objects.pay(session_id, card=cards.BY_NAME[f"pm_card_{card}"]))
        if card == "authenticationRequired":
            self.play("bank says yes", lambda objects: _authenticate(objects, session_id))
        self.pass_time(minutes=20)
        self.deliver()
        self.jobs(PAYMENTS * 2)
        self.attempt("agree", self._agree)
        for _ in range(2):
            self.jobs((steps.charges,))
            self.go_on()

    def _start_setup(self) -> Any:
        return saving.start_setup(
            self.database,
            self.provider,
            now=self.now,
            account_id=self.account_id,
            form_key="setup",
            actor=ASKER,
            return_url_of=lambda setup_id: f"http://127.0.0.1:8000/payment-methods/{setup_id}",
        )

    def _agree(self) -> Any:
        threshold, amount, cap = (Money(minor=minor, currency="USD") for minor in (15_000, 20_000, 40_000))
        with self.database.transaction() as session:
            before = agreements.get(session, self.account_id)
            return agreements.change(
                session,
                now=self.now,
                account_id=self.account_id,
                is_paying=False,
                is_topping_up=True,
                top_up=agreements.TopUp(threshold=threshold, amount=amount, cap=cap),
                version=before.version,
                providers=self.providers,
                actor=ASKER,
            )

    def dispute(self) -> None:
        """A cardholder disputes what is left of a payment, or the bank only asks; it is decided before or after we look."""
        with self.peer.playing() as objects:
            charged = [
                item
                for item in objects.all("charge")
                if item["paid"] and not item["disputed"] and item["amount"] > item["amount_refunded"]
            ]
        if not charged:
            return
        charge = self.random.choice(charged)
        rest = charge["amount"] - charge["amount_refunded"]
        is_inquiry = self.random.random() < 0.2
        outcome = self.random.choice(("warning_closed", "needs_response") if is_inquiry else ("won", "lost", "lost"))
        opened: list[Item] = []
        self.play(
            "dispute",
            lambda objects: opened.append(
                objects.dispute(charge["payment_intent"], amount=rest, is_inquiry=is_inquiry)
            ),
        )
        if self.random.random() < 0.6:
            self.go_on()
        self.play(f"dispute {outcome}", lambda objects: objects.decide_dispute(opened[0]["id"], outcome))
        if outcome == "needs_response":
            self.play("dispute lost", lambda objects: objects.decide_dispute(opened[0]["id"], "lost"))
        elif outcome == "lost" and self.random.random() < 0.2:
            self.play("money comes back", lambda objects: objects.move_dispute(opened[0]["id"], rest, status="won"))

    def payout(self) -> None:
        """The provider pays out what is available; some banks send it back."""
        self.pass_time(days=3)
        made: list[Item] = []
        self.play("payout", lambda objects: made.append(objects.pay_out()) if _available(objects) else None)
        self.go_on()
        if made:
            for status in self.random.choice((("paid",), ("paid",), ("failed",), ("paid", "failed"))):
                self.play(f"payout {status}", lambda objects, s=status: objects.set_payout(made[0]["id"], s))

    def end(self) -> None:
        """Nothing errs any more; what is late arrives, what was lost is looked up, and the jobs run until nothing is due."""
        self.peer.faults.cease()
        self.fate.per_mille = 0
        with self.peer.playing() as objects:
            objects.refunds_start_pending = False
            for refund in objects.all("refund"):
                if refund["status"] == "pending":
                    objects.set_refund(refund["id"], "succeeded")
            for session in objects.all("checkout.session"):
                if session["status"] == "open" and session["mode"] == "payment":
                    objects.expire(session["id"])
        rounds = ((20, PAYMENTS), (25 * 60, PAYMENTS), (30 * 60, MONEY_STEPS), (40, MONEY_STEPS[-1:]))
        for minutes, wanted in rounds:
            self.pass_time(minutes=minutes)
            self.deliver()
            self.jobs(wanted)

    def differences(self) -> list[str]:
        """Where ours is not the peer's, or an intent has no outcome."""
        with self.database.reading("jobs") as session:
            mine = [*session.scalars(select(PaymentSession))]
            paid = {item.provider_payment_id: item.amount_minor for item in session.scalars(select(Payment))}
            back = [*session.scalars(select(RefundRequest))]
            disputed = {
                item.provider_dispute_id: (item.provider_state, item.amount_minor)
                for item in session.scalars(select(Dispute))
            }
            cash_minor = _cash_minor(session)
        with self.peer.playing() as objects:
            intents, theirs = objects.all("payment_intent"), objects.all("refund")
            disputes, moved = objects.all("dispute"), objects.all("balance_transaction")
        found = [f"session {item.id} has no outcome: {item.state}" for item in mine if item.state not in _FINAL]
        found += [f"refund {item.id} has no outcome: {item.state}" for item in back if item.state not in _REFUND_FINAL]
        got = {item["id"]: item["amount_received"] for item in intents if item["status"] == "succeeded"}
        gave = {item["id"]: item["amount"] for item in theirs if item["status"] == "succeeded"}
        ours = {item.provider_refund_id: item.amount_minor for item in back if item.state == "succeeded"}
        for name, here, there in (
            ("payments", paid, got),
            ("refunds", ours, gave),
            ("disputes", disputed, {item["id"]: (item["status"], item["amount"]) for item in disputes}),
            ("cash:stripe", cash_minor, sum(item["net"] for item in moved)),
        ):
            if here != there:
                found.append(f"{name}: ours {here}, theirs {there}")
        return found


def _cash_minor(session: Any) -> int:
    """What the books hold in cash:stripe."""
    cash = select(LedgerAccount.id).where(LedgerAccount.name == "cash:stripe")
    debit, credit = LedgerEntry.debit_account_id.in_(cash), LedgerEntry.credit_account_id.in_(cash)
    query = select(func.sum(case((debit, LedgerEntry.amount_minor), (credit, -LedgerEntry.amount_minor), else_=0)))
    return int(session.execute(query).scalar_one() or 0)


def _available(objects: Play) -> bool:
    return sum(item["net"] for item in objects.all("balance_transaction") if item["status"] == "available") > 0


def _authenticate(objects: Play, session_id: str) -> None:
    objects.authenticate(str(objects.by_id[session_id]["payment_intent"]), is_confirmed=True)


def _decide_refunds(objects: Play, status: str) -> None:
    for refund in objects.all("refund"):
        if refund["status"] in ("pending", "succeeded") and refund["status"] != status:
            objects.set_refund(refund["id"], status)


_ASKING = cards.BY_NAME["pm_card_threeDSecure2Required"]
Step = Callable[[JobContext], int]
PAYMENTS: tuple[Step, ...] = (steps.payments,)
MONEY_STEPS: tuple[Step, ...] = (
    steps.payments,
    steps.payment_list,
    steps.charges,
    steps.disputes,
    steps.dispute_list,
    steps.provider_balance,
)
ACTS: tuple[Callable[[Life], None], ...] = (
    Life.top_up_again,
    Life.refund,
    Life.refund,
    Life.automatic_top_up,
    Life.dispute,
    Life.dispute,
    Life.payout,
)
