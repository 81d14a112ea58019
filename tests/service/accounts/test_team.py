"""A tenant's team: who is in it, with which role, and the last owner who stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from billing.accounts import keys, principals, sessions, team
from billing.accounts.access_tables import TotpDevice
from billing.accounts.errors import LastOwner
from billing.accounts.tables import User
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from tests.service.accounts.world import NOW, acts, mails, person, tenant

LATER = NOW + timedelta(days=1)


@pytest.fixture
def calla(database: Database) -> str:
    return tenant(database)


@pytest.fixture
def ann(database: Database, calla: str) -> str:
    return person(database, "ann", tenant_id=calla)


def change(database: Database, tenant_id: str, user_id: str, role: str, actor: str) -> bool:
    with database.transaction() as session:
        return team.change_role(session, now=LATER, tenant_id=tenant_id, user_id=user_id, role=role, actor=actor)


def remove(database: Database, tenant_id: str, user_id: str, actor: str) -> None:
    with database.transaction() as session:
        team.remove(session, now=LATER, tenant_id=tenant_id, user_id=user_id, actor=actor)


def roles(database: Database, tenant_id: str) -> dict[str, str]:
    with database.reading() as session:
        return {member.name: member.role for member in team.list_members(session, tenant_id)}


def test_the_list_says_who_when_and_how_they_sign_in(database: Database, calla: str, ann: str) -> None:
    bo = person(database, "bo", tenant_id=calla, role="viewer")
    person(database, "cy", tenant_id=tenant(database, "dahlia"))
    with database.transaction() as session:
        sessions.start(session, user_id=bo, method="password", now=LATER, address="203.0.113.9", agent="x")
        session.add(TotpDevice(user_id=bo, secret_sealed="s", created_at=NOW, confirmed_at=NOW))
        session.add(TotpDevice(user_id=ann, secret_sealed="s", created_at=NOW))
    with database.reading() as session:
        first, second = team.list_members(session, calla)
    assert (first.name, first.role, first.since_at, first.last_seen_at, first.has_second_factor) == (
        "Ann",
        "owner",
        NOW,
        None,
        False,
    )
    assert (second.name, second.role, second.last_seen_at, second.has_second_factor) == ("Bo", "viewer", LATER, True)


def test_a_changed_role_counts_from_the_next_request_and_is_told(database: Database, calla: str, ann: str) -> None:
    bo = person(database, "bo", tenant_id=calla, role="viewer")
    assert change(database, calla, bo, "billing", ann)
    assert not change(database, calla, bo, "billing", ann)
    with database.reading() as session:
        principal = principals.find_principal(session, bo)
    assert principal is not None
    assert "billing.write" in principal.accounts[0].permissions
    assert mails(database, "access.changed") == [{"user_id": bo, "what": "role"}]
    assert acts(database)[-1] == "membership.role"


def test_a_removed_member_has_nothing_left_there_and_keeps_the_rest(database: Database, calla: str, ann: str) -> None:
    dahlia = tenant(database, "dahlia")
    bo = person(database, "bo", tenant_id=calla, role="billing")
    with database.transaction() as session:
        from billing.accounts import users

        users.grant_membership(session, user_id=bo, tenant_id=dahlia, role="owner", now=NOW)
    remove(database, calla, bo, ann)
    with database.reading() as session:
        principal = principals.find_principal(session, bo)
    assert principal is not None
    assert [account.tenant_id for account in principal.accounts] == [dahlia]
    assert mails(database, "access.changed") == [{"user_id": bo, "what": "removed_from_team"}]


def test_leaving_is_recorded_as_such_and_needs_no_notice(database: Database, calla: str, ann: str) -> None:
    bo = person(database, "bo", tenant_id=calla, role="viewer")
    remove(database, calla, bo, bo)
    assert roles(database, calla) == {"Ann": "owner"}
    assert acts(database)[-1] == "membership.leave"
    assert mails(database, "access.changed") == []


def test_the_last_owner_stays_one(database: Database, calla: str, ann: str) -> None:
    person(database, "bo", tenant_id=calla, role="billing")
    for act in (lambda: change(database, calla, ann, "viewer", ann), lambda: remove(database, calla, ann, ann)):
        with pytest.raises(LastOwner):
            act()
    assert roles(database, calla) == {"Ann": "owner", "Bo": "billing"}


def test_an_owner_who_cannot_sign_in_does_not_count(database: Database, calla: str, ann: str) -> None:
    bo = person(database, "bo", tenant_id=calla)
    with database.transaction() as session:
        session.get_one(User, bo).is_disabled = True
    with pytest.raises(LastOwner):
        remove(database, calla, ann, bo)
    remove(database, calla, bo, ann)


@pytest.mark.parametrize("act", ["demote", "remove"])
def test_two_owners_who_go_at_the_same_moment_leave_one(database: Database, calla: str, ann: str, act: str) -> None:
    bo = person(database, "bo", tenant_id=calla)
    barrier = Barrier(2)

    def go(pair: tuple[str, str]) -> bool:
        actor, other = pair
        barrier.wait()
        acting: Callable[[], object] = (
            (lambda: change(database, calla, other, "viewer", actor))
            if act == "demote"
            else (lambda: remove(database, calla, other, actor))
        )
        try:
            acting()
        except LastOwner:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(go, [(ann, bo), (bo, ann)])) == [False, True]
    assert list(roles(database, calla).values()).count("owner") == 1


def test_nobody_of_another_tenant_is_changed(database: Database, calla: str, ann: str) -> None:
    stranger = person(database, "cy", tenant_id=tenant(database, "dahlia"))
    for wanted in ("usr_none", "\x00", "", stranger):
        with pytest.raises(NotFound):
            change(database, calla, wanted, "owner", ann)
        with pytest.raises(NotFound):
            remove(database, calla, wanted, ann)
        with database.reading() as session, pytest.raises(NotFound):
            team.get_member(session, tenant_id=calla, user_id=wanted)


def test_a_role_that_is_none_is_refused(database: Database, calla: str, ann: str) -> None:
    for role in ("admin", "", "OWNER", "maker", "\x00"):
        with pytest.raises(Invalid):
            change(database, calla, ann, role, ann)


def test_keys_that_somebody_made_are_counted_before_they_go(database: Database, calla: str, ann: str) -> None:
    with database.transaction() as session:
        for label in ("a", "b"):
            key, _ = keys.create_key(session, now=NOW, tenant_id=calla, label=label, scopes=["billing.read"], actor=ann)
        keys.revoke(session, now=NOW, key_id=key.id)
        assert team.count_keys_of(session, tenant_id=calla, user_id=ann) == 1
