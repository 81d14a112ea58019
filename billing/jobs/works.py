"""What can be asked for as a long work, and how one is done: proofs of the books, and shadow ratings."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.assurance import replay, selfcheck, verification
from billing.assurance.report import Report
from billing.jobs import dry_run_works, reconcile_works, shadow_works
from billing.jobs.context import JobContext
from billing.kernel import clock, periods
from billing.kernel.errors import Invalid, Refusal
from billing.storage import correlation, works
from billing.storage.database import Database
from billing.storage.works import Progress, WorkRow

_log = logging.getLogger("billing.jobs")
_MOVE_EVERY_S = 1.0
_BEAT_EVERY_S = 20.0
_LISTED_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of work: what it is called, what it does in one snapshot of the database, and how its answer is kept.

    `keep` makes the stored result of what `run` found, in the transaction that ends the work: what it writes is written once.
    """

    name: str
    words: str
    noun: str
    run: Callable[[Session, JobContext, dict[str, Any], Progress], Any]
    keep: Callable[[Session, WorkRow, Any, datetime], dict[str, Any]]


def _self_check(session: Session, context: JobContext, _facts: dict[str, Any], progress: Progress) -> Report:
    return selfcheck.run(session, now=context.now, progress=progress)


def _audit(session: Session, context: JobContext, _facts: dict[str, Any], _progress: Progress) -> Report:
    return selfcheck.run_audit(session, now=context.now)


def _replay(session: Session, _context: JobContext, facts: dict[str, Any], _progress: Progress) -> Report:
    return replay.replay(session, facts.get("period"))


def _verify(session: Session, _context: JobContext, _facts: dict[str, Any], progress: Progress) -> Report:
    return verification.verify_chain(session, progress=progress)


def _roots(session: Session, context: JobContext, _facts: dict[str, Any], _progress: Progress) -> Report:
    return verification.verify_roots(session, context.keeping().folder if context.keeping is not None else None)


def _keep_report(_session: Session, _work: WorkRow, report: Report, _now: datetime) -> dict[str, Any]:
    listed = [
        {"check": found.check, "subject_id": found.subject_id, "sentence": found.sentence}
        for found in report.differences[:_LISTED_MAX]
    ]
    return {
        "checked": report.checked,
        "by_check": report.by_check,
        "difference_count": len(report.differences),
        "differences": listed,
    }


PROOFS = {
    kind.name: kind
    for kind in (
        Kind(name="self-check", words="Check of the books", noun="checks", run=_self_check, keep=_keep_report),
        Kind(name="verify", words="Check of the chains", noun="checks", run=_verify, keep=_keep_report),
        Kind(name="roots", words="Check of the signed roots", noun="rows", run=_roots, keep=_keep_report),
        Kind(name="audit-verify", words="Check of the audit log", noun="rows", run=_audit, keep=_keep_report),
        Kind(name="replay", words="Replay of a month", noun="rows", run=_replay, keep=_keep_report),
    )
}
SHADOW_RATING = Kind(
    name="shadow-rating",
    words="Shadow rating",
    noun="rows compared",
    run=shadow_works.run,
    keep=shadow_works.keep,
)
RECONCILIATION = Kind(
    name="reconcile", words="Reconciliation", noun="comparisons", run=reconcile_works.run, keep=reconcile_works.keep
)
DRY_RUN = Kind(
    name="invoice-dry-run",
    words="Dry run of a month's invoices",
    noun="accounts",
    run=dry_run_works.run,
    keep=dry_run_works.keep,
)
KINDS = {
    **PROOFS,
    SHADOW_RATING.name: SHADOW_RATING,
    RECONCILIATION.name: RECONCILIATION,
    DRY_RUN.name: DRY_RUN,
}


def ask(session: Session, *, now: datetime, kind: str, facts: dict[str, Any], form_key: str, actor: str) -> str:
    """Ask for a work of a kind there is; its id. Raises Invalid for another kind or a month that is none; else as `works.ask`."""
    if kind not in KINDS:
        raise Invalid(field="kind", value=kind[:60], reason="unknown_work")
    if kind == "replay":
        periods.month(str(facts.get("period", "")), "UTC")
    if kind == RECONCILIATION.name:
        reconcile_works.question(facts)
    if kind == DRY_RUN.name:
        dry_run_works.question(facts)
    if kind == SHADOW_RATING.name:
        shadow_works.question(session, facts)
    return works.ask(session, now=now, kind=kind, facts=facts, form_key=form_key, actor=actor)


def do_waiting(context: JobContext) -> int:
    """Do every work that waits, one after the other; how many. A work that fails keeps its reason, the next one goes on."""
    done = 0
    while True:
        with context.database.transaction("jobs") as session:
            work = works.claim(session, now=clock.utc_now())
        if work is None:
            return done
        with correlation.scope(work.correlation_id or work.id):
            _do(context, work)
        done += 1


def _do(context: JobContext, work: WorkRow) -> None:
    kind = KINDS[work.kind]
    try:
        with _heartbeat(context.database, work.id), context.database.reading("jobs") as session:
            found = kind.run(session, context, work.facts, _teller(context.database, work.id))
    except Exception as error:
        if not isinstance(error, Refusal):
            _log.exception("work failed", extra={"work_id": work.id})
        with context.database.transaction("jobs") as session:
            works.fail(session, work_id=work.id, now=clock.utc_now(), failure=f"{type(error).__name__}: {error}")
        return
    now = clock.utc_now()
    with context.database.transaction("jobs") as session:
        if works.is_running(session, work_id=work.id):
            works.succeed(session, work_id=work.id, now=now, result=kind.keep(session, work, found, now))


@contextmanager
def _heartbeat(database: Database, work_id: str) -> Iterator[None]:
    """Signs of life while a work goes on, however long one of its parts takes."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_EVERY_S):
            with database.transaction("jobs") as session:
                works.beat(session, work_id=work_id, now=clock.utc_now())

    thread = threading.Thread(target=beat, name=f"heartbeat-{work_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _teller(database: Database, work_id: str) -> Progress:
    """Writes how far a work is, at most once a second, each time in a transaction of its own."""
    told = 0.0

    def tell(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told < _MOVE_EVERY_S:
            return
        told = time.monotonic()
        with database.transaction("jobs") as session:
            works.move(session, work_id=work_id, now=clock.utc_now(), done=done, total=total)

    return tell
