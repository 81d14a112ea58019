"""Signed roots: what they are signed over, when there is nothing new, and what is located when something was cut or replaced."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select, text

from billing.assurance import verification
from billing.jobs import runner, sealing
from billing.kernel.merkle import root_of_proof
from billing.ledger import root_files, roots
from billing.ledger.root_files import Keeping, RootFileRefused
from billing.ledger.roots import ChainNotContinued, NothingSigned
from billing.ledger.tables import RootHead
from billing.storage import signing
from billing.storage.database import Database, DatabaseUrls, Session, owner_engine
from tests.service.assurance.test_tampering import put_guards_aside
from tests.service.invoicing import world

_SECOND = "SELECT hash FROM ledger_transactions WHERE chain_seq = 2 AND billing_account_id = :id"
NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    path = tmp_path / "keys" / "signing_key"
    signing.make_file(path)
    return Keeping(key_path=path, folder=tmp_path / "roots")


def sign(database: Database, keeping: Keeping, hours: int = 0) -> roots.RootRow | None:
    return sealing.sign_root(database, keeping, now=NOW + timedelta(hours=hours), actor="test")


def differences(database: Database, folder: Path | None = None) -> list[str]:
    with database.reading("jobs") as session:
        report = verification.verify_roots(session, folder)
    assert report.checked
    return [each.sentence for each in report.differences]


@contextmanager
def owner(urls: DatabaseUrls) -> Iterator[Session]:
    """A session of somebody who owns the database and has put the guards aside; what it does is committed."""
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            put_guards_aside(connection)
            with Session(bind=connection) as session:
                yield session
                session.commit()
            connection.commit()
    finally:
        engine.dispose()


def test_a_root_is_over_every_chain_and_names_the_one_before(database: Database, keeping: Keeping) -> None:
    assert sign(database, keeping) is None  # no chain has begun
    first, second = world.open_account(database, "calla"), world.open_account(database, "taifl")
    world.top_up(database, first, 500)
    one = sign(database, keeping)
    world.top_up(database, first, 700)
    world.top_up(database, second, 900)
    two = sign(database, keeping, hours=1)
    assert one
    assert two
    assert (one.seq, one.chain_count, one.transaction_count, one.previous_hash) == (1, 1, 1, roots.START)
    assert (two.seq, two.chain_count, two.transaction_count, two.previous_hash) == (2, 2, 3, one.hash)
    with database.reading("jobs") as session:
        for account_id in (first, second):
            found = roots.prove(session, account_id)
            leaf = roots.leaf(account_id, found.head)
            assert (
                root_of_proof(leaf, found.place, two.chain_count, found.path)
                == two.merkle_root
                == found.root.merkle_root
            )
        with pytest.raises(NothingSigned):
            roots.prove(session, "bac_nobody")
    assert differences(database, keeping.folder) == []


def test_where_no_chain_moved_no_root_is_signed_and_a_new_key_signs_one(database: Database, keeping: Keeping) -> None:
    world.top_up(database, world.open_account(database), 500)
    first = sign(database, keeping)
    assert sign(database, keeping, hours=1) is None
    with database.transaction("jobs") as session:
        signing.rotate(session, keeping.key_path, now=NOW, actor="test")
    signing.finish_rotation(keeping.key_path)
    second = sign(database, keeping, hours=2)
    assert first
    assert second
    assert second.merkle_root == first.merkle_root
    assert second.fingerprint != first.fingerprint
    with database.reading("jobs") as session:
        assert session.scalar(select(func.count()).select_from(RootHead)) == 1  # only what moved is kept
    assert differences(database, keeping.folder) == []


def test_only_moved_heads_are_kept_and_the_rest_is_rebuilt(database: Database, keeping: Keeping) -> None:
    accounts = [world.open_account(database, code) for code in ("a1", "b2", "c3", "d4")]
    for number, moved in enumerate((accounts[1:3], accounts[:1], accounts[1:], accounts), start=1):
        for account_id in moved:
            world.top_up(database, account_id, 100 * number)
        assert sign(database, keeping, hours=number)
    with database.reading("jobs") as session:
        assert session.scalar(select(func.count()).select_from(RootHead)) == 2 + 1 + 3 + 4
        assert list(roots.heads_at(session, 2)) == sorted(accounts[:3])
    assert differences(database, keeping.folder) == []


def test_writers_at_the_same_moment_sign_one_root(database: Database, keeping: Keeping) -> None:
    world.top_up(database, world.open_account(database), 500)
    start, made, threads = Barrier(4), [], []

    def work() -> None:
        start.wait()
        made.append(sign(database, keeping))

    for _ in range(4):
        threads.append(Thread(target=work))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert sorted(row.seq for row in made if row) == [1]
    assert len(made) == 4


def test_the_job_signs_and_writes_the_file_that_the_signature_proves(database: Database, keeping: Keeping) -> None:
    world.top_up(database, world.open_account(database), 500)
    assert runner.run_job(database, {}, "roots", now=NOW).done_count == 0  # without a key nothing is signed
    outcome = runner.run_job(database, {}, "roots", now=NOW, keeping=lambda: keeping)
    assert (outcome.result, outcome.done_count) == ("succeeded", 1)
    told = json.loads((keeping.folder / "root-00000001.json").read_bytes())
    assert told["format"] == "plumbline-root/1"
    assert signing.is_signed(roots.signed_bytes(told["hash"]), told["signature"], told["public_key"])
    assert os.listdir(keeping.folder) == ["root-00000001.json"]


def test_a_file_is_never_overwritten_and_a_gap_is_filled_only_when_asked(database: Database, keeping: Keeping) -> None:
    account_id = world.open_account(database)
    for hour in range(3):
        world.top_up(database, account_id, 100 + hour)
        assert sign(database, keeping, hours=hour)
    second = keeping.folder / "root-00000002.json"
    kept = second.read_bytes()
    second.unlink()
    world.top_up(database, account_id, 900)
    assert sign(database, keeping, hours=4)
    assert not second.exists()
    assert [each for each in differences(database, keeping.folder) if "root-00000002.json is missing" in each]
    with database.reading("jobs") as session:
        assert root_files.export(session, keeping.folder, fills_gaps=True) == [second]
        assert root_files.export(session, keeping.folder, fills_gaps=True) == []
    assert second.read_bytes() == kept
    (keeping.folder / "root-00000005.json").write_text("another")
    world.top_up(database, account_id, 901)
    assert sign(database, keeping, hours=5)  # the number is taken in the folder: what is there stays
    assert (keeping.folder / "root-00000005.json").read_text() == "another"
    assert any("says something else" in each for each in differences(database, keeping.folder))


def test_a_place_that_is_taken_meanwhile_is_refused(keeping: Keeping) -> None:
    path = root_files._write(keeping.folder / root_files.name_of(1), b"one")
    assert root_files._write(path, b"one") == path
    with pytest.raises(RootFileRefused):
        root_files._write(path, b"other")
    assert path.read_bytes() == b"one"


@pytest.mark.tampers
def test_a_cut_tail_is_located_by_the_root_and_no_root_is_signed_over_it(
    database: Database, database_urls: DatabaseUrls, keeping: Keeping
) -> None:
    account_id = world.open_account(database)
    for amount in (500, 600, 700):
        world.top_up(database, account_id, amount)
    row = sign(database, keeping)
    assert row
    with owner(
        database_urls
    ) as session:  # cleanly: entries, transaction and the cached head, so that the chain alone is whole
        for statement in (
            "DELETE FROM ledger_entries WHERE billing_account_id = :id AND chain_seq = 3",
            "DELETE FROM ledger_transactions WHERE billing_account_id = :id AND chain_seq = 3",
            "UPDATE account_heads SET chain_seq = 2 WHERE billing_account_id = :id",
            f"UPDATE account_heads SET chain_hash = ({_SECOND}) WHERE billing_account_id = :id",
        ):
            session.execute(text(statement), {"id": account_id})
    with database.reading("jobs") as session:
        found = verification.verify_chain(session, account_id).differences
    assert {each.check for each in found} == {"root"}
    assert found[0].subject_id == account_id
    assert "number 3 was signed by root 1 and is not there: the tail was cut" in found[0].sentence
    with pytest.raises(ChainNotContinued):
        sign(database, keeping, hours=1)
    with owner(database_urls) as session:  # and the root over it: only the file knows
        session.execute(text("DELETE FROM root_heads"))
        session.execute(text("DELETE FROM signed_roots"))
    assert differences(database) == []
    sentences = " ".join(differences(database, keeping.folder))
    assert "holds root number 1, which is not in the database" in sentences
    assert f"{account_id}: its number 3 was signed by root 1 in root-00000001.json and is not there" in sentences
    assert sign(database, keeping, hours=1)  # another root takes the number: a fork, which the file shows
    assert any("is forked" in each for each in differences(database, keeping.folder))


@pytest.mark.tampers
def test_a_replaced_head_a_removed_root_and_a_missing_chain_are_located(
    database: Database, database_urls: DatabaseUrls, keeping: Keeping
) -> None:
    account_id = world.open_account(database)
    for hour, amount in enumerate((500, 600, 700)):
        world.top_up(database, account_id, amount)
        assert sign(database, keeping, hours=hour)
    done = (
        ("UPDATE ledger_transactions SET hash = 'ab' WHERE chain_seq = 2", "is not the transaction that root 2 signed"),
        ("UPDATE root_heads SET chain_hash = 'ab' WHERE root_seq = 1", "was signed over other heads"),
        ("DELETE FROM root_heads WHERE root_seq = 2", "was signed over other heads"),
        ("DELETE FROM signed_roots WHERE seq = 2", "comes next: roots were removed"),
        ("UPDATE signed_roots SET signed_at = (SELECT max(signed_at) FROM signed_roots) WHERE seq = 1", "was altered"),
        ("UPDATE signing_keys SET previous_id = id", "vouch"),
    )
    engine = owner_engine(database_urls)
    with engine.connect() as connection:
        put_guards_aside(connection)
        for statement, expected in done:
            savepoint = connection.begin_nested()
            connection.execute(text(statement))
            with Session(bind=connection, join_transaction_mode="rollback_only") as session:
                found = [each.sentence for each in verification.verify_roots(session).differences]
            savepoint.rollback()
            assert any(expected in each for each in found), (statement, found)
        connection.rollback()
    engine.dispose()
    with owner(database_urls) as session:
        session.execute(text("UPDATE account_heads SET chain_seq = 0"))
    with pytest.raises(ChainNotContinued):
        sign(database, keeping, hours=9)
