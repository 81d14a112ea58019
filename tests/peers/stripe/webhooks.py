"""Deliveries: signed, repeated with backoff until they are taken, doubled, late, out of order or lost when asked.

https://docs.stripe.com/webhooks. Nothing is sent by itself: a test calls `deliver_due`, or keeps a thread that does. Waits go by
the peer's clock. Stripe's own backoff is not published in seconds; this one has its shape: soon, then hours, for three days.
"""

import http.client
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import stripe

from tests.peers.stripe import events, webhook_endpoints
from tests.peers.stripe.account import Account, Item

BACKOFF_S = (60, 300, 1800, 7200, 5 * 3600, 10 * 3600, 12 * 3600, 12 * 3600, 12 * 3600, 12 * 3600)
_TIMEOUT_S = 10
_POLL_S = 0.02


@dataclass
class Delivery:
    """One event on its way to one endpoint. `tries` so far; next at `due_at`."""

    event_id: str
    endpoint_id: str
    due_at: int
    tries: int = 0


@dataclass(frozen=True)
class Attempt:
    """What came of one try; status None: no answer."""

    event_id: str
    event_type: str
    url: str
    status: int | None
    at: int


@dataclass
class Habits:
    """How badly deliveries behave from now on; what is by chance follows from the server's seed.

    Each event is addressed `copies` times, and of 1,000 `doubled_per_mille` once more; it leaves `delay_s` later, or up to
    `latest_s` more. Of 1,000 addressed events `lost_per_mille` never leave (`Post.lost`), as after three days of no answer.
    """

    copies: int = 1
    is_shuffled: bool = False
    delay_s: int = 0
    latest_s: int = 0
    doubled_per_mille: int = 0
    lost_per_mille: int = 0


@dataclass
class Post:
    """Everything on its way, and everything that was tried. `lock` is the server's."""

    account: Account
    lock: threading.RLock
    seed: str
    habits: Habits = field(default_factory=Habits)
    waiting: list[Delivery] = field(default_factory=list)
    given_up: list[Delivery] = field(default_factory=list)
    lost: list[Delivery] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.account.listeners.append(self.take)

    def take(self, event: Item) -> None:
        """Address a new event to every endpoint that asked for its type."""
        for endpoint in self.account.all("webhook_endpoint"):
            wanted = any(events.is_of(event["type"], name) for name in endpoint["enabled_events"])
            if wanted and endpoint["status"] == "enabled":
                event["pending_webhooks"] += 1
                habits, chance = self.habits, self._random
                copies = max(habits.copies, 1) + (chance.randrange(1000) < habits.doubled_per_mille)
                for _ in range(copies):
                    due_at = self.account.clock.now() + habits.delay_s + chance.randint(0, habits.latest_s)
                    is_lost = chance.randrange(1000) < habits.lost_per_mille
                    (self.lost if is_lost else self.waiting).append(Delivery(event["id"], endpoint["id"], due_at))

    def deliver_due(self) -> list[Attempt]:
        """Try once everything that is due by the clock; also what becomes due meanwhile. The tries, in their order."""
        tried: list[Attempt] = []
        while True:
            with self.lock:
                self.account.catch_up()
                now = self.account.clock.now()
                due = [delivery for delivery in self.waiting if delivery.due_at <= now]
                self.waiting = [delivery for delivery in self.waiting if delivery.due_at > now]
                if self.habits.is_shuffled:
                    self._random.shuffle(due)
            if not due:
                return tried
            tried += [attempt for delivery in due for attempt in self._try(delivery)]

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """A thread that delivers as long as the block lasts, and once more at its end."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(_POLL_S):
                self.deliver_due()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.deliver_due()

    def _try(self, delivery: Delivery) -> list[Attempt]:
        """Outside the lock: who is told may call back."""
        with self.lock:
            endpoint = self.account.by_id.get(delivery.endpoint_id)
            if endpoint is None:
                return []
            event, url, now = self.account.by_id[delivery.event_id], endpoint["url"], self.account.clock.now()
            body, headers = signed(event, webhook_endpoints.secrets(self.account, endpoint), at=now)
        status = _send(url, body, headers)
        with self.lock:
            attempt = Attempt(event["id"], event["type"], url, status, now)
            self.attempts.append(attempt)
            self._learn(delivery, event, status)
        return [attempt]

    def _learn(self, delivery: Delivery, event: Item, status: int | None) -> None:
        twins = [
            other
            for other in self.waiting
            if (other.event_id, other.endpoint_id) == (delivery.event_id, delivery.endpoint_id)
        ]
        if status is not None and 200 <= status < 300:
            event["pending_webhooks"] = max(event["pending_webhooks"] - (0 if twins else 1), 0)
        elif delivery.tries < len(BACKOFF_S):
            delivery.due_at = self.account.clock.now() + BACKOFF_S[delivery.tries]
            delivery.tries += 1
            self.waiting.append(delivery)
        else:
            self.given_up.append(delivery)


def signed(event: Item, secrets: list[str], *, at: int) -> tuple[bytes, dict[str, str]]:
    """(raw body, headers) of a delivery, signed by the SDK's own code: one `v1` for each secret that is valid now."""
    body = json.dumps(event, indent=2, ensure_ascii=False)
    generate = stripe.WebhookSignature.generate_signature_header
    parts = [generate(body, secret, timestamp=at).partition(",")[2] for secret in secrets]
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": ",".join([f"t={at}", *parts]),
    }
    return body.encode(), headers


def _send(url: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status, redirects not followed; None without an answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", parts.path or "/", body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
