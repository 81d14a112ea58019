"""Answers: models as JSON with their entity tag, and answers to keyed requests, which a repeat gets again."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response, request
from pydantic import BaseModel

from billing.kernel.errors import Conflict, Refusal
from billing.kernel.ids import new_id
from billing.storage import idempotency
from billing.storage.database import Session
from billing.storage.idempotency import Claim
from portal import services
from portal.api import keys

_MAX_KEY = 120


class KeyMissing(Refusal):
    """The route moves money or state and needs an Idempotency-Key of 1 to 120 visible ASCII characters."""

    code = "idempotency_key_missing"


class TagMissing(Refusal):
    """An edit needs If-Match with the entity tag of what is being edited."""

    code = "precondition_required"


class Stale(Conflict):
    """What is being edited is no longer as the caller read it."""

    code = "precondition_failed"


def of(model: BaseModel, status: int = 200) -> Response:
    """A model as JSON with its strong entity tag; 304 to a GET that has it already."""
    return conditional(_json(model.model_dump_json(by_alias=True), status))


def encoded(body: str, status: int = 200) -> Response:
    """JSON text, where a model per item would cost more than what it describes, with its strong entity tag."""
    return _json(body, status)


def conditional(response: Response) -> Response:
    """The answer, or to a reader who has it already by its entity tag 304 without a body (RFC 9110, 13.1.2)."""
    known = request.if_none_match
    etag = response.get_etag()[0] or ""
    if request.method in ("GET", "HEAD") and (known.star_tag or known.contains_weak(etag)):
        response.status_code = 304
        response.set_data(b"")
    return response


def tag(model: BaseModel) -> str:
    """The strong entity tag of a representation: the same bytes have the same tag."""
    return _tag_of(model.model_dump_json(by_alias=True))


def require_tag() -> None:
    """Refuse an edit that does not say what it edits. Raises TagMissing."""
    if not request.headers.get("If-Match", "").strip():
        raise TagMissing()


def require_match(model: BaseModel) -> None:
    """Go on only while the object is as the caller read it; `model` was read under the lock of the edit. Raises Stale.

    `If-Match: *` is any state; weak tags match nothing (RFC 9110, 13.1.1).
    """
    if not request.if_match.contains(tag(model)):
        raise Stale()


def key() -> str:
    """The request's Idempotency-Key. Raises KeyMissing."""
    text = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(text) <= _MAX_KEY or not text.isascii() or not text.isprintable() or " " in text:
        raise KeyMissing()
    return text


def form_key() -> str:
    """The same key as rooms of billing keep it: of this caller's tenant alone, whichever of its keys it uses."""
    return f"{keys.scope_of_answers()}:{key()}"


@contextmanager
def claimed() -> Iterator[Claim | Response]:
    """The claim of this keyed request while it is worked on, or the answer that it got before.

    An act that ends without `keep` leaves the key free. Raises KeyMissing, and of idempotency KeyReused and InFlight.
    """
    claim = Claim(
        scope=f"{keys.scope_of_answers()} {request.method} {request.path}",
        key=key(),
        request_hash=hashlib.sha256(request.get_data()).hexdigest(),
        holder=new_id("req"),
    )
    with services.database().reading() as session:
        known = idempotency.find(session, claim)
    if known is None:
        with services.database().transaction() as session:
            known = idempotency.begin(session, claim, now=services.now())
    if known is not None:
        yield _again(known)
        return
    is_kept = False
    try:
        yield claim
        is_kept = True
    finally:
        if not is_kept:
            release(claim)


def keep(session: Session, claim: Claim, response: Response) -> Response:
    """Keep an answer in the act's own transaction, so that act and answer are one."""
    answer = idempotency.Answer(status=response.status_code, body=response.get_data(as_text=True))
    idempotency.keep(session, claim, now=services.now(), answer=answer)
    return response


def release(claim: Claim) -> None:
    """Let the key go without an answer: a repeat acts anew."""
    with services.database().transaction() as session:
        idempotency.release(session, claim)


def once(act: Callable[[Session], Response]) -> Response:
    """Answer a keyed request: again if it was answered before, else by `act`, in one transaction with its answer."""
    with claimed() as claim:
        if isinstance(claim, Response):
            return claim
        with services.database().transaction() as session:
            return keep(session, claim, act(session))


def _again(answer: idempotency.Answer) -> Response:
    response = _json(answer.body, answer.status)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _json(body: str, status: int) -> Response:
    response = Response(body, status=status, mimetype="application/json")
    response.set_etag(_tag_of(body))
    return response


def _tag_of(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]
