"""Idempotency keys: the first answer stands for 24 hours. https://docs.stripe.com/api/idempotent_requests

Kept is every answer given after the act began, a 402 and a 500 too; what failed validation, was refused for its key, for a limit
or for a call in flight is not kept.
"""

import json
import threading
from dataclasses import dataclass

from tests.peers.stripe.account import Item
from tests.peers.stripe.clock import Clock
from tests.peers.stripe.errors import Unstarted
from tests.peers.stripe.params import Params

LIFE_S = 24 * 3600
LONGEST = 255


@dataclass
class Kept:
    """The first call under a key; `body` None while it is in flight."""

    path: str
    fingerprint: str
    request_id: str
    at: int
    status: int = 0
    body: str | None = None


class Keys:
    """All keys of the account. Has its own lock: a second call must find the first one in flight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def begin(self, key: str, method: str, path: str, params: Params, request_id: str) -> Kept | None:
        """The kept first answer, or None: the call may begin and must end with `keep` or `forget`.

        Raises Unstarted: 400 for a key that is too long or was used for something else, 409 while its first call is in flight.
        """
        if not 0 < len(key) <= LONGEST:
            raise Unstarted(
                400, f"Idempotency keys must be between 1 and {LONGEST} characters long.", kind="idempotency_error"
            )
        fingerprint = json.dumps([method, path, params], sort_keys=True)
        with self._lock:
            first = self._kept.get(key)
            if first is None or first.at + LIFE_S <= self._clock.now():
                self._kept[key] = Kept(path, fingerprint, request_id, self._clock.now())
                return None
        if first.fingerprint != fingerprint:
            raise _used_otherwise(key, first.path, path)
        if first.body is None:
            raise Unstarted(
                409,
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {key}. Please try again later.",
                code="idempotency_key_in_use",
                kind="idempotency_error",
            )
        return first

    def keep(self, key: str, status: int, body: Item) -> None:
        """The answer that stands from now on."""
        with self._lock:
            self._kept[key].status, self._kept[key].body = status, json.dumps(body)

    def forget(self, key: str) -> None:
        """The act never began: the key is free."""
        with self._lock:
            del self._kept[key]


def _used_otherwise(key: str, first_path: str, path: str) -> Unstarted:
    if first_path != path:
        message = f"Keys for idempotent requests can only be used for the same endpoint they were first used for ('{path}' vs '{first_path}')."
    else:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
    return Unstarted(
        400,
        f"{message} Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
    )
