"""The second wall: under PostgreSQL's row-level security a request sees the rows of its own tenant, whatever its queries ask for."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, Text, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from billing.accounts import permissions
from billing.assurance import readiness, schema
from billing.kernel.errors import NotFound
from billing.storage import tenancy, walls
from billing.storage.database import Database, owner_engine
from portal import access
from tests import databases
from tests.gates import world
from tests.gates.walk import Stop, Walk
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
    jobs = _counts(walled, tenancy.NOTHING, "jobs")  # which are not held by the wall
    assert all(jobs[name] for name in walls.LOOKED_UP)
    assert everything == jobs | dict.fromkeys(
        walls.LOOKED_UP, 0
    )  # those are asked for one by one, and listed by nobody
    # Prices that are nobody's are everybody's; nothing else is in sight of nobody.
    assert {name for name, count in nothing.items() if count} <= walls.SHARED
    filled = {name for name, count in everything.items() if count and name not in walls.SHARED}
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
    project = {
        "id": "prj_wall",
        "billing_account_id": strange_id,
        "code": "wall",
        "name": "Wall",
        "created_at": world.NOW,
    }
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


@pytest.mark.parametrize("filter_is_right", [True, False])
def test_behind_the_wrong_wall_no_page_shows_a_tenants_rows_though_its_filters_ask_for_them(
    lived: World, monkeypatch: pytest.MonkeyPatch, filter_is_right: bool
) -> None:
    """Every page and answer asks for the tenant's own rows; the wall of a stranger stands around them. With the right wall they come."""
    with databases.opened(lived.urls) as database:
        strange = _scope_of(database, STRANGER)
    shown, opened = 0, access.open_wall

    def open_wrongly(*, accounts: Iterable[str], tenants: Iterable[str]) -> None:
        if filter_is_right:
            opened(accounts=accounts, tenants=tenants)
        else:
            opened(accounts=strange.accounts, tenants=strange.tenants)

    monkeypatch.setattr(access, "open_wall", open_wrongly)
    secrets = {
        lived.ids[name]
        for name in ("invoice_number", "payment_id", "refund_id", "budget_id", "line_id", "transaction_id")
    }
    with world.running(lived.urls) as app:
        walk = Walk(app, lived.ids)
        for stop in walk.stops():
            is_tenants = stop.access in permissions.of_member("owner") or (
                stop.access.startswith("key:") and stop.access.removeprefix("key:") not in permissions.STAFF_SCOPES
            )
            if not is_tenants or stop.sample.mimetype is None:
                continue
            status, said = _answer(walk, stop)
            if stop.sample.object_arguments(stop.rule) and not filter_is_right:
                assert status != 200, stop  # what the address names is not there
            found = {secret for secret in secrets if secret in said} - set(_said(stop.url))
            shown += len(found)
            assert filter_is_right or not found, f"{stop} shows {found}"
    assert (shown > 20) == filter_is_right


def _answer(walk: Walk, stop: Stop) -> tuple[int, str]:
    """Status and text; a file that breaks off because its rows are out of sight says nothing."""
    try:
        answer = walk.open(stop)
        return answer.status_code, answer.get_data().decode("utf-8", "replace")
    except NotFound:
        return 404, ""


def _said(url: str) -> list[str]:
    """The ids that the address itself names: an error page may repeat them."""
    return url.replace("?", "/").replace(".", "/").split("/")


def test_an_id_that_would_be_read_as_several_is_refused() -> None:
    for bad in ("*", "a,b", ""):
        with pytest.raises(ValueError, match="neither commas nor stars"):
            tenancy.of(accounts=[bad], tenants=[])
