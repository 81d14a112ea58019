"""Jobs and the rows of their runs."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.jobs import runner, timetable
from billing.jobs.context import JobContext, SomeFailed, each_account
from billing.kernel.errors import Invalid
from billing.storage.database import Database, Session
from billing.storage.tables import JobRun, Setting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_job_is_due_when_its_interval_has_passed_since_it_last_began(database: Database) -> None:
    everything = {outcome.job for outcome in runner.run_due_jobs(database, {}, now=NOW)}
    assert everything == {job.name for job in timetable.TIMETABLE}
    assert runner.run_due_jobs(database, {}, now=NOW) == []
    later = {outcome.job for outcome in runner.run_due_jobs(database, {}, now=NOW + timedelta(seconds=21))}
    assert later == {
        "consume", "rate", "post", "payments", "invoice-batches", "documents", "receipts", "outbox", "mail", "seal-audit",
        "works",
    }  # fmt: skip


def test_every_run_succeeds_on_an_empty_installation_and_leaves_a_row(database: Database) -> None:
    outcomes = runner.run_due_jobs(database, {}, now=NOW)
    assert {outcome.job: outcome.detail for outcome in outcomes if outcome.result != "succeeded"} == {}
    with database.reading("jobs") as session:
        rows = session.execute(select(JobRun)).scalars().all()
    assert {(row.job, row.result) for row in rows} == {(outcome.job, "succeeded") for outcome in outcomes}
    assert all(row.ended_at is not None and row.ended_at >= row.started_at for row in rows)


def test_an_unknown_job_is_refused_by_name(database: Database) -> None:
    with pytest.raises(Invalid) as refused:
        runner.run_job(database, {}, "acrue", now=NOW)
    assert "accrue" in str(refused.value.fields["known"])


def test_one_account_that_fails_does_not_hold_up_the_others(database: Database) -> None:
    def act(session: Session, account_id: str) -> int:
        session.add(Setting(name=account_id, value="x", updated_at=NOW))
        session.flush()
        if account_id == "b":
            raise RuntimeError("boom")
        return 1

    with pytest.raises(SomeFailed, match="1 failed, 2 done; b: RuntimeError: boom"):
        each_account(JobContext(database=database, providers={}, now=NOW), ["a", "b", "c"], act)
    with database.reading("jobs") as session:
        assert sorted(session.execute(select(Setting.name)).scalars()) == ["a", "c"]


def test_a_run_whose_process_died_is_closed_as_abandoned(database: Database) -> None:
    with database.transaction("jobs") as session:
        session.add(
            JobRun(id="job_dead", job="rate", trigger="schedule", started_at=NOW, holder="gone:1", done_count=0)
        )
    runner.run_job(database, {}, "rate", now=NOW + timedelta(hours=3))
    with database.reading("jobs") as session:
        assert session.get_one(JobRun, "job_dead").result == "abandoned"


def test_housekeeping_drops_idle_runs_after_a_day_and_all_after_a_month(database: Database) -> None:
    with database.transaction("jobs") as session:
        for name, age, done in (
            ("idle", timedelta(days=2), 0),
            ("busy", timedelta(days=2), 5),
            ("old", timedelta(days=31), 5),
        ):
            session.add(
                JobRun(
                    id=name,
                    job="rate",
                    trigger="schedule",
                    started_at=NOW - age,
                    ended_at=NOW - age,
                    result="succeeded",
                    done_count=done,
                    holder="h",
                )
            )
    runner.run_job(database, {}, "housekeeping", now=NOW)
    with database.reading("jobs") as session:
        assert set(session.execute(select(JobRun.id).where(JobRun.job == "rate")).scalars()) == {"busy"}
