"""Inviting people to a tenant or to the staff, and joining by the link."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from billing.accounts import invitations, users
from billing.accounts.access_tables import AccessLink
from billing.accounts.errors import AlreadyMember, InvitationOpen, LinkForOther, LinkRefused, LoginTaken
from billing.accounts.tables import Membership, User
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from tests.service.accounts.world import KEY, NOW, PASSWORD, QUICK, acts, mails, person, tenant, token_of

WEEK = timedelta(days=7)


@pytest.fixture
def calla(database: Database) -> str:
    return tenant(database)


@pytest.fixture
def owner(database: Database, calla: str) -> str:
    return person(database, "ann", tenant_id=calla)


def invite(database: Database, login: str, tenant_id: str, actor: str, **more: str) -> str:
    with database.transaction() as session:
        return invitations.invite(
            session, now=NOW, login=login, tenant_id=tenant_id, role=more.pop("role", "billing"), actor=actor, **more
        )


def role_of(database: Database, login: str, tenant_id: str) -> str | None:
    with database.reading() as session:
        user = users.find_user_by_login(session, login)
        found = session.get(Membership, (user.id, tenant_id)) if user else None
        return found.role if found else None


def test_an_invited_stranger_makes_their_account_and_has_the_role(database: Database, calla: str, owner: str) -> None:
    link_id = invite(database, " Bo@Acme.example ", calla, owner)
    assert mails(database, "access.invitation") == [{"link_id": link_id, "login": "bo@acme.example"}]
    with database.reading() as session:
        found = invitations.read(session, token_of(link_id), key=KEY, now=NOW)
    assert (found.login, found.tenant_name, found.role, found.invited_by, found.is_known) == (
        "bo@acme.example",
        "calla",
        "billing",
        "Ann",
        False,
    )
    with database.transaction() as session:
        user_id = invitations.accept_as_new(
            session, token_of(link_id), key=KEY, now=NOW, name="Bo", password=PASSWORD, cost=QUICK
        )
    with database.reading() as session:
        link = session.get_one(AccessLink, link_id)
        assert (link.used_at, link.user_id) == (NOW, user_id)
        assert session.get_one(Membership, (user_id, calla)).created_at == NOW
    assert role_of(database, "bo@acme.example", calla) == "billing"
    assert acts(database)[-4:] == ["invitation.send", "user.create", "membership.grant", "invitation.accept"]


def test_a_link_lets_in_once_and_for_a_week(database: Database, calla: str, owner: str) -> None:
    link_id = invite(database, "bo@acme.example", calla, owner)
    with database.reading() as session:
        assert invitations.read(session, token_of(link_id), key=KEY, now=NOW + WEEK - timedelta(seconds=1))
        with pytest.raises(LinkRefused):
            invitations.read(session, token_of(link_id), key=KEY, now=NOW + WEEK)
    with database.transaction() as session:
        invitations.accept_as_new(
            session, token_of(link_id), key=KEY, now=NOW, name="Bo", password=PASSWORD, cost=QUICK
        )
    with pytest.raises(LinkRefused), database.transaction() as session:
        invitations.accept_as_new(
            session, token_of(link_id), key=KEY, now=NOW, name="Bo", password=PASSWORD, cost=QUICK
        )


def test_a_refused_name_or_password_leaves_the_link_good(database: Database, calla: str, owner: str) -> None:
    link_id = invite(database, "bo@acme.example", calla, owner)
    cases = [("Bo", "short", "password_too_short"), ("\x07", PASSWORD, "control_character"), (" ", PASSWORD, "empty")]
    for name, password, reason in cases:
        with pytest.raises(Invalid) as refusal, database.transaction() as session:
            invitations.accept_as_new(
                session, token_of(link_id), key=KEY, now=NOW, name=name, password=password, cost=QUICK
            )
        assert refusal.value.fields["reason"] == reason
    with database.reading() as session:
        assert invitations.read(session, token_of(link_id), key=KEY, now=NOW)


def test_a_person_who_exists_gains_the_role_and_nothing_else(database: Database, calla: str, owner: str) -> None:
    dahlia = tenant(database, "dahlia")
    bo = person(database, "bo", tenant_id=dahlia)
    link_id = invite(database, "BO@ACME.EXAMPLE", calla, owner)
    with pytest.raises(LoginTaken), database.transaction() as session:
        invitations.accept_as_new(
            session, token_of(link_id), key=KEY, now=NOW, name="Thief", password=PASSWORD + "!", cost=QUICK
        )
    with database.transaction() as session:
        invitations.accept_as_known(session, token_of(link_id), key=KEY, now=NOW, user_id=bo)
    with database.reading() as session:
        user = session.get_one(User, bo)
        assert (user.name, user.staff_role) == ("Bo", None)
    assert role_of(database, "bo@acme.example", calla) == "billing"
    assert role_of(database, "bo@acme.example", dahlia) == "owner"


def test_somebody_elses_invitation_is_refused_and_stays_good(database: Database, calla: str, owner: str) -> None:
    cy = person(database, "cy")
    link_id = invite(database, "bo@acme.example", calla, owner)
    with pytest.raises(LinkForOther), database.transaction() as session:
        invitations.accept_as_known(session, token_of(link_id), key=KEY, now=NOW, user_id=cy)
    assert role_of(database, "cy@acme.example", calla) is None
    with database.reading() as session:
        assert invitations.read(session, token_of(link_id), key=KEY, now=NOW)


def test_an_older_invitation_takes_no_right_away(database: Database, calla: str, owner: str) -> None:
    bo = person(database, "bo")
    link_id = invite(database, "bo@acme.example", calla, owner, role="viewer")
    with database.transaction() as session:
        users.grant_membership(session, user_id=bo, tenant_id=calla, role="owner", now=NOW)
        invitations.accept_as_known(session, token_of(link_id), key=KEY, now=NOW, user_id=bo)
    assert role_of(database, "bo@acme.example", calla) == "owner"


def test_who_belongs_already_or_is_invited_already_is_not_invited(database: Database, calla: str, owner: str) -> None:
    with pytest.raises(AlreadyMember):
        invite(database, "ANN@acme.example", calla, owner)
    invite(database, "bo@acme.example", calla, owner)
    with pytest.raises(InvitationOpen):
        invite(database, "Bo@acme.example", calla, owner)
    invite(database, "bo@acme.example", tenant(database, "dahlia"), owner)
    with database.transaction() as session:
        later = NOW + WEEK
        invitations.invite(session, now=later, login="bo@acme.example", tenant_id=calla, role="viewer", actor=owner)


def test_one_form_sent_many_times_at_once_is_one_invitation(database: Database, calla: str, owner: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: invite(database, "bo@acme.example", calla, owner, form_key="form"), range(8)))
    assert len(set(made)) == 1
    assert len(mails(database, "access.invitation")) == 1
    assert invite(database, "bo@acme.example", tenant(database, "dahlia"), owner, form_key="form") not in made
    other = person(database, "cy", tenant_id=calla)
    assert invite(database, "dee@acme.example", calla, other, form_key="form") not in made


def test_many_invitations_of_one_address_at_once_are_one(database: Database, calla: str, owner: str) -> None:
    def attempt(_: int) -> bool:
        try:
            invite(database, "bo@acme.example", calla, owner)
        except InvitationOpen:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_sent_again_the_new_link_works_and_the_old_one_does_not(database: Database, calla: str, owner: str) -> None:
    old = invite(database, "bo@acme.example", calla, owner)
    later = NOW + timedelta(days=6)
    with database.transaction() as session:
        new = invitations.send_again(session, now=later, invitation_id=old, tenant_id=calla, actor=owner)
    with database.reading() as session:
        rows = invitations.list_open(session, now=later, tenant_id=calla)
        assert [(row.id, row.role, row.expires_at) for row in rows] == [(new, "billing", later + WEEK)]
        with pytest.raises(LinkRefused):
            invitations.read(session, token_of(old), key=KEY, now=later)
    assert len(mails(database, "access.invitation")) == 2


def test_a_withdrawn_invitation_is_gone(database: Database, calla: str, owner: str) -> None:
    link_id = invite(database, "bo@acme.example", calla, owner)
    with database.transaction() as session:
        invitations.revoke(session, now=NOW, invitation_id=link_id, tenant_id=calla, actor=owner)
    with database.reading() as session:
        assert invitations.list_open(session, now=NOW, tenant_id=calla) == []
        with pytest.raises(LinkRefused):
            invitations.read(session, token_of(link_id), key=KEY, now=NOW)
    with pytest.raises(NotFound), database.transaction() as session:
        invitations.revoke(session, now=NOW, invitation_id=link_id, tenant_id=calla, actor=owner)


def test_another_tenants_invitations_do_not_exist(database: Database, calla: str, owner: str) -> None:
    own, dahlia = invite(database, "bo@acme.example", calla, owner), tenant(database, "dahlia")
    for tenant_id, wanted in ((dahlia, own), (None, own), (calla, "lnk_none"), (calla, "\x00")):
        with database.transaction() as session:
            with pytest.raises(NotFound):
                invitations.revoke(session, now=NOW, invitation_id=wanted, tenant_id=tenant_id, actor=owner)
            with pytest.raises(NotFound):
                invitations.send_again(session, now=NOW, invitation_id=wanted, tenant_id=tenant_id, actor=owner)
            with pytest.raises(NotFound):
                invitations.get_open(session, now=NOW, invitation_id=wanted, tenant_id=tenant_id)


def test_staff_are_invited_with_a_staff_role(database: Database) -> None:
    with database.transaction() as session:
        link_id = invitations.invite(session, now=NOW, login="mo@ops.example", staff_role="maker", actor="usr_root")
        invitations.accept_as_new(
            session, token_of(link_id), key=KEY, now=NOW, name="Mo", password=PASSWORD, cost=QUICK
        )
    with database.reading() as session:
        user = users.find_user_by_login(session, "mo@ops.example")
        assert user is not None
        assert user.staff_role == "maker"
        assert session.scalar(select(func.count()).select_from(Membership)) == 0
    with pytest.raises(AlreadyMember), database.transaction() as session:
        invitations.invite(session, now=NOW, login="mo@ops.example", staff_role="admin", actor="usr_root")


def test_an_invitation_that_cannot_be_is_refused(database: Database, calla: str) -> None:
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"login": "bo"}, "not_an_address"),
        ({"login": "bo@acme.example\nBcc: all@acme.example"}, "control_character"),
        ({"login": "b\u200bo@acme.example"}, "not_an_address"),
        ({"role": "admin"}, "unknown_role"),
        ({"role": None}, "one_purpose"),
        ({"staff_role": "viewer"}, "one_purpose"),
        ({"tenant_id": None, "role": None, "staff_role": "owner"}, "unknown_role"),
    ]
    for changes, reason in cases:
        facts = {"login": "bo@acme.example", "tenant_id": calla, "role": "viewer", **changes}
        with pytest.raises(Invalid) as refusal, database.transaction() as session:
            invitations.invite(session, now=NOW, actor="usr_x", **facts)  # type: ignore[arg-type]
        assert refusal.value.fields["reason"] == reason, changes
