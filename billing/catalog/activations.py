"""The gate (PR4): the prices of a candidate come into force by a fresh trial inside its limits, or by a second person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals
from billing.catalog import books, trials
from billing.catalog.errors import GateClosed
from billing.catalog.tables import PriceBook, PriceBookActivation, PriceVersion
from billing.catalog.trials import Trial
from billing.kernel.errors import Conflict
from billing.storage import audit, locks

ACT = "prices.activate"
BOOTSTRAP, TRIAL, SECOND_PERSON, OVERRIDE = "bootstrap", "trial", "second_person", "override"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Where one version of a book stands. `state` is active, open (a trial lets it in now) or closed.

    `trial` is the one that opens it, or else the newest of the same content; `fault` says why that one opens nothing.
    """

    state: str
    activation: PriceBookActivation | None
    trial: Trial | None
    fault: str | None
    approval_id: str | None  # the request that waits for a second person


def gate_of(session: Session, book: PriceBook, *, now: datetime) -> Gate:
    """What the gate says about this version now. Reads only."""
    activation = session.get(PriceBookActivation, book.id)
    waiting = approvals.find_open(session, act=ACT, subject_id=book.id)
    fresh = trials.find_fresh(session, book.content_hash, now)
    if activation is not None or fresh is not None:
        state = "active" if activation is not None else "open"
        return Gate(state=state, activation=activation, trial=fresh, fault=None, approval_id=waiting)
    newest = next(iter(trials.list_trials(session, content_hash=book.content_hash, limit=1)), None)
    fault = "no_trial" if newest is None else newest.fault or "not_fresh"
    return Gate(state="closed", activation=None, trial=newest, fault=fault, approval_id=waiting)


def activate(
    session: Session, *, now: datetime, book_id: str, actor: str, allowed: approvals.Allowed | None = None
) -> PriceBookActivation:
    """Let this version's prices come into force: by what a second person allowed, else by a fresh trial of the same content.

    A version in force already stays as it is. What usage was rated already is asked by `rating.price_changes`, which wraps this.
    Locks the book's code. Raises NotFound, GateClosed (with the reason), PriceExists where another version brought another price
    from the same instant meanwhile, approvals.NotAllowed, Conflict for an account's own book.
    """
    book = books.get_book(session, book_id)
    locks.take(session, f"price_book:{book.code}")
    if book.billing_account_id is not None:
        raise Conflict(price_book_id=book.id, reason="an_overrides_book")
    found = session.get(PriceBookActivation, book.id, populate_existing=True)
    if allowed is not None:
        approvals.spend(session, allowed, act=ACT, subject_id=book.id, content=content_of(session, book.id))
    if found is not None:
        return found
    if allowed is not None:
        return enter(session, book, now=now, gate=SECOND_PERSON, approval_id=allowed.approval_id, actor=actor)
    trial = trials.find_fresh(session, book.content_hash, now)
    if trial is None:
        raise GateClosed(book=book.code, version=book.version, fault=gate_of(session, book, now=now).fault)
    return enter(session, book, now=now, gate=TRIAL, trial_id=trial.id, actor=actor)


def install(session: Session, text: str, *, now: datetime, actor: str) -> PriceBook:
    """Load a book and let it in at once, by origin `bootstrap`: what an empty database, the demo and tests begin with."""
    book = books.load(session, text, now=now, origin=BOOTSTRAP, actor=actor)
    if session.get(PriceBookActivation, book.id) is None:
        enter(session, book, now=now, gate=BOOTSTRAP, actor=actor)
    return book


def enter(
    session: Session,
    book: PriceBook,
    *,
    now: datetime,
    gate: str,
    actor: str,
    trial_id: str | None = None,
    approval_id: str | None = None,
) -> PriceBookActivation:
    """Write down that the version is in force, and by which gate. The caller has asked the gate and holds the book's lock."""
    stated = session.scalars(select(PriceVersion).where(PriceVersion.price_book_id == book.id)).all()
    books.refuse_clash(session, book.code, [books.facts_of(version) for version in stated])
    activation = PriceBookActivation(
        price_book_id=book.id,
        gate=gate,
        trial_id=trial_id,
        approval_id=approval_id,
        actor=actor,
        activated_at=now,
    )
    session.add(activation)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="prices.activate",
        subject_type="price_book",
        subject_id=book.id,
        billing_account_id=book.billing_account_id,
        facts={
            "code": book.code,
            "version": book.version,
            "gate": gate,
            "trial_id": trial_id,
            "approval_id": approval_id,
            "content_hash": book.content_hash,
        },
    )
    session.flush()  # whoever rates next in this act must find its prices
    return activation


def content_of(session: Session, book_id: str) -> dict[str, Any]:
    """What a second person is asked to let in: the book, its version and its content. Raises NotFound."""
    book = books.get_book(session, book_id)
    return {"book": book.code, "version": book.version, "content_hash": book.content_hash}


def active_since(session: Session, book_ids: Sequence[str]) -> dict[str, PriceBookActivation]:
    """The activations of those of these versions that are in force, by the version's id."""
    query = select(PriceBookActivation).where(PriceBookActivation.price_book_id.in_(book_ids))
    return {row.price_book_id: row for row in session.scalars(query)}
