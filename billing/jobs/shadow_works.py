"""A shadow rating as a long work: what is asked for stands in the work's facts, what was found becomes a trial."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.catalog.trials import Limits
from billing.jobs.context import JobContext
from billing.kernel import clock
from billing.rating import shadow, shadow_candidates
from billing.rating.shadow import Outcome, Question
from billing.storage.works import Progress, WorkRow


def facts_of(
    *,
    text: str | None,
    price_book_id: str | None,
    from_at: datetime,
    to_at: datetime,
    account_ids: tuple[str, ...],
    limits: Limits,
    row_bound: int,
) -> dict[str, Any]:
    """What the work is told: a book's text or the id of a loaded version, the stretch, the accounts (none: all), the limits."""
    return {
        "text": text,
        "price_book_id": price_book_id,
        "from_at": clock.to_rfc3339(from_at),
        "to_at": clock.to_rfc3339(to_at),
        "account_ids": list(account_ids),
        "limits": limits.content,
        "row_bound": row_bound,
    }


def question(session: Session, facts: dict[str, Any]) -> Question:
    """The question of a work's facts. Raises Invalid or NotFound for what cannot be tried."""
    if facts["text"] is not None:
        candidate = shadow_candidates.of_text(session, facts["text"])
    else:
        candidate = shadow_candidates.of_version(session, str(facts["price_book_id"]))
    return Question(
        candidate=candidate,
        from_at=clock.parse_instant(facts["from_at"], field="from"),
        to_at=clock.parse_instant(facts["to_at"], field="to"),
        account_ids=tuple(facts["account_ids"]),
        limits=Limits(**facts["limits"]),
        row_bound=facts["row_bound"],
    )


def run(session: Session, _context: JobContext, facts: dict[str, Any], progress: Progress) -> Outcome:
    """Rate again, in the work's snapshot."""
    return shadow.run(session, question(session, facts), progress=progress)


def keep(session: Session, work: WorkRow, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """Write the trial; the work's result names it."""
    trial = shadow.record(session, outcome, now=now, actor=work.requested_by)
    return {"trial_id": trial.id, "rows": outcome.row_count}
