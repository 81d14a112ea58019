"""Runs and findings of reconciliation as people work with them: lists, one finding, who looks after it, why it is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.tables import BillingAccount, User
from billing.assurance.reconciliation import STAGES, WORDS
from billing.assurance.tables import ReconciliationFinding, ReconciliationRun
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.storage import audit

EXPLANATION_MAX = 2_000
STATES = ("open", "explained", "closed")


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run: what it looked at, what it found; `stages` is {stage: {looked, differences, under_way, sums}}."""

    id: str
    period_label: str | None
    started_at: datetime
    ended_at: datetime
    checked_count: int
    finding_count: int
    new_count: int
    stages: dict[str, dict[str, Any]]
    actor: str


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """One difference. `owner` is the id of who looks after it, `owner_name` what they are called; `account_code` whose it is."""

    id: str
    stage: str
    account_id: str | None
    account_code: str | None
    currency: str | None
    period_label: str | None
    subject_type: str
    subject_id: str
    sentence: str
    facts: dict[str, Any]
    state: str
    owner: str | None
    owner_name: str | None
    explanation: str | None
    first_run_id: str
    last_run_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None

    @property
    def stage_words(self) -> str:
        """What the stage is called."""
        return WORDS.get(self.stage, self.stage)

    def age_s(self, now: datetime) -> int:
        """Seconds since it was first seen, to its end where it is closed."""
        return int(((self.closed_at or now) - self.first_seen_at).total_seconds())


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which findings: all that are None do not limit. `owner` "nobody" asks for those that no one looks after, `run` for those that
    it saw. Without a state and a run: those that are not closed."""

    state: str | None = None
    stage: str | None = None
    account_id: str | None = None
    period_label: str | None = None
    owner: str | None = None
    run: RunRow | None = None


def list_runs(session: Session, *, limit: int = 50, offset: int = 0) -> list[RunRow]:
    """The newest runs first."""
    query = select(ReconciliationRun).order_by(ReconciliationRun.started_at.desc(), ReconciliationRun.id.desc())
    return [_run(row) for row in session.scalars(query.limit(limit).offset(offset))]


def count_runs(session: Session) -> int:
    """How many runs there are."""
    return session.execute(select(func.count()).select_from(ReconciliationRun)).scalar_one()


def get_run(session: Session, run_id: str) -> RunRow:
    """One run. Raises NotFound."""
    row = session.get(ReconciliationRun, run_id) if names.is_safe(run_id) else None
    if row is None:
        raise NotFound(kind="reconciliation_run", id=names.shown(run_id))
    return _run(row)


def list_findings(session: Session, filters: Filters, *, limit: int = 50, offset: int = 0) -> list[FindingRow]:
    """Findings that meet the filters, those first seen longest ago first."""
    query = _filtered(_select(), filters).order_by(ReconciliationFinding.first_seen_at, ReconciliationFinding.id)
    return [_finding(row) for row in session.execute(query.limit(limit).offset(offset))]


def count_findings(session: Session, filters: Filters) -> int:
    """How many findings meet the filters."""
    query = _filtered(select(func.count()).select_from(ReconciliationFinding), filters)
    return int(session.execute(query).scalar_one())


def get_finding(session: Session, finding_id: str) -> FindingRow:
    """One finding. Raises NotFound."""
    row = None
    if names.is_safe(finding_id):
        row = session.execute(_select().where(ReconciliationFinding.id == finding_id)).one_or_none()
    if row is None:
        raise NotFound(kind="reconciliation_finding", id=names.shown(finding_id))
    return _finding(row)


def assign(session: Session, *, now: datetime, finding_id: str, owner: str | None, actor: str) -> None:
    """Say who looks after a finding, or that nobody does. Locks it. Raises NotFound, Invalid for somebody who is no staff, Conflict
    for a closed one."""
    row = _lock(session, finding_id)
    if owner is not None:
        person = session.get(User, owner)
        if person is None or person.staff_role is None or person.is_disabled:
            raise Invalid(field="owner", value=names.shown(owner), reason="not_of_the_staff")
    row.owner = owner
    _record(session, now, row, "reconciliation.assign", actor, {"owner": owner})


def explain(session: Session, *, now: datetime, finding_id: str, explanation: str, actor: str) -> None:
    """Say why a difference is there; it stays until a run no longer finds it, and is open again when its figures change.

    Locks it. Raises NotFound, Invalid for an explanation that is none, Conflict for a closed one.
    """
    row = _lock(session, finding_id)
    row.explanation = names.require_name(" ".join(explanation.split()), "explanation", max_length=EXPLANATION_MAX)
    row.state = "explained"
    if row.owner is None:
        row.owner = actor
    _record(session, now, row, "reconciliation.explain", actor, {"state": row.state})


def list_owners(session: Session) -> Sequence[tuple[str, str]]:
    """(id, name) of everybody who may look after a finding."""
    rows = session.execute(
        select(User.id, User.name).where(User.staff_role.is_not(None), User.is_disabled == false()).order_by(User.name)
    )
    return [(row.id, row.name) for row in rows]


def _lock(session: Session, finding_id: str) -> ReconciliationFinding:
    query = select(ReconciliationFinding).where(ReconciliationFinding.id == finding_id).with_for_update()
    row = None
    if names.is_safe(finding_id):
        row = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise NotFound(kind="reconciliation_finding", id=names.shown(finding_id))
    if row.state == "closed":
        raise Conflict(finding_id=row.id, reason="finding_closed")
    return row


def _record(
    session: Session, now: datetime, row: ReconciliationFinding, act: str, actor: str, facts: dict[str, Any]
) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="reconciliation_finding",
        subject_id=row.id,
        facts={"stage": row.stage, **facts},
    )
    session.flush()  # its checks must speak here


def _select() -> Select[*tuple[Any, ...]]:
    return (
        select(ReconciliationFinding, BillingAccount.code, User.name)
        .outerjoin(BillingAccount, BillingAccount.id == ReconciliationFinding.billing_account_id)
        .outerjoin(User, User.id == ReconciliationFinding.owner)
    )


def _filtered(query: Select[*tuple[Any, ...]], filters: Filters) -> Select[*tuple[Any, ...]]:
    wanted = {
        ReconciliationFinding.state: filters.state,
        ReconciliationFinding.stage: filters.stage,
        ReconciliationFinding.billing_account_id: filters.account_id,
        ReconciliationFinding.period_label: filters.period_label,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    if filters.run is not None:
        query = query.where(*_seen_by(filters.run))
    elif filters.state is None:
        query = query.where(ReconciliationFinding.open_key.is_not(None))
    if filters.owner == "nobody":
        return query.where(ReconciliationFinding.owner.is_(None))
    return query if filters.owner is None else query.where(ReconciliationFinding.owner == filters.owner)


def _seen_by(run: RunRow) -> list[ColumnElement[bool]]:
    """A finding is seen by its first run, its last one, and every run between them that looked at its month."""
    between = (ReconciliationFinding.first_seen_at <= run.started_at) & (
        ReconciliationFinding.last_seen_at >= run.started_at
    )
    if run.period_label is None:
        return [between]
    of_no_month = [rule.name for rule in STAGES if not rule.by_period]
    in_month = ReconciliationFinding.period_label == run.period_label
    return [between, in_month | ReconciliationFinding.stage.in_(of_no_month)]


def _run(row: ReconciliationRun) -> RunRow:
    return RunRow(
        id=row.id,
        period_label=row.period_label,
        started_at=row.started_at,
        ended_at=row.ended_at,
        checked_count=row.checked_count,
        finding_count=row.finding_count,
        new_count=row.new_count,
        stages=row.stages,
        actor=row.actor,
    )


def _finding(found: Any) -> FindingRow:
    row, account_code, owner_name = found
    return FindingRow(
        id=row.id,
        stage=row.stage,
        account_id=row.billing_account_id,
        account_code=account_code,
        currency=row.currency,
        period_label=row.period_label,
        subject_type=row.subject_type,
        subject_id=row.subject_id,
        sentence=row.sentence,
        facts=row.facts,
        state=row.state,
        owner=row.owner,
        owner_name=owner_name,
        explanation=row.explanation,
        first_run_id=row.first_run_id,
        last_run_id=row.last_run_id,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        closed_at=row.closed_at,
    )
