"""Long works: asked for once, done by whoever leads, begun again when a process died, their result kept."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.jobs import runner, works
from billing.jobs.context import JobContext
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.storage import works as work_rows
from billing.storage.database import Database
from billing.storage.works import WorkRow

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def ask(database: Database, *, form_key: str = "form", actor: str = "usr_1", **facts: str) -> str:
    kind = "replay" if facts else "self-check"
    with database.transaction() as session:
        return works.ask(session, now=NOW, kind=kind, facts=dict(facts), form_key=form_key, actor=actor)


def get(database: Database, work_id: str) -> WorkRow:
    with database.reading() as session:
        return work_rows.get(session, work_id)


def test_a_work_is_done_by_the_scheduler_and_keeps_its_result(database: Database) -> None:
    work_id = ask(database)
    assert get(database, work_id).state == "waiting"
    runner.run_job(database, {}, "works", now=NOW)
    done = get(database, work_id)
    assert (done.state, done.failure, done.is_ended) == ("succeeded", None, True)
    assert done.result is not None
    assert done.result["difference_count"] == 0
    assert done.result["checked"] == sum(done.result["by_check"].values()) > 0


def test_the_same_form_is_one_work_and_another_question_under_its_key_is_refused(database: Database) -> None:
    assert ask(database) == ask(database)
    with pytest.raises(Conflict):
        ask(database, actor="usr_2")
    with pytest.raises(Conflict):
        ask(database, period="2026-10")


def test_what_cannot_be_asked_for_is_refused(database: Database) -> None:
    for kind, facts, key in (
        ("unknown", {}, "k"),
        ("replay", {}, "k"),
        ("replay", {"period": "2026-13"}, "k"),
        ("self-check", {}, ""),
        ("self-check", {}, "k" * 201),
    ):
        with pytest.raises(Invalid), database.transaction() as session:
            works.ask(session, now=NOW, kind=kind, facts=facts, form_key=key, actor="usr_1")
    with pytest.raises(NotFound), database.reading() as session:
        work_rows.get(session, "wrk_none")


def test_a_work_that_fails_says_why_and_the_next_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("no more paper")

    kind = works.KINDS["replay"]
    monkeypatch.setitem(
        works.KINDS, "replay", works.Kind(name="replay", words=kind.words, noun="rows", run=broken, keep=kind.keep)
    )  # type: ignore[arg-type]
    first, second = ask(database, form_key="1", period="2026-10"), ask(database, form_key="2")
    assert works.do_waiting(JobContext(database=database, providers={}, now=NOW)) == 2
    assert (get(database, first).state, get(database, first).failure) == ("failed", "RuntimeError: no more paper")
    assert get(database, second).state == "succeeded"


def test_a_work_whose_process_died_is_begun_again_and_a_living_one_is_not(database: Database) -> None:
    work_id = ask(database)
    with database.transaction("jobs") as session:
        assert work_rows.claim(session, now=NOW) is not None
    for later, is_taken in ((timedelta(seconds=90), False), (timedelta(seconds=150), True)):
        with database.transaction("jobs") as session:
            taken = work_rows.claim(session, now=NOW + later)
        assert (taken is not None) == is_taken
    with database.transaction("jobs") as session:
        work_rows.beat(session, work_id=work_id, now=NOW + timedelta(seconds=200))
    with database.transaction("jobs") as session:
        assert work_rows.claim(session, now=NOW + timedelta(seconds=290)) is None


def test_of_two_processes_that_did_it_the_first_answer_stands(database: Database) -> None:
    work_id = ask(database)
    with database.transaction("jobs") as session:
        work_rows.claim(session, now=NOW)
    for number in (1, 2):
        with database.transaction("jobs") as session:
            work_rows.succeed(session, work_id=work_id, now=NOW, result={"checked": number})
    with database.transaction("jobs") as session:
        work_rows.fail(session, work_id=work_id, now=NOW, failure="late")
    assert get(database, work_id).result == {"checked": 1}


def test_progress_is_told_while_it_runs(database: Database) -> None:
    work_id = ask(database)
    with database.transaction("jobs") as session:
        work_rows.claim(session, now=NOW)
    with database.transaction("jobs") as session:
        work_rows.move(session, work_id=work_id, now=NOW, done=3, total=12)
    row = get(database, work_id)
    assert (row.state, row.done_count, row.total_count) == ("running", 3, 12)
