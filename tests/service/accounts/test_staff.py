"""Operators' roles and whether they may sign in; the last administrator who stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from billing.accounts import principals, sessions, staff
from billing.accounts.errors import LastAdmin, OwnAccess
from billing.accounts.tables import User
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from tests.service.accounts.world import NOW, acts, mails, person, tenant

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def root(database: Database) -> str:
    return person(database, "root", staff="admin")


@pytest.fixture
def mia(database: Database) -> str:
    return person(database, "mia", staff="maker")


def start(database: Database, user_id: str) -> str:
    with database.transaction() as session:
        return sessions.start(session, user_id=user_id, method="password", now=NOW, address="203.0.113.9", agent="x")


def test_the_list_says_who_may_what_and_who_is_here(database: Database, root: str, mia: str) -> None:
    person(database, "ann", tenant_id=tenant(database))
    start(database, mia)
    with database.transaction() as session:
        session.get_one(User, root).is_disabled = True
    with database.reading() as session:
        first, second = staff.list_staff(session, now=LATER)
        assert (first.name, first.role, first.open_sessions, first.last_seen_at) == ("Mia", "maker", 1, NOW)
        assert (second.name, second.role, second.open_sessions, second.is_disabled) == ("Root", "admin", 0, True)
        assert staff.get_staff(session, mia, now=NOW + timedelta(hours=1)).open_sessions == 0


def test_another_role_ends_the_sign_ins_and_is_told(database: Database, root: str, mia: str) -> None:
    token = start(database, mia)
    with database.transaction() as session:
        assert staff.change_role(session, now=LATER, user_id=mia, role="approver", actor=root)
        assert not staff.change_role(session, now=LATER, user_id=mia, role="approver", actor=root)
    with database.reading() as session:
        assert sessions.find(session, token, now=LATER) is None
        principal = principals.find_principal(session, mia)
    assert principal is not None
    assert "refund.approve" in principal.staff_permissions
    assert mails(database, "access.changed") == [{"user_id": mia, "what": "role"}]
    assert acts(database)[-1] == "staff.role"


def test_off_the_staff_a_person_keeps_only_their_tenants(database: Database, root: str, mia: str) -> None:
    with database.transaction() as session:
        staff.change_role(session, now=LATER, user_id=mia, role=None, actor=root)
    with database.reading() as session:
        principal = principals.find_principal(session, mia)
        assert principal is not None
        assert (principal.is_staff, principal.staff_permissions) == (False, frozenset())
        with pytest.raises(NotFound):
            staff.get_staff(session, mia, now=LATER)


def test_a_disabled_operator_is_out_at_once_until_enabled(database: Database, root: str, mia: str) -> None:
    token = start(database, mia)
    with database.transaction() as session:
        assert staff.disable(session, now=LATER, user_id=mia, actor=root)
        assert not staff.disable(session, now=LATER, user_id=mia, actor=root)
    with database.reading() as session:
        assert sessions.find(session, token, now=LATER) is None
        assert principals.find_principal(session, mia) is None
    with database.transaction() as session:
        assert staff.enable(session, now=LATER, user_id=mia, actor=root)
    with database.reading() as session:
        assert principals.find_principal(session, mia) is not None
    assert acts(database)[-1] == "user.enable"
    assert mails(database, "access.changed") == [{"user_id": mia, "what": "disabled"}]


def test_sign_ins_are_ended_by_somebody_else(database: Database, root: str, mia: str) -> None:
    tokens = [start(database, mia), start(database, mia)]
    with database.transaction() as session:
        assert staff.end_sessions(session, now=LATER, user_id=mia, actor=root) == 2
        assert staff.end_sessions(session, now=LATER, user_id=mia, actor=root) == 0
    with database.reading() as session:
        assert [sessions.find(session, token, now=LATER) for token in tokens] == [None, None]
    assert mails(database, "access.changed") == [{"user_id": mia, "what": "sessions_ended"}]


@pytest.mark.parametrize(
    "act",
    [
        lambda session, user_id: staff.change_role(session, now=LATER, user_id=user_id, role="viewer", actor=user_id),
        lambda session, user_id: staff.disable(session, now=LATER, user_id=user_id, actor=user_id),
    ],
)
def test_nobody_changes_their_own_rights(database: Database, root: str, act: Callable[[object, str], object]) -> None:
    person(database, "second", staff="admin")
    with pytest.raises(OwnAccess), database.transaction() as session:
        act(session, root)


@pytest.mark.parametrize("act", ["demote", "disable"])
def test_two_administrators_who_act_on_each_other_leave_one(database: Database, root: str, act: str) -> None:
    second = person(database, "second", staff="admin")
    barrier = Barrier(2)

    def go(pair: tuple[str, str]) -> bool:
        actor, other = pair
        barrier.wait()
        try:
            with database.transaction() as session:
                if act == "demote":
                    staff.change_role(session, now=LATER, user_id=other, role=None, actor=actor)
                else:
                    staff.disable(session, now=LATER, user_id=other, actor=actor)
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(go, [(root, second), (second, root)])) == [False, True]
    with database.reading() as session:
        left = [one for one in staff.list_staff(session, now=LATER) if one.role == "admin" and not one.is_disabled]
    assert len(left) == 1


def test_the_last_administrator_stays_even_for_the_command_line(database: Database, root: str, mia: str) -> None:
    for act in (
        lambda session: staff.change_role(session, now=LATER, user_id=root, role="viewer", actor="cli:x"),
        lambda session: staff.disable(session, now=LATER, user_id=root, actor="cli:x"),
    ):
        with pytest.raises(LastAdmin), database.transaction() as session:
            act(session)


def test_without_any_administrator_the_others_can_still_be_changed(database: Database, mia: str) -> None:
    with database.transaction() as session:
        assert staff.disable(session, now=LATER, user_id=mia, actor="cli:x")
        assert staff.enable(session, now=LATER, user_id=mia, actor="cli:x")
        assert staff.change_role(session, now=LATER, user_id=mia, role="admin", actor="cli:x")


def test_somebody_who_is_no_staff_is_not_found(database: Database, root: str) -> None:
    ann = person(database, "ann", tenant_id=tenant(database))
    for user_id in (ann, "usr_none", "\x00"):
        with database.transaction() as session:
            with pytest.raises(NotFound):
                staff.change_role(session, now=LATER, user_id=user_id, role="admin", actor=root)
            with pytest.raises(NotFound):
                staff.end_sessions(session, now=LATER, user_id=user_id, actor=root)


def test_a_role_that_is_none_is_refused(database: Database, root: str, mia: str) -> None:
    for role in ("owner", "", "root", "\x00"):
        with pytest.raises(Invalid), database.transaction() as session:
            staff.change_role(session, now=LATER, user_id=mia, role=role, actor=root)
