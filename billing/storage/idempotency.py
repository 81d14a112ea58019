"""Answers to keyed requests, kept so that a repeat gets the same one and other content under the key is refused (AP1)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.storage.tables import IdempotencyKey


class KeyReused(Refusal):
    """The key was used before with other content."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: the HTTP status and the body as it was sent."""

    status: int
    body: str


def find(session: Session, *, scope: str, key: str, request_hash: str) -> Answer | None:
    """The stored answer to this request, None for a key that is new. Raises KeyReused for another request under it."""
    stored = session.get(IdempotencyKey, (scope, key), populate_existing=True)
    if stored is None:
        return None
    if stored.request_hash != request_hash:
        raise KeyReused(key=key[:200])
    return Answer(status=stored.status, body=stored.body)


def keep(session: Session, *, now: datetime, scope: str, key: str, request_hash: str, answer: Answer) -> Answer:
    """Store the answer, in the transaction of the act where there is one; of two at once the first one's stands and is returned."""
    values = {
        "scope": scope,
        "key": key,
        "request_hash": request_hash,
        "status": answer.status,
        "body": answer.body,
        "created_at": now,
    }
    known = find(session, scope=scope, key=key, request_hash=request_hash)
    if known is not None:
        return known
    if session.get_bind().dialect.name == "sqlite":  # the only writer: nobody can come between
        session.add(IdempotencyKey(**values))
        session.flush()  # its key must collide here
        return answer
    session.execute(postgresql.insert(IdempotencyKey).values(**values).on_conflict_do_nothing())
    return find(session, scope=scope, key=key, request_hash=request_hash) or answer
