"""A check that cannot fail proves nothing: each stored field that matters is altered once, by somebody who owns the database and has
put the guards aside, and a check names the row.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select, text
from sqlalchemy.orm import Session

from billing.assurance import replay, report, schema, selfcheck, verification
from billing.assurance.checks import agreements
from billing.assurance.report import Report
from billing.storage.columns import Blob, Day, Flag, Instant, Json, Quantity
from billing.storage.database import Database, DatabaseUrls, owner_engine
from tests.service.assurance.walk import Walk, walk

pytestmark = pytest.mark.tampers

# Fields whose change harms no figure and no proof, so that no check speaks of them.
UNSPOKEN = {
    "usage_records": {"correlation_id", "content_hash", "import_id", "recorded_at"},
    "invoice_headers": {
        *("billing_period_id", "corrects_id", "drafted_at", "approved_at", "approved_by", "issued_at", "seller_id"),
        *(
            "snapshot",
            "state",
        ),  # held by CHECK constraints and hashes: altered alone they cannot be stored or are another row
    },
    "invoice_lines": {"issued_at", "corrects_line_id", "sku_code", "project_id", "quantity_base"},
    "invoice_taxes": {"issued_at"},
    "invoice_settlements": {"id", "settled_at"},
    "invoice_documents": {"rendered_at", "format"},
    "postings": {"id"},
    "price_versions": {"price_book_id", "id"},  # of a price that was never used
    "payments": {"method_label", "received_at", "provider", "provider_payment_id"},
    "charges": {"draft_id", "sku_code"},
    "counters": {"scale", "segment_start_at"},
    "balance_checkpoints": {"recorded_at", "revision", "ledger_account_id", "billing_account_id", "through_chain_seq"},
    "ledger_accounts": {"created_at", "seller_id"},
    "ledger_memos": set(),
    "account_heads": set(),
    "signed_roots": set(),
    "root_heads": set(),
    "signing_keys": {"created_at"},
    "counter_rescales": {"id"},
    "promo_grants": set(),
    "invoice_allowances": {"issued_at"},
    "rated_days": set(),
    "rated_day_marks": set(),
}
AGREED: dict[str, set[str]] = {
    "commit_contracts": {"name"},
    "reservations": {"name"},
    "price_book_activations": set(),
    "pricing_plan_versions": {"id"},
    "subscriptions": {"created_at"},
}
"""What acts agreed on, and the fields that the log does not know: free text, and what nothing goes by."""
_LAST = "SELECT hash FROM ledger_transactions WHERE chain_seq = :keep AND billing_account_id = :id"
FLIPPED = ("ledger_transactions", "ledger_entries", "rated_usage_lines", *UNSPOKEN)


@dataclass(frozen=True)
class Tampered:
    """An owner's connection inside a transaction that is never committed, and what stands in the books."""

    connection: Connection
    walk: Walk

    def run(self, check: Callable[[Session], Report] = selfcheck.run) -> Report:
        with Session(bind=self.connection, join_transaction_mode="rollback_only") as session:
            return check(session)


@contextmanager
def _tampering(database: Database, urls: DatabaseUrls) -> Iterator[Tampered]:
    found = walk(database)
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            put_guards_aside(connection)
            yield Tampered(connection=connection, walk=found)
            connection.rollback()
    finally:
        engine.dispose()


def put_guards_aside(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        names = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
        for name, _table in connection.execute(text(names)).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        return
    for name in sorted(schema.metadata.tables):
        connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
    constraints = (
        "SELECT conrelid::regclass::text, conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
        "WHERE contype IN ('c', 'f') AND relkind = 'r' AND connamespace = current_schema()::regnamespace"
    )
    for table, name in connection.execute(text(constraints)).all():
        connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))


def test_every_field_that_matters_is_missed_when_it_changes(database: Database, database_urls: DatabaseUrls) -> None:
    unseen = []
    with _tampering(database, database_urls) as tampered:
        clean = _without_guards(tampered.run())
        assert clean == []
        for name in FLIPPED:
            table = schema.metadata.tables[name]
            for column in table.columns:
                if column.name in UNSPOKEN.get(name, set()):
                    continue
                if not _flip_is_found(tampered, table, column.name):
                    unseen.append(f"{name}.{column.name}")
    assert not unseen, " ".join(unseen)


def test_every_field_of_what_was_agreed_is_missed_when_it_changes(
    database: Database, database_urls: DatabaseUrls
) -> None:
    """Each field of each table, where a row says something in it; also a row that is gone."""

    def check(session: Session) -> Report:
        return report.of([report.carry_out(agreements.check, agreements.NAME, session)])

    unseen, looked = [], 0
    with _tampering(database, database_urls) as tampered:
        connection = tampered.connection
        assert tampered.run(check).differences == ()
        for name, unspoken in AGREED.items():
            table = schema.metadata.tables[name]
            for column in (column.name for column in table.columns if column.name not in unspoken):
                row = _agreed(connection, table, column)
                if row is None:
                    continue
                looked += 1
                savepoint = connection.begin_nested()
                _flip(connection, table, row, column)
                if not tampered.run(check).differences:
                    unseen.append(f"{name}.{column}")
                savepoint.rollback()
            savepoint = connection.begin_nested()
            gone = _agreed(connection, table, next(iter(table.primary_key.columns)).name)
            assert gone is not None, name
            connection.execute(table.delete().where(*(key == gone[key.name] for key in table.primary_key.columns)))
            if not tampered.run(check).differences:
                unseen.append(f"a row of {name}")
            savepoint.rollback()
    assert not unseen, " ".join(unseen)
    assert looked > 30


def _agreed(connection: Connection, table: Table, column: str) -> dict[str, Any] | None:
    """The newest row that says something in the column: what came with the installation has no act."""
    keys = [key.desc() for key in table.primary_key.columns]
    query = select(table).where(table.c[column].is_not(None)).order_by(*keys).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


@pytest.mark.parametrize(
    "count",
    [12, pytest.param(150, marks=pytest.mark.merge_medium), pytest.param(1_000, marks=pytest.mark.release_heavy)],
)
def test_sampled_faults_are_found_and_their_place_is_named(
    database: Database, database_urls: DatabaseUrls, count: int
) -> None:
    """Any field of any row, cut tails and reordered chains: something names the row, its account or what stands on it."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    missed, unplaced = [], []
    with _tampering(database, database_urls) as tampered:
        places = list(_places(tampered.connection))
        for number in range(count):
            savepoint = tampered.connection.begin_nested()
            if number % 10 == 9:
                names = _shift_chain(tampered.connection, chance)
                words = f"chain {names}"
            else:
                table, row, column = chance.choice(places)
                _flip(tampered.connection, table, row, column)
                names = {str(value) for name, value in row.items() if name.endswith("id") or name in ("code", "number")}
                words = f"{table.name}.{column} of {names}"
            found = _without_guards(tampered.run())
            savepoint.rollback()
            if not found:
                missed.append(words)
            elif not any(name in f"{each.sentence} {each.facts}" for each in found for name in names):
                unplaced.append(f"{words}: {found[0].sentence}")
        assert _without_guards(tampered.run()) == []
    assert not missed, f"seed {seed}: {missed}"
    assert not unplaced, f"seed {seed}: {unplaced}"


def _places(connection: Connection) -> Iterator[tuple[Table, dict[str, Any], str]]:
    """Every field of every row that says something which matters."""
    for name in (*FLIPPED, *AGREED):
        table = schema.metadata.tables[name]
        unspoken = UNSPOKEN | AGREED
        columns = [column.name for column in table.columns if column.name not in unspoken.get(name, set())]
        rows = select(table) if name != "invoice_headers" else select(table).where(table.c.number.is_not(None))
        for row in connection.execute(rows).mappings().all():
            if name == "price_versions" and row["book_code"] not in ("book-calla", "tiers", "bent"):
                continue  # a price that was never used is held by its own hash alone
            yield from ((table, dict(row), column) for column in columns if row[column] is not None)


def _flip(connection: Connection, table: Table, row: dict[str, Any], column: str) -> None:
    same_row = [key == row[key.name] for key in table.primary_key.columns]
    connection.execute(table.update().where(*same_row).values({column: _changed(table, column, row[column])}))


def _shift_chain(connection: Connection, chance: random.Random) -> set[str]:
    """Cut a chain's tail cleanly, with its entries and the cached head, or let two of its transactions change places."""
    chains = connection.execute(
        text(
            "SELECT billing_account_id, max(chain_seq) FROM ledger_transactions GROUP BY billing_account_id HAVING max(chain_seq) > 1"
        )
    ).all()
    account_id, length = chance.choice(sorted(map(tuple, chains)))
    if chance.random() < 0.5:
        keep = chance.randrange(1, length)
        asked = {"id": account_id, "keep": keep}
        for statement in (
            "DELETE FROM ledger_entries WHERE billing_account_id = :id AND chain_seq > :keep",
            "DELETE FROM ledger_transactions WHERE billing_account_id = :id AND chain_seq > :keep",
            "UPDATE account_heads SET chain_seq = :keep WHERE billing_account_id = :id",
            f"UPDATE account_heads SET chain_hash = ({_LAST}) WHERE billing_account_id = :id",
        ):
            connection.execute(text(statement), {name: asked[name] for name in asked if f":{name}" in statement})
        return {account_id}
    first = chance.randrange(1, length)
    swap = text("UPDATE ledger_transactions SET chain_seq = :to WHERE billing_account_id = :id AND chain_seq = :at")
    for at, to in ((first, length + 999), (first + 1, first), (length + 999, first + 1)):
        connection.execute(swap, {"id": account_id, "at": at, "to": to})
    return {account_id}


def _flip_is_found(tampered: Tampered, table: Table, column: str) -> bool:
    """Alter one field of the first row that says something in it; whether any check then speaks."""
    connection = tampered.connection
    keys = list(table.primary_key.columns)
    where = table.c[column].is_not(None)
    if table.name == "invoice_headers":
        where = where & table.c.number.is_not(None)
    row = connection.execute(select(table).where(where).order_by(*keys).limit(1)).mappings().first()
    if row is None:
        return True  # nothing is said in it anywhere
    savepoint = connection.begin_nested()
    _flip(connection, table, dict(row), column)
    found = bool(_without_guards(tampered.run()))
    savepoint.rollback()
    return found


def _changed(table: Table, column: str, value: Any) -> Any:
    kind = type(table.c[column].type)
    if kind is Instant or kind is Day:
        return value + timedelta(days=1)
    if kind is Json:
        return {"altered": 1}
    if kind is Flag:
        return not value
    if table.c[column].type is Blob:
        return value + b"x"
    return value + 1_000_003 if kind is Quantity or isinstance(value, int) else f"{value}x"


def _without_guards(report: Report) -> list[Any]:
    return [each for each in report.differences if each.check != "guard"]


# One fault for each law: what is done, which check must name which row, and by which of the three commands.
Fault = tuple[str, str, str, Callable[[Session], Report]]
LAWS: dict[str, Fault] = {
    "law 1: a line's amount": (
        "UPDATE rated_usage_lines SET amount_micro = '1' WHERE id = :id",
        "SELECT id FROM rated_usage_lines ORDER BY billing_account_id, line_seq LIMIT 1",
        "rated_line",
        replay.replay,
    ),
    "law 1: a counter's sum": (
        "UPDATE counters SET quantity_base = '1' WHERE id = :id",
        "SELECT id FROM counters ORDER BY id LIMIT 1",
        "rated_line",
        selfcheck.run,
    ),
    "law 2: what a posting says it brought in": (
        "UPDATE postings SET increment_minor = increment_minor + 1, posted_minor = posted_minor + 1 WHERE id = :id",
        "SELECT id FROM postings ORDER BY id LIMIT 1",
        "posting",
        selfcheck.run,
    ),
    "law 2: the same, replayed": (
        "UPDATE postings SET increment_minor = increment_minor + 1, posted_minor = posted_minor + 1 WHERE id = :id",
        "SELECT id FROM postings ORDER BY id LIMIT 1",
        "posting",
        replay.replay,
    ),
    "law 3: an entry of another tenant's wallet": (
        "UPDATE ledger_entries SET credit_owner = 'bac_other', credit_account_id = 'bac_other/wallet/USD' WHERE id = :id",
        "SELECT id FROM ledger_entries ORDER BY id LIMIT 1",
        "chain",
        verification.verify_chain,
    ),
    "law 3: an amount below zero": (
        "UPDATE ledger_entries SET amount_minor = -5 WHERE id = :id",
        "SELECT id FROM ledger_entries ORDER BY id LIMIT 1",
        "chain",
        selfcheck.run,
    ),
    "law 4: an entry's amount": (
        "UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE transaction_id = :id",
        "SELECT transaction_id FROM ledger_entries ORDER BY id LIMIT 1",
        "chain",
        verification.verify_chain,
    ),
    "law 4: when a transaction happened": (
        "UPDATE ledger_transactions SET actor = 'nobody' WHERE id = :id",
        "SELECT id FROM ledger_transactions ORDER BY id LIMIT 1",
        "chain",
        verification.verify_chain,
    ),
    "law 4: a posting's lines": (
        "UPDATE ledger_transactions SET anchor_hash = 'ab' WHERE id = :id",
        "SELECT id FROM ledger_transactions WHERE type = 'posting' ORDER BY id LIMIT 1",
        "anchor",
        verification.verify_chain,
    ),
    "law 4: the usage under a line": (
        "UPDATE usage_records SET quantity_base = '1' WHERE id = :id",
        "SELECT usage_record_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "usage",
        verification.verify_chain,
    ),
    "law 4: the price under a line": (
        'UPDATE price_versions SET parameters = \'{"unit_price":"0.02"}\' WHERE id = :id',
        "SELECT price_version_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "price",
        verification.verify_chain,
    ),
    "law 4: the tail of a chain": (
        "DELETE FROM ledger_transactions WHERE billing_account_id = :id AND (billing_account_id, chain_seq) IN (SELECT billing_account_id, max(chain_seq) FROM ledger_transactions GROUP BY billing_account_id)",
        "SELECT billing_account_id FROM ledger_transactions ORDER BY id LIMIT 1",
        "chain",
        verification.verify_chain,
    ),
    "law 5: a checkpoint": (
        "UPDATE balance_checkpoints SET sum_minor = sum_minor + 1 WHERE ledger_account_id = :id",
        "SELECT ledger_account_id FROM balance_checkpoints ORDER BY ledger_account_id LIMIT 1",
        "balance",
        selfcheck.run,
    ),
    "an invoice's figure": (
        "UPDATE invoice_headers SET net_minor = net_minor + 1, total_minor = total_minor + 1 WHERE id = :id",
        "SELECT id FROM invoice_headers WHERE kind = 'invoice' AND number IS NOT NULL ORDER BY id LIMIT 1",
        "invoice",
        selfcheck.run,
    ),
    "an invoice's number": (
        "UPDATE invoice_headers SET number = 'INV-2026-000007' WHERE id = :id",
        "SELECT id FROM invoice_headers WHERE kind = 'invoice' AND number IS NOT NULL ORDER BY id LIMIT 1",
        "invoice",
        selfcheck.run,
    ),
    "an invoice's bytes": (
        "UPDATE invoice_documents SET sha256 = 'ab' WHERE invoice_id = :id",
        "SELECT invoice_id FROM invoice_documents LIMIT 1",
        "invoice",
        selfcheck.run,
    ),
    "what settles an invoice": (
        "UPDATE invoice_settlements SET amount_minor = amount_minor + 1 WHERE transaction_id = :id",
        "SELECT transaction_id FROM invoice_settlements ORDER BY id LIMIT 1",
        "invoice",
        selfcheck.run,
    ),
    "a payment's refunds": (
        "UPDATE payments SET refunded_minor = refunded_minor + 1 WHERE id = :id",
        "SELECT id FROM payments LIMIT 1",
        "payment",
        selfcheck.run,
    ),
    "a credit without its payment": (
        "DELETE FROM payments WHERE transaction_id = :id",
        "SELECT transaction_id FROM payments LIMIT 1",
        "payment",
        selfcheck.run,
    ),
    "usage that would never be billed": (
        "DELETE FROM unrated_usage WHERE usage_record_id = :id",
        "SELECT usage_record_id FROM unrated_usage LIMIT 1",
        "usage",
        selfcheck.run,
    ),
}


def test_one_fault_for_each_law_is_found_and_the_row_is_named(database: Database, database_urls: DatabaseUrls) -> None:
    with _tampering(database, database_urls) as tampered:
        for fault, (statement, which, check, command) in LAWS.items():
            connection = tampered.connection
            row_id = connection.execute(text(which)).scalar_one()
            savepoint = connection.begin_nested()
            done = statement if connection.dialect.name == "sqlite" else statement.replace("= '1'", "= 1")
            assert connection.execute(text(done), {"id": row_id}).rowcount >= 1, fault
            report = tampered.run(command)
            savepoint.rollback()
            named = [each for each in report.differences if each.check == check and each.subject_id == row_id]
            assert named, f"{fault}: {row_id} is not named in {report.differences[:5]}"
            assert row_id in named[0].sentence


def test_the_first_broken_row_of_a_chain_is_named_first(database: Database, database_urls: DatabaseUrls) -> None:
    with _tampering(database, database_urls) as tampered:
        account_id = tampered.walk.account_id
        second = tampered.connection.execute(
            text("SELECT id FROM ledger_transactions WHERE billing_account_id = :id AND chain_seq = 2"),
            {"id": account_id},
        ).scalar_one()
        tampered.connection.execute(
            text("UPDATE ledger_transactions SET actor = 'nobody' WHERE billing_account_id = :id AND chain_seq >= 2"),
            {"id": account_id},
        )
        assert tampered.run(verification.verify_chain).differences[0].subject_id == second


def test_a_pair_added_to_an_old_transaction_is_found(database: Database, database_urls: DatabaseUrls) -> None:
    """It balances and passes every trigger; only the chain tells."""
    table = schema.metadata.tables["ledger_entries"]
    with _tampering(database, database_urls) as tampered:
        row = dict(tampered.connection.execute(select(table).order_by(table.c.id).limit(1)).mappings().one())
        for number in (1, 2):
            extra = row | {"id": f"ent_extra{number}", "seq": row["seq"] + 90 + number}
            tampered.connection.execute(table.insert(), extra)
        named = {each.subject_id for each in tampered.run(verification.verify_chain).differences}
    assert row["transaction_id"] in named


def test_two_transactions_that_changed_places_are_found(database: Database, database_urls: DatabaseUrls) -> None:
    with _tampering(database, database_urls) as tampered:
        swap = text("UPDATE ledger_transactions SET chain_seq = :to WHERE billing_account_id = :id AND chain_seq = :at")
        for at, to in ((1, 999), (2, 1), (999, 2)):
            tampered.connection.execute(swap, {"id": tampered.walk.account_id, "at": at, "to": to})
        assert len(tampered.run(verification.verify_chain).differences) >= 2


def test_a_check_that_misses_rows_says_so(database: Database, database_urls: DatabaseUrls) -> None:
    """Rows that no account owns are looked at by nobody: that itself is a difference."""
    with _tampering(database, database_urls) as tampered:
        for table in ("ledger_transactions", "usage_records", "rated_usage_lines"):
            savepoint = tampered.connection.begin_nested()
            tampered.connection.execute(
                text(f"UPDATE {table} SET billing_account_id = 'bac_nobody' WHERE billing_account_id = :id"),
                {"id": tampered.walk.account_id},
            )
            found = {each.subject_id: each.sentence for each in tampered.run().differences}
            savepoint.rollback()
            assert "looked at" in found[table]


def test_a_dropped_guard_is_a_difference(database: Database, database_urls: DatabaseUrls) -> None:
    with _tampering(database, database_urls) as tampered:
        named = {each.subject_id for each in tampered.run().differences if each.check == "guard"}
    assert any("ledger_entries" in name for name in named)
