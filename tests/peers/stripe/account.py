"""The state behind the API: one Stripe account in one mode. The server guards it with one lock, so the state itself is plain."""

import hashlib
import heapq
import itertools
from collections.abc import Callable
from typing import Any

from tests.peers.stripe.clock import Clock
from tests.peers.stripe.errors import no_such

Item = dict[str, Any]

API_VERSION = "2026-10-28.endive"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_WITHOUT_TIME = {"tax.calculation"}
_WITHOUT_MODE = ("balance_transaction", "file", "refund")
_LENGTHS = {"cus": 14, "cs_live": 58, "cs_test": 58, "req": 14, "we": 24, "whsec": 32}


class Account:
    """All objects by id in the order of their making, the clock, and what is due later.

    An item's fields whose names begin with `_` are the peer's own and never shown.
    """

    account_id = "acct_1PeerPlumbline00"

    def __init__(self, *, base_url: str, clock: Clock, seed: str, is_live: bool = False) -> None:
        self.base_url = base_url
        self.is_live = is_live
        self.clock = clock
        self.by_id: dict[str, Item] = {}
        self.request: Item = {"id": None, "idempotency_key": None}  # what events say caused them
        self.refunds_start_pending = False  # as with bank debits, whose refunds take days
        self.refunds_ask_customer = (
            False  # as with bank transfers, whose refunds wait for the customer's account number
        )
        self.settles: dict[str, tuple[str, str]] = {}  # currency -> (the one it is settled in, rate)
        self.paid_out: dict[str, str] = {}  # balance transaction -> the automatic payout that took it along
        self.listeners: list[Callable[[Item], None]] = []  # told of every event
        self._seed = seed
        self._numbers = itertools.count(1)
        self._due: list[tuple[int, int, Callable[[], None]]] = []

    def new_id(self, prefix: str) -> str:
        """The next id: the same seed and the same calls give the same ids."""
        digest = int.from_bytes(hashlib.sha512(f"{self._seed}:{next(self._numbers)}".encode()).digest(), "big")
        letters = []
        for _ in range(_LENGTHS.get(prefix, 24)):
            digest, place = divmod(digest, len(_LETTERS))
            letters.append(_LETTERS[place])
        return f"{prefix}_{''.join(letters)}"

    def add(self, prefix: str, kind: str, fields: Item) -> Item:
        """A new object of the account's mode; the caller's dict of fields is its shape."""
        item: Item = {"id": self.new_id(prefix), "object": kind}
        if kind not in _WITHOUT_TIME:
            item["created"] = self.clock.now()
        if kind not in _WITHOUT_MODE:
            item["livemode"] = self.is_live
        item |= fields
        self.by_id[item["id"]] = item
        return item

    def find(self, kind: str, object_id: object) -> Item | None:
        """The object, or None."""
        item = self.by_id.get(object_id) if isinstance(object_id, str) else None
        return item if item is not None and item["object"] == kind else None

    def get(self, kind: str, object_id: str, param: str = "id") -> Item:
        """The object, or Stripe's resource_missing: 404 for the address, 400 for a parameter."""
        item = self.find(kind, object_id)
        if item is None:
            raise no_such(kind, object_id, param)
        return item

    def all(self, kind: str) -> list[Item]:
        """Objects of a kind, newest first."""
        return [item for item in reversed(self.by_id.values()) if item["object"] == kind]

    def later(self, at: int, act: Callable[[], None]) -> None:
        """Do this once the clock has reached that time."""
        heapq.heappush(self._due, (at, next(self._numbers), act))

    def catch_up(self) -> None:
        """Do what became due since the last call."""
        while self._due and self._due[0][0] <= self.clock.now():
            heapq.heappop(self._due)[2]()
