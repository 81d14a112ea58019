"""Reconciliation as a job of every day, and as a long work that somebody asks for."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.assurance import reconciliation
from billing.assurance.reconciliation import Comparison
from billing.jobs.context import JobContext
from billing.kernel import periods
from billing.storage.works import Progress, WorkRow

_LISTED_MAX = 200


def question(facts: dict[str, Any]) -> None:
    """Refuse a work that asks for no month: `facts` is {} for everything, or {"period": "2026-10"}. Raises Invalid."""
    if facts.get("period") is not None:
        periods.month(str(facts["period"]), "UTC")


def run(session: Session, context: JobContext, facts: dict[str, Any], progress: Progress) -> Comparison:
    """Compare, in the snapshot of the session."""
    return reconciliation.compare(session, now=context.now, period_label=facts.get("period"), progress=progress)


def keep(session: Session, work: WorkRow, found: Comparison, now: datetime) -> dict[str, Any]:
    """Record the run and answer with it."""
    run_id = reconciliation.record(session, now=now, comparison=found, actor=work.requested_by, ended_at=now)
    return {
        "run_id": run_id,
        "checked": found.checked,
        "by_check": {stage.name: stage.looked for stage in found.stages},
        "difference_count": found.difference_count,
        "differences": [
            {"check": each.stage, "subject_id": each.subject_id, "sentence": each.sentence}
            for each in found.found[:_LISTED_MAX]
        ],
    }


def do_daily(context: JobContext) -> int:
    """Compare everything and record it. Counts rows looked at; differences are findings, not a failure of the job."""
    with context.database.reading("jobs") as session:
        found = reconciliation.compare(session, now=context.now)
    with context.database.transaction("jobs") as session:
        reconciliation.record(session, now=context.now, comparison=found, actor="job:reconcile")
    return found.checked
