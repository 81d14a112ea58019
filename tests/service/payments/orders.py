"""All orders and repetitions of events, explored by prefix: what two orders have in common is applied once and taken back.

The life at the provider (`Life`) goes from moment to moment, and each moment tells events; an event may be delivered at any moment
from its own on, and sees the provider's objects as they are at that moment. Two prefixes that delivered the same events by the same
moment and left the same rows have the same future, so it is explored once: the number of orders that are shown is the number of
paths through the graph, counted, not the number of applications.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from billing.assurance import equality, selfcheck
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.payments import apply, webhooks
from billing.payments.providers.port import Provider
from billing.storage.database import Database
from tests.peers.stripe.account import Item
from tests.peers.stripe.play import Play
from tests.peers.stripe.server import StripeServer
from tests.service.payments.rewinding import Rewinding

TWIN = "_twin"
Movement = tuple[Any, ...]
Step = Callable[[Play], object]
# Tables that say how the payments stand; columns with an id, an instant or a count of tries differ from order to order.
_MOVED = """
    SELECT e.billing_account_id, e.currency, e.kind, t.type, t.source_type, d.name, c.name, e.amount_minor
    FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id
    JOIN ledger_accounts d ON d.id = e.debit_account_id JOIN ledger_accounts c ON c.id = e.credit_account_id
"""
_STANDING = (
    "payment_sessions",
    "payments",
    "refund_requests",
    "payment_disputes",
    "fraud_warnings",
    "stripe_events",
    "invoice_settlements",
    "refund_events",
    "dispute_events",
    "foreign_refunds",
    "outbox_messages",
    "audit_log",
)
_KEPT = {"event_id", "provider_session_id", "provider_payment_id", "provider_refund_id", "provider_dispute_id"}
_PASSING = ("id", "_at", "_on", "_by", "hash", "seq", "key", "body", "payload", "facts", "attempts", "version", "count")


@dataclass(frozen=True)
class Moment:
    """The provider's objects after one step of the life, and what that step told."""

    objects: dict[str, Item]
    told: tuple[Item, ...]


class Life:
    """Steps at the peer, run once; afterwards the peer can be set to any moment of it. What it told before belongs to the first one."""

    def __init__(self, peer: StripeServer, steps: Iterable[Step]) -> None:
        self._peer = peer
        self.moments: list[Moment] = []
        heard = 0
        for step in steps:
            with peer.playing() as play:
                step(play)
                told = tuple(play.events[heard:])
                heard += len(told)
            self.moments.append(Moment(copy.deepcopy(peer.account.by_id), told))

    def go_to(self, place: int) -> None:
        """The peer answers as it did at that moment."""
        self._peer.account.by_id = self.moments[place].objects


class Remembering:
    """A provider whose every answer is asked once per moment; asking changes nothing there. What it raises is remembered too."""

    def __init__(self, inner: Provider, life: Life) -> None:
        self._inner, self._life = inner, life
        self._known: dict[str, tuple[Any, Exception | None]] = {}
        self.place = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name == "read_webhook":
            return found

        def ask(*arguments: Any, **named: Any) -> Any:
            key = repr((self.place, name, arguments, named))
            if key not in self._known:
                self._life.go_to(self.place)
                self._known[key] = _outcome(lambda: found(*arguments, **named))
            answer, error = self._known[key]
            if error is not None:
                raise error
            return answer

        return ask


def _outcome(act: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return act(), None
    except Exception as error:
        return None, error


@dataclass
class Orders:
    """One life and every order in which its events can reach us.

    `ends`: what the books hold at each end, which must be one and the same. `orders` counts the orders, `applied` the applications
    of an event that it took, `repeated` the deliveries of an event that had been delivered before.
    """

    database: Rewinding
    life: Life
    provider: Any  # Remembering: answers as a Provider
    signed: Callable[[Item], tuple[bytes, dict[str, str]]]
    now: datetime
    ends: Counter[tuple[Movement, ...]] = field(default_factory=Counter)
    orders: int = 0
    applied: int = 0
    repeated: int = 0
    _known: dict[tuple[int, frozenset[str], str], int] = field(default_factory=dict)

    @property
    def events(self) -> list[Item]:
        return [event for moment in self.life.moments for event in moment.told]

    def explore(self) -> "Orders":
        """Walk the graph from here."""
        self.orders = self._explore(0, ())
        return self

    def _explore(self, place: int, delivered: tuple[str, ...]) -> int:
        standing = self._standing()
        key = (place, frozenset(delivered), standing)
        if key not in self._known:
            self._known[key] = self._orders_from(place, delivered, standing)
        return self._known[key]

    def _orders_from(self, place: int, delivered: tuple[str, ...], standing: str) -> int:
        told = [event for moment in self.life.moments[: place + 1] for event in moment.told]
        orders = 0
        for event in told:
            with self.database.rewound():
                self.provider.place = place
                if event["id"] in delivered:
                    orders += self._repeat(place, delivered, standing, event)
                    continue
                self._apply(self._receive(event))
                self.applied += 1
                orders += self._explore(place, (*delivered, event["id"]))
        if place + 1 < len(self.life.moments):
            orders += self._explore(place + 1, delivered)
        elif len(delivered) == len(told):
            orders += 1
            self._end(place)
        return orders

    def _repeat(self, place: int, delivered: tuple[str, ...], standing: str, event: Item) -> int:
        """The event once more, and as Stripe does it at times, the same words under another id; returns the orders behind it.

        Stored once, the first has no effect at all. The second looks at the objects as they are now: it has no effect either, or
        leads to where a later event would have led, and is followed from there.
        """
        assert not self._receive(event).is_new, f"{event['type']} is stored twice"
        self._apply(self._receive(event | {"id": f"{event['id']}{TWIN}{self.repeated}"}))
        self.repeated += 2
        return 0 if self._standing() == standing else self._explore(place, delivered)

    def _receive(self, event: Item) -> webhooks.Received:
        body, headers = self.signed(event)
        with self.database.transaction() as session:
            return webhooks.receive(session, now=self.now, provider=self.provider, raw_body=body, headers=headers)

    def _apply(self, stored: webhooks.Received) -> None:
        apply.apply_event(self.database, {self.provider.name: self.provider}, stored.id, now=self.now)

    def _end(self, place: int) -> None:
        """Everything was told: the books as they are once the jobs have run, which contradict themselves nowhere."""
        with self.database.rewound():
            self.provider.place = place
            run_jobs(self.database, self.provider, self.now + timedelta(minutes=20))
            with self.database.reading("jobs") as session:
                found = selfcheck.run(session, now=self.now + timedelta(minutes=20))
                assert found.checked > 0
                assert not found.differences, found.differences
                self.ends[equality.read(session).movements] += 1

    def _standing(self) -> str:
        """Every row that an effect could read, without what differs from order to order."""
        with self.database.reading("jobs") as session:
            ask = session.connection().exec_driver_sql
            rows: list[Any] = [sorted(map(str, ask(_MOVED)))]
            for table in _STANDING:
                found = ask(f"SELECT * FROM {table}")
                names = list(found.keys())
                kept = [place for place, name in enumerate(names) if name in _KEPT or not name.endswith(_PASSING)]
                shown = sorted(str([row[place] for place in kept]) for row in found)
                rows.append([row for row in shown if TWIN not in row])
        return repr(rows)


def run_jobs(database: Database, provider: Any, now: datetime) -> None:
    """What the timetable does for payments, until nothing is due any more."""
    context = JobContext(database=database, providers={provider.name: provider}, now=now)
    for _ in range(2):
        for step in (steps.payments, steps.provider_balance, steps.charges):
            step(context)
