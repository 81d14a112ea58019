"""The audit log as a chain: what was sealed cannot be altered, removed or slipped in without being named."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from billing.assurance import selfcheck
from billing.jobs import runner
from billing.kernel import ids
from billing.storage import audit, audit_chain
from billing.storage.database import Database, DatabaseUrls, owner_engine
from billing.storage.tables import AuditRecord, AuditSeal

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def record(database: Database, *subjects: str) -> list[str]:
    """One act on each subject, in one transaction; the ids of the audit rows."""
    with database.transaction() as session:
        for subject in subjects:
            audit.record(
                session, now=NOW, actor="usr_1", act="test.act", subject_type="test", subject_id=subject, facts={"n": 1}
            )
        session.flush()
        return list(
            session.scalars(select(AuditRecord.id).where(AuditRecord.subject_id.in_(subjects)).order_by(AuditRecord.id))
        )


def seal(database: Database, **how: Any) -> int:
    with database.transaction("jobs") as session:
        return audit_chain.seal(session, now=NOW, **how)


def differences(database: Database, now: datetime = NOW) -> list[str]:
    with database.reading("jobs") as session:
        return [found.sentence for found in selfcheck.run_audit(session, now=now).differences]


def as_owner(urls: DatabaseUrls, act: Callable[[Connection], object]) -> None:
    """What somebody does who owns the database and puts its guards aside."""
    engine = owner_engine(urls)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE name LIKE 'guard_audit%'")).scalars()
            for name in list(names):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("ALTER TABLE audit_seals DROP CONSTRAINT fk_audit_seals_audit_id"))
            for table in ("audit_log", "audit_seals"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        act(connection)
        connection.commit()
    engine.dispose()


def test_every_committed_row_gets_its_place_once(database: Database) -> None:
    made = record(database, "a", "b", "c")
    first = seal(database)
    assert first >= 3
    assert seal(database) == 0
    more = record(database, "d")
    assert seal(database) == 1
    with database.reading() as session:
        seals = session.execute(select(AuditSeal.seq, AuditSeal.audit_id).order_by(AuditSeal.seq)).all()
        assert audit_chain.unsealed_count(session) == 0
    assert [row.seq for row in seals] == list(range(1, first + 2))
    assert [row.audit_id for row in seals][-4:] == [*made, *more]
    assert differences(database) == []


def test_the_check_looks_at_every_seal(database: Database) -> None:
    record(database, "a", "b", "c")
    sealed = seal(database)
    with database.reading("jobs") as session:
        assert selfcheck.run_audit(session, now=NOW).checked == sealed


def test_the_chain_can_be_computed_by_hand(database: Database) -> None:
    import hashlib
    import json

    (made,) = record(database, "a")
    seal(database)
    with database.reading() as session:
        row = session.get_one(AuditRecord, made)
        place = session.scalars(select(AuditSeal).where(AuditSeal.audit_id == made)).one()
        before = session.scalar(select(AuditSeal.chain_hash).where(AuditSeal.seq == place.seq - 1)) or "0" * 64
    words = [
        *("audit-row/1", row.id, "2026-11-21T12:30:00+00:00", "usr_1", "test.act", "test", "a"),
        *(None, '{"n":1}', row.correlation_id),
    ]
    row_hash = hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).hexdigest()
    assert place.row_hash == row_hash
    assert place.chain_hash == hashlib.sha256(bytes.fromhex(before) + bytes.fromhex(row_hash)).hexdigest()


def test_a_row_committed_long_after_it_was_made_is_sealed_by_the_sweep(database: Database) -> None:
    record(database, "a")
    seal(database)
    with database.reading() as session:
        newest = session.scalars(select(AuditSeal.audit_id).order_by(AuditSeal.seq.desc())).first() or ""
    late = ids.earlier(newest, 3_600_000)
    with database.transaction() as session:
        session.add(
            AuditRecord(
                id=late, recorded_at=NOW, actor="x", act="late", subject_type="test", subject_id="late", facts={}
            )
        )
    assert seal(database) == 0
    assert seal(database, is_sweep=True) == 1
    assert differences(database) == []


def test_two_jobs_at_once_make_one_chain(database: Database) -> None:
    for number in range(4):
        record(database, *(f"{number}.{each}" for each in range(25)))
    barrier, done = threading.Barrier(4), []

    def work() -> None:
        barrier.wait()
        done.extend(seal(database, limit=9) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sum_of_all = sum(done)
    while more := seal(database):
        sum_of_all += more
    with database.reading() as session:
        assert audit_chain.head(session).seq == sum_of_all
        assert audit_chain.unsealed_count(session) == 0
    assert differences(database) == []


def test_the_scheduler_seals_what_its_jobs_do(database: Database) -> None:
    record(database, "a")
    runner.run_job(database, {}, "seal-audit", now=NOW)
    with database.reading() as session:
        assert audit_chain.head(session).seq > 0


@pytest.mark.tampers
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            lambda ids_: update(AuditRecord).where(AuditRecord.id == ids_[1]).values(actor="usr_2"),
            "not what was sealed",
        ),
        (
            lambda ids_: update(AuditRecord).where(AuditRecord.id == ids_[1]).values(facts={"n": 2}),
            "not what was sealed",
        ),
        (
            lambda ids_: (
                update(AuditRecord).where(AuditRecord.id == ids_[1]).values(recorded_at=NOW + timedelta(seconds=1))
            ),
            "not what was sealed",
        ),
        (lambda ids_: delete(AuditRecord).where(AuditRecord.id == ids_[1]), "is gone"),
        (lambda ids_: delete(AuditSeal).where(AuditSeal.audit_id == ids_[1]), "seals were removed"),
        (
            lambda ids_: update(AuditSeal).where(AuditSeal.audit_id == ids_[1]).values(row_hash="a" * 64),
            "not what was sealed",
        ),
        (
            lambda ids_: update(AuditSeal).where(AuditSeal.audit_id == ids_[1]).values(chain_hash="a" * 64),
            "breaks here",
        ),
    ],
)
def test_what_is_altered_is_named(
    database: Database, database_urls: DatabaseUrls, fault: Callable[[list[str]], Any], words: str
) -> None:
    made = record(database, "a", "b", "c")
    seal(database)
    assert differences(database) == []
    as_owner(database_urls, lambda connection: connection.execute(fault(made)))
    found = differences(database)
    assert any(words in sentence for sentence in found), found
    place = made[2] if "removed" in words else made[1]
    assert any(sentence.startswith(place) for sentence in found), found


@pytest.mark.tampers
def test_a_row_slipped_in_before_sealed_ones_is_named(database: Database, database_urls: DatabaseUrls) -> None:
    made = record(database, "a", "b", "c")
    seal(database)
    slipped = {
        "id": ids.earlier(made[0], 1),
        "recorded_at": NOW,
        "actor": "x",
        "act": "slip",
        "subject_type": "test",
        "subject_id": "s",
        "facts": {},
    }
    as_owner(database_urls, lambda connection: connection.execute(insert(AuditRecord).values(slipped)))
    assert differences(database) == []  # it may still be on its way
    (found,) = differences(database, now=NOW + timedelta(hours=4))
    assert found.startswith(slipped["id"])
    assert "slipped in" in found


@pytest.mark.tampers
def test_a_tail_that_was_cut_off_is_shown_by_a_head_kept_elsewhere(
    database: Database, database_urls: DatabaseUrls
) -> None:
    made = record(database, "a", "b", "c")
    seal(database)
    with database.reading() as session:
        kept = audit_chain.head(session)

    def cut(connection: Connection) -> None:
        connection.execute(delete(AuditSeal).where(AuditSeal.audit_id == made[2]))
        connection.execute(delete(AuditRecord).where(AuditRecord.id == made[2]))

    as_owner(database_urls, cut)
    assert differences(database) == []
    with database.reading() as session:
        assert audit_chain.head(session).seq == kept.seq - 1
