"""What the sandbox remembers, as a real provider would on its side: Stripe-shaped objects of its own, in our database.

It forgets nothing it promised: a repeated request gives the same object, other content under the same key is an error. Like a
real provider it reads its own clock.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from billing.kernel import canonical, clock
from billing.kernel.ids import new_id
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers import signing
from billing.payments.tables import SandboxObject
from billing.storage.database import Database

SIGNATURE_HEADER = "Sandbox-Signature"


@dataclass(frozen=True, kw_only=True)
class SignedEvent:
    """An event as it would arrive: the exact bytes and the signature header."""

    body: bytes
    headers: dict[str, str]


class Memory:
    """The sandbox's rows, its clock and its pen. Every part of the adapter stands on it."""

    def __init__(
        self, *, secret: str, base_url: str, database: Database, read_clock: Callable[[], datetime] = clock.utc_now
    ) -> None:
        self.secret = secret
        self.base_url = base_url
        self.database = database
        self.read_clock = read_clock

    def sign(self, body: bytes, *, now: datetime) -> SignedEvent:
        """These bytes as an event of ours."""
        return SignedEvent(body=body, headers={SIGNATURE_HEADER: signing.sign(body, secret=self.secret, at=now)})

    def event(self, event_type: str, item: dict[str, Any], now: datetime) -> SignedEvent:
        event = {
            "id": new_id("evt"),
            "object": "event",
            "type": event_type,
            "created": clock.to_millis(now) // 1000,
            "livemode": False,
            "data": {"object": item},
        }
        return self.sign(json.dumps(event).encode(), now=now)

    def create(self, kind: str, prefix: str, key: str, body: dict[str, Any], *, reference: str) -> dict[str, Any]:
        try:
            with self.database.transaction() as session:
                return known(session, key, body) or self.add(
                    session, kind, prefix, key, body, body, reference=reference
                )
        except IntegrityError:  # the same request at the same moment was faster
            with self.database.transaction() as session:
                return known(session, key, body) or {}

    def add(
        self,
        session: Session,
        kind: str,
        prefix: str,
        key: str | None,
        body: dict[str, Any],
        asked: dict[str, Any] | None,
        *,
        reference: str | None = None,
        parent_id: str | None = None,
    ) -> dict[str, Any]:
        body = {"id": new_id(prefix)} | body
        session.add(
            SandboxObject(
                id=body["id"],
                kind=kind,
                reference=reference,
                parent_id=parent_id,
                idempotency_key=key,
                request_hash=None if asked is None else canonical.digest("sandbox-request/1", asked),
                body=body,
                created_at=self.read_clock(),
            )
        )
        session.flush()
        return body


def known(session: Session, key: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What was made under this key before. Raises OutcomeUnknown when other content was asked for, as Stripe refuses it."""
    row = session.execute(select(SandboxObject).where(SandboxObject.idempotency_key == key)).scalar_one_or_none()
    if row is None:
        return None
    if row.request_hash != canonical.digest("sandbox-request/1", asked):
        raise OutcomeUnknown("the idempotency key was used with other parameters")
    return dict(row.body)


def get(session: Session, object_id: str, kind: str, *, lock: bool = False) -> SandboxObject:
    query = select(SandboxObject).where(SandboxObject.id == object_id, SandboxObject.kind == kind)
    row = session.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    if row is None:
        raise ProviderRefused("resource_missing", object_id)
    return row
