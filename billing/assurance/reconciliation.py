"""Reconciliation: usage - rated - ledger - invoice - provider, per account, currency and billing period (AS1).

A comparison reads one snapshot and writes nothing; recording it is one short transaction. Each difference is a finding with an age,
an owner and an explanation: seen again it is the same finding, gone it closes itself, back again it is a new one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.assurance import reconciliation_invoices as invoices
from billing.assurance import reconciliation_provider as provider
from billing.assurance import reconciliation_usage as usage
from billing.assurance import report
from billing.assurance.reconciliation_tally import Found, Scope, Stage
from billing.assurance.tables import ReconciliationFinding, ReconciliationRun
from billing.kernel import canonical, periods
from billing.kernel.ids import new_id
from billing.storage import audit, locks
from billing.storage.works import Progress

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class StageRule:
    """One comparison: its words, and whether it can be held to one month."""

    name: str
    words: str
    compare: Callable[[Session, Stage, Scope], None]
    by_period: bool = True


STAGES: tuple[StageRule, ...] = (
    StageRule(name="usage_rated", words="Usage and rated lines", compare=usage.usage_rated),
    StageRule(name="rated_posted", words="Rated lines and postings", compare=usage.rated_posted),
    StageRule(name="posted_ledger", words="Postings and the ledger", compare=usage.posted_ledger),
    StageRule(
        name="unbilled_charges", words="Unbilled and open charges", compare=invoices.unbilled_charges, by_period=False
    ),
    StageRule(name="charges_lines", words="Charges and document lines", compare=invoices.charges_lines),
    StageRule(
        name="documents_receivable",
        words="Documents and the receivable",
        compare=invoices.documents_receivable,
        by_period=False,
    ),
    StageRule(
        name="settlements", words="Settlements and the receivable", compare=invoices.settlements, by_period=False
    ),
    StageRule(
        name="provider_cash",
        words="Movements at the provider and the ledger",
        compare=provider.cash_movements,
        by_period=False,
    ),
    StageRule(
        name="provider_balance",
        words="The provider's balance and its movements",
        compare=provider.stated_balances,
        by_period=False,
    ),
    StageRule(
        name="provider_payouts",
        words="Payouts and what they contain",
        compare=provider.payout_contents,
        by_period=False,
    ),
)
WORDS = {rule.name: rule.words for rule in STAGES}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one reading of the books found, not recorded yet."""

    scope: Scope
    stages: tuple[Stage, ...]

    @property
    def checked(self) -> int:
        """How many rows were really compared."""
        return sum(stage.looked for stage in self.stages)

    @property
    def found(self) -> list[Found]:
        """Every difference that was kept, in the order of the stages."""
        return [found for stage in self.stages for found in stage.found]

    @property
    def difference_count(self) -> int:
        """How many differences there are, kept or not."""
        return sum(stage.difference_count for stage in self.stages)


def compare(
    session: Session, *, now: datetime, period_label: str | None = None, progress: Progress | None = None
) -> Comparison:
    """Compare all stages in the session's snapshot, of everything or of the billing periods of one month; writes nothing.

    A stage that meets a row it cannot read says so as a difference and keeps what it had found. Raises Invalid for a label that is
    no month.
    """
    if period_label is not None:
        periods.month(period_label, "UTC")
    scope, stages = Scope(now=now, period_label=period_label), []
    for place, rule in enumerate(STAGES):
        stage = Stage(name=rule.name)
        try:
            rule.compare(session, stage, scope)
        except report.UNREADABLE as error:
            sentence = f"The comparison could not finish: {type(error).__name__}: {error}"
            stage.differ(("stage", rule.name), sentence, account=None)
        stages.append(stage)
        if progress is not None:
            progress(place + 1, len(STAGES))
    return Comparison(scope=scope, stages=tuple(stages))


def record(
    session: Session, *, now: datetime, comparison: Comparison, actor: str, ended_at: datetime | None = None
) -> str:
    """Keep a comparison as a run, open or renew its findings and close those that are gone; the run's id.

    Locks the name `reconciliation`, so that two runs cannot open the same finding twice. A finding whose facts changed is open
    again: its explanation was for other figures.
    """
    locks.take(session, "reconciliation")
    run_id = new_id("rcr")
    known = _open_findings(session)
    found = {each.key: each for each in comparison.found}
    new_count = len(found.keys() - known.keys())
    session.add(
        ReconciliationRun(
            id=run_id,
            period_label=comparison.scope.period_label,
            started_at=comparison.scope.now,
            ended_at=ended_at or now,
            checked_count=comparison.checked,
            finding_count=comparison.difference_count,
            new_count=new_count,
            stages={stage.name: stage.to_facts() for stage in comparison.stages},
            actor=actor,
        )
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act="reconciliation.run",
        subject_type="reconciliation_run",
        subject_id=run_id,
        facts={"checked": comparison.checked, "differences": comparison.difference_count, "new": new_count},
    )
    session.flush()  # findings refer to the run
    seen_at = comparison.scope.now
    for key, each in found.items():
        row = known.pop(key, None)
        if row is None:
            session.add(_new(each, key, run_id, seen_at))
        else:
            _renew(row, each, run_id, seen_at)
    for row in known.values():
        if _is_gone(row, comparison):
            row.state, row.open_key, row.closed_at = "closed", None, now
    session.flush()  # the key of an open finding must collide here
    return run_id


def _open_findings(session: Session) -> dict[str, ReconciliationFinding]:
    rows = session.scalars(
        select(ReconciliationFinding)
        .where(ReconciliationFinding.open_key.is_not(None))
        .execution_options(populate_existing=True)
    )
    return {row.key: row for row in rows}


def _new(each: Found, key: str, run_id: str, seen_at: datetime) -> ReconciliationFinding:
    return ReconciliationFinding(
        id=new_id("rcf"),
        key=key,
        open_key=key,
        stage=each.stage,
        billing_account_id=each.billing_account_id,
        currency=each.currency,
        period_label=each.period_label,
        subject_type=each.subject_type,
        subject_id=each.subject_id,
        sentence=each.sentence,
        facts=dict(each.facts),
        state="open",
        first_run_id=run_id,
        last_run_id=run_id,
        first_seen_at=seen_at,
        last_seen_at=seen_at,
    )


def _renew(row: ReconciliationFinding, each: Found, run_id: str, seen_at: datetime) -> None:
    facts: dict[str, Any] = dict(each.facts)
    if canonical.dumps(facts) != canonical.dumps(row.facts):
        row.facts, row.sentence, row.state = facts, each.sentence, "open"
    row.last_run_id, row.last_seen_at = run_id, seen_at


def _is_gone(row: ReconciliationFinding, comparison: Comparison) -> bool:
    """Whether the run looked where the finding was and no longer found it; a stage that could not list all proves nothing."""
    rule = next((rule for rule in STAGES if rule.name == row.stage), None)
    stage = next((stage for stage in comparison.stages if stage.name == row.stage), None)
    if rule is None or stage is None:
        return True
    is_whole = stage.unlisted == 0 and not any(found.subject_type == "stage" for found in stage.found)
    return is_whole and (not rule.by_period or comparison.scope.covers(row.period_label))
