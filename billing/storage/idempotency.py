"""Answers to keyed requests, kept so that a repeat gets the same one and other content under the key is refused (AP1).

A request first claims its key in a transaction of its own, so that a second one at the same moment is told to wait instead of
acting too. The claim goes when the answer is stored or the request ends without one; of a process that died it stands for
`CLAIM_LIFE` and is then taken over. Stored answers are never deleted: a money key is good for one act for ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from billing.kernel.errors import Conflict, Refusal
from billing.storage import upsert
from billing.storage.tables import IdempotencyClaim, IdempotencyKey

# Longer than any request lives: the slowest waits for a provider.
CLAIM_LIFE = timedelta(minutes=3)


class KeyReused(Refusal):
    """The key was used before with other content."""

    code = "idempotency_key_reused"


class InFlight(Conflict):
    """A request with this key is being worked on at this moment."""

    code = "idempotency_in_flight"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: the HTTP status and the body as it was sent."""

    status: int
    body: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One request under a key. `scope` is whose key it is and for which route, `holder` an id of this request alone."""

    scope: str
    key: str
    request_hash: str
    holder: str


def find(session: Session, claim: Claim) -> Answer | None:
    """The stored answer to this request, None for a key that is new. Raises KeyReused for another request under it."""
    stored = session.get(IdempotencyKey, (claim.scope, claim.key), populate_existing=True)
    if stored is None:
        return None
    if stored.request_hash != claim.request_hash:
        raise KeyReused(key=claim.key[:200])
    return Answer(status=stored.status, body=stored.body)


def begin(session: Session, claim: Claim, *, now: datetime) -> Answer | None:
    """Claim the key, in a transaction that ends before the act begins; or give the answer that it already has.

    Locks the claim's row. Raises KeyReused for another request under the key, InFlight while the same one is worked on.
    """
    values = {"claimed_at": now, **vars(claim)}
    session.execute(upsert.insert(session, IdempotencyClaim).values(**values).on_conflict_do_nothing())
    held = session.scalar(_claimed(claim).with_for_update().execution_options(populate_existing=True))
    known = find(session, claim)  # after the claim: what was answered before it is seen
    if known is not None:
        release(session, claim)
        return known
    if held is None:
        raise InFlight(key=claim.key[:200])  # let go between our two looks
    if held.holder == claim.holder:
        return None
    if held.request_hash != claim.request_hash:
        raise KeyReused(key=claim.key[:200])
    if held.claimed_at > now - CLAIM_LIFE:
        raise InFlight(key=claim.key[:200])
    held.holder, held.claimed_at = claim.holder, now
    session.flush()  # whoever waits for the row must see the new holder
    return None


def keep(session: Session, claim: Claim, *, now: datetime, answer: Answer) -> None:
    """Store the answer in the act's own transaction and let the claim go. Locks the claim's row.

    Raises InFlight, which rolls the act back, when the claim was taken over in the meantime: the other request is the act.
    """
    held = session.scalar(_claimed(claim).with_for_update().execution_options(populate_existing=True))
    if held is None or held.holder != claim.holder:
        raise InFlight(key=claim.key[:200])
    session.add(
        IdempotencyKey(
            scope=claim.scope,
            key=claim.key,
            request_hash=claim.request_hash,
            status=answer.status,
            body=answer.body,
            created_at=now,
        )
    )
    session.flush()  # its key must collide here
    release(session, claim)


def release(session: Session, claim: Claim) -> None:
    """Let the claim go, if it is still this request's: the key may be used anew."""
    session.execute(
        delete(IdempotencyClaim).where(
            IdempotencyClaim.scope == claim.scope,
            IdempotencyClaim.key == claim.key,
            IdempotencyClaim.holder == claim.holder,
        )
    )


def _claimed(claim: Claim) -> Any:
    return select(IdempotencyClaim).where(IdempotencyClaim.scope == claim.scope, IdempotencyClaim.key == claim.key)
