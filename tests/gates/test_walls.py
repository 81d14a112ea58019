"""The second wall: under PostgreSQL's row-level security a request sees the rows of its own tenant, whatever its queries ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, Text, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from billing.assurance import readiness, schema
from billing.storage import tenancy, walls
from billing.storage.database import Database, owner_engine
from tests import databases
from tests.gates import world
from tests.gates.world import STRANGER, World
from tests.session import run_dir
from tests.web import operators

TABLES = schema.metadata.tables
WALLED = sorted(walls.expected(schema.metadata))


@pytest.fixture(scope="module")
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture(scope="module")
def lived(clock: None) -> Iterator[World]:
    with world.built("postgresql", run_dir()) as built:
        yield built


@pytest.fixture(scope="module")
def walled(lived: World) -> Iterator[Database]:
    with databases.opened(lived.urls) as database:
        yield database


def _scope_of(database: Database, code: str) -> tenancy.Scope:
    accounts = TABLES["billing_accounts"]
    with database.reading("jobs") as session:
        row = session.execute(select(accounts.c.id, accounts.c.tenant_id).where(accounts.c.code == code)).one()
    return tenancy.of(accounts=[row.id], tenants=[row.tenant_id])


def _counts(database: Database, scope: tenancy.Scope, role: Any = "web") -> dict[str, int]:
    with tenancy.scope(scope), database.reading(role) as session:
        return {name: session.scalar(select(func.count()).select_from(TABLES[name])) or 0 for name in WALLED}


def test_every_table_is_walled_or_named_as_nobodys() -> None:
    names = set(TABLES)
    assert names >= walls.OPEN | walls.STAFF | walls.PARTS.keys()
    assert set(WALLED) == names - walls.OPEN
    assert len(WALLED) > 35


def test_a_table_that_belongs_to_nobody_by_its_columns_must_be_named() -> None:
    with pytest.raises(walls.Unwalled, match="notes"):
        walls.expected(_with_notes())


def _with_notes() -> MetaData:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Text, primary_key=True), Column("words", Text))
    return metadata


def test_a_tenant_sees_its_own_rows_and_none_of_another(walled: Database) -> None:
    everything, nothing = _counts(walled, tenancy.EVERYTHING), _counts(walled, tenancy.NOTHING)
    own, strange = _counts(walled, _scope_of(walled, world.TENANT)), _counts(walled, _scope_of(walled, STRANGER))
    assert everything == _counts(walled, tenancy.NOTHING, "jobs")  # jobs are not held by the wall
    assert set(nothing.values()) == {0}
    filled = {name for name, count in everything.items() if count}
    assert filled >= {"usage_records", "rated_usage_lines", "ledger_entries", "invoice_lines", "payments", "api_keys"}
    assert {name for name in filled if own[name]} >= filled - walls.STAFF - {"notice_deliveries", "usage_rejects"}
    for name in filled:
        assert own[name] + strange[name] <= everything[name], name
        assert strange[name] < everything[name], f"{name}: a stranger sees as much as an operator"


@pytest.mark.parametrize("table", ["ledger_entries", "invoice_headers", "payments", "usage_records", "refund_requests"])
def test_each_row_in_sight_is_the_accounts_own(walled: Database, table: str) -> None:
    scope = _scope_of(walled, world.TENANT)
    with tenancy.scope(scope), walled.reading() as session:
        found = set(session.scalars(select(TABLES[table].c.billing_account_id)).all())
    assert found == scope.accounts


def test_rows_of_another_tenant_cannot_be_written_changed_or_deleted(walled: Database) -> None:
    own, strange = _scope_of(walled, world.TENANT), _scope_of(walled, STRANGER)
    (strange_id,) = strange.accounts
    project = {"id": "prj_wall", "billing_account_id": strange_id, "code": "wall", "name": "Wall", "created_at": world.NOW}
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        tenancy.scope(own),
        walled.transaction() as session,
    ):
        session.execute(TABLES["projects"].insert().values(project))
    with tenancy.scope(strange), walled.transaction() as session:
        session.execute(TABLES["projects"].insert().values(project))
    projects = TABLES["projects"]
    with tenancy.scope(own), walled.transaction() as session:
        changed = session.execute(projects.update().where(projects.c.id == "prj_wall").values(name="Mine"))
        deleted = session.execute(projects.delete().where(projects.c.id == "prj_wall"))
        assert (changed.rowcount, deleted.rowcount) == (0, 0)  # type: ignore[attr-defined]
    with tenancy.scope(strange), walled.transaction() as session:
        gone = session.execute(projects.delete().where(projects.c.id == "prj_wall", projects.c.name == "Wall"))
        assert gone.rowcount == 1  # type: ignore[attr-defined]


def test_the_application_cannot_take_the_wall_down(walled: Database) -> None:
    for statement in (
        "ALTER TABLE payments DISABLE ROW LEVEL SECURITY",
        "DROP POLICY wall_payments ON payments",
        "CREATE POLICY mine ON payments USING (true)",
        "ALTER POLICY wall_payments ON payments USING (true)",
    ):
        with pytest.raises(DBAPIError, match="must be owner"), walled.transaction() as session:
            session.execute(text(statement))
    with tenancy.scope(tenancy.NOTHING), walled.transaction() as session:
        session.execute(text("SET LOCAL row_security = off"))
        with pytest.raises(DBAPIError, match="row-level security"):
            session.execute(text("SELECT count(*) FROM payments"))


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "fault",
    [
        "ALTER TABLE payments DISABLE ROW LEVEL SECURITY",
        "DROP POLICY wall_payments ON payments",
        "ALTER POLICY wall_payments ON payments USING (true)",
        "ALTER POLICY wall_payments ON payments TO PUBLIC",
        "CREATE POLICY mine ON payments USING (true)",
    ],
)
def test_a_wall_that_is_down_altered_or_passed_is_named(database: Database, fault: str) -> None:
    engine = owner_engine(database.urls)
    with engine.begin() as owner:
        owner.execute(text(fault))
    engine.dispose()
    with database.reading() as session:
        found = {fact.name: fact for fact in readiness.facts(session)}
    assert not found["walls"].holds
    assert "payments" in found["walls"].sentence


def test_an_id_that_would_be_read_as_several_is_refused() -> None:
    for bad in ("*", "a,b", ""):
        with pytest.raises(ValueError, match="neither commas nor stars"):
            tenancy.of(accounts=[bad], tenants=[])
