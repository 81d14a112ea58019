"""The dry run of a month as a long work: each account is drafted and issued in a transaction of its own that is rolled back."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.invoicing import dry_runs, runs
from billing.invoicing.dry_runs import Candidate, Row
from billing.jobs.context import JobContext
from billing.kernel import periods
from billing.kernel.errors import Invalid, Refusal
from billing.rating import up_to_date
from billing.storage.works import Progress, WorkRow


def question(facts: dict[str, Any]) -> str:
    """The month of the work's facts. Raises Invalid for what is no month."""
    label = str(facts.get("period", ""))
    if set(facts) != {"period"}:
        raise Invalid(field="period", value=label[:20], reason="not_a_month")
    periods.month(label, "UTC")
    return label


def run(session: Session, context: JobContext, facts: dict[str, Any], progress: Progress) -> list[Row]:
    """Every account that the month may bill, by code, then those that are missing."""
    label = question(facts)
    found = dry_runs.candidates(session, period_label=label)
    before = runs.nets_of(session, runs.label_before(label))
    answers: list[Row] = []
    for done, candidate in enumerate(found):
        progress(done, len(found))
        answers += _tried(context, candidate, label, before)
    return answers + dry_runs.missing(session, period_label=label, answered=answers)


def keep(session: Session, work: WorkRow, rows: list[Row], _now: datetime) -> dict[str, Any]:
    """Store the rows; the result counts them."""
    dry_runs.keep(session, work_id=work.id, rows=rows)
    return {"counts": dry_runs.counts(session, work_id=work.id)}


class _Undone(Exception):
    """Ends the transaction of a try, whatever it found."""


def _tried(context: JobContext, candidate: Candidate, label: str, before: dict[tuple[str, str], int]) -> list[Row]:
    rows: list[Row] = []
    try:
        with context.database.transaction("jobs") as session:
            up_to_date.bring(session, now=context.now, account_id=candidate.account_id)
            rows = dry_runs.rows_of(session, now=context.now, candidate=candidate, period_label=label, before=before)
            raise _Undone
    except _Undone:
        return rows
    except Refusal as refusal:
        return [dry_runs.refused(candidate, refusal)]
