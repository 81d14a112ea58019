"""Answers: models as JSON, and answers to keyed requests, which a repeat gets again."""

import hashlib
from collections.abc import Callable

from flask import Response, request
from pydantic import BaseModel

from billing.kernel.errors import Refusal
from billing.storage import idempotency
from billing.storage.database import Session
from portal import services
from portal.api import keys

_MAX_KEY = 120


class KeyMissing(Refusal):
    """The route moves money or state and needs an Idempotency-Key of 1 to 120 visible ASCII characters."""

    code = "idempotency_key_missing"


def of(model: BaseModel, status: int = 200) -> Response:
    """A model as JSON."""
    return Response(model.model_dump_json(by_alias=True), status=status, mimetype="application/json")


def key() -> str:
    """The request's Idempotency-Key. Raises KeyMissing."""
    text = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(text) <= _MAX_KEY or not text.isascii() or not text.isprintable() or " " in text:
        raise KeyMissing()
    return text


def form_key() -> str:
    """The same key as rooms of billing keep it: of this API key alone."""
    return f"{keys.actor()}:{key()}"


def find() -> Response | None:
    """The answer that this very request got before. Raises KeyMissing, and idempotency.KeyReused for another under its key."""
    with services.database().reading() as session:
        known = idempotency.find(session, scope=_scope(), key=key(), request_hash=_request_hash())
    return None if known is None else _again(known)


def keep(session: Session, response: Response) -> Response:
    """Keep an answer in the act's own transaction; the first one's, where two came at once."""
    answer = idempotency.Answer(status=response.status_code, body=response.get_data(as_text=True))
    kept = idempotency.keep(
        session, now=services.now(), scope=_scope(), key=key(), request_hash=_request_hash(), answer=answer
    )
    return response if kept == answer else _again(kept)


def once(act: Callable[[Session], Response]) -> Response:
    """Answer a keyed request: again if it was answered before, else by `act`, in one transaction with its answer."""
    known = find()
    if known is not None:
        return known
    with services.database().transaction() as session:
        return keep(session, act(session))


def _again(answer: idempotency.Answer) -> Response:
    response = Response(answer.body, status=answer.status, mimetype="application/json")
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _scope() -> str:
    return f"{keys.scope_of_answers()} {request.method} {request.path}"


def _request_hash() -> str:
    return hashlib.sha256(request.get_data()).hexdigest()
