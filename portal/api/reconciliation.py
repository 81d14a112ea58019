"""/admin/billing/reconciliation: what differs between usage, rated lines, ledger and documents. The operator's machines ask."""

from flask import Response

from billing.accounts import directory
from billing.assurance import reconciliation, reconciliation_findings
from billing.assurance.reconciliation_findings import STATES, Filters, FindingRow, RunRow
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.reconciliation_schemas import (
    Difference,
    ReconciliationAnswer,
    ReconciliationPage,
    ReconciliationRequest,
    ReconciliationRun,
)

_RUNS, _LISTED = 10, 200


@keys.needs_staff("finance.read")
def list_differences() -> Response:
    """Differences that are not closed, those seen first at the top, and the last runs."""
    parameters.refuse_unknown("account", "period", "state", "limit", "cursor")
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    code = parameters.text("account")
    offset = cursors.read("")
    if offset is not None and (not isinstance(offset, int) or offset < 0):
        raise Invalid(field="cursor", reason="bad_cursor")
    with services.database().reading() as session:
        filters = Filters(state=state, account_id=_account_id(session, code), period_label=parameters.month("period"))
        rows = reconciliation_findings.list_findings(session, filters, limit=limit + 1, offset=offset or 0)
        runs = reconciliation_findings.list_runs(session, limit=_RUNS)
    return answers.of(
        ReconciliationPage(
            runs=[_run(row) for row in runs],
            data=[_difference(row) for row in rows[:limit]],
            next_cursor=cursors.write("", (offset or 0) + limit) if len(rows) > limit else None,
        )
    )


@keys.needs_staff("finance.run")
def run_reconciliation() -> Response:
    """201 with the run and the first 200 differences it saw. Nothing but the run and its findings is written."""
    asked = bodies.read(ReconciliationRequest)
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        with services.database().reading() as session:
            found = reconciliation.compare(session, now=services.now(), period_label=asked.period)
        with services.database().transaction() as session:
            run_id = reconciliation.record(session, now=services.now(), comparison=found, actor=keys.actor())
            run = reconciliation_findings.get_run(session, run_id)
            rows = reconciliation_findings.list_findings(session, Filters(run=run), limit=_LISTED)
            answer = ReconciliationAnswer(
                run=_run(run), checked=found.checked, differences=[_difference(row) for row in rows]
            )
            return answers.keep(session, claim, answers.of(answer, 201))


def _account_id(session: Session, code: str | None) -> str | None:
    if code is None:
        return None
    found = directory.find_account_by_code(session, code)
    if found is None:
        raise NotFound(account=code)
    return found.id


def _run(row: RunRow) -> ReconciliationRun:
    return ReconciliationRun(
        id=row.id,
        period=row.period_label,
        started_at=row.started_at,
        ended_at=row.ended_at,
        checked=row.checked_count,
        differences=row.finding_count,
        new=row.new_count,
        stages={
            name: {"looked": facts["looked"], "differences": facts["differences"]} for name, facts in row.stages.items()
        },
    )


def _difference(row: FindingRow) -> Difference:
    return Difference(
        id=row.id,
        stage=row.stage,
        account=row.account_code,
        currency=row.currency,
        period=row.period_label,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        sentence=row.sentence,
        facts=row.facts,
        state=row.state,
        owner=row.owner_name,
        explanation=row.explanation,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
    )
