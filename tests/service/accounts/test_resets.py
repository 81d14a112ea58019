"""Forgotten passwords: the link, and what an onlooker may learn from asking for one."""

from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from billing.accounts import attempts, resets, sessions, users
from billing.accounts.access_tables import AccessLink, UserSession
from billing.accounts.errors import LinkRefused
from billing.accounts.tables import User
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from tests.service.accounts.world import KEY, NOW, PASSWORD, QUICK, mails, newest_link, person, token_of

NEW = "a quite different pass phrase"
LOGIN = "ann@acme.example"


@pytest.fixture
def ann(database: Database) -> str:
    return person(database, "ann")


def ask(database: Database, login: str = LOGIN, minutes: int = 0) -> None:
    with database.transaction() as session:
        resets.ask(session, login=login, now=NOW + timedelta(minutes=minutes))


def use(database: Database, link_id: str, password: str = NEW, minutes: int = 0) -> None:
    with database.transaction() as session:
        resets.use(
            session,
            token_of(link_id),
            key=KEY,
            now=NOW + timedelta(minutes=minutes),
            password=password,
            cost=QUICK,
        )


def signs_in(database: Database, password: str) -> bool:
    with database.transaction() as session:
        found = users.try_sign_in(session, LOGIN, password, now=NOW, address="203.0.113.9", cost=QUICK)
    return found.user_id is not None


def test_the_link_changes_the_password_once(database: Database, ann: str) -> None:
    ask(database, " ANN@acme.example ")
    link = newest_link(database)
    assert mails(database, "access.reset") == [{"link_id": link.id, "login": LOGIN}]
    use(database, link.id)
    assert signs_in(database, NEW)
    assert not signs_in(database, PASSWORD)
    with pytest.raises(LinkRefused):
        use(database, link.id, "yet another pass phrase")
    assert mails(database, "access.changed") == [{"user_id": ann, "what": "password"}]


def test_the_link_is_good_for_an_hour(database: Database, ann: str) -> None:
    ask(database)
    link = newest_link(database)
    with pytest.raises(LinkRefused):
        use(database, link.id, minutes=60)
    use(database, link.id, minutes=59)


def test_a_new_link_ends_the_older(database: Database, ann: str) -> None:
    ask(database)
    older = newest_link(database)
    ask(database, minutes=5)
    newer = newest_link(database)
    with pytest.raises(LinkRefused):
        use(database, older.id, minutes=6)
    use(database, newer.id, minutes=6)


def test_all_sign_ins_end_and_failed_tries_are_forgiven(database: Database, ann: str) -> None:
    with database.transaction() as session:
        for _ in range(2):
            sessions.start(session, user_id=ann, method="password", now=NOW, address="203.0.113.9", agent="x")
        for _ in range(attempts.LOGIN_MAX):
            users.try_sign_in(session, LOGIN, "wrong", now=NOW, address="203.0.113.9", cost=QUICK)
    ask(database)
    use(database, newest_link(database).id)
    with database.reading() as session:
        left = select(func.count()).select_from(UserSession).where(UserSession.ended_at.is_(None))
        assert session.scalar(left) == 0
    assert signs_in(database, NEW)


def test_a_refused_password_leaves_the_link_good(database: Database, ann: str) -> None:
    ask(database)
    link = newest_link(database)
    with pytest.raises(Invalid):
        use(database, link.id, "short")
    use(database, link.id)


def test_asking_for_nobody_leaves_no_link_and_no_mail(database: Database, ann: str) -> None:
    logins = ("bob@acme.example", "ann", "", "\x00", "\ud800", "x" * 10_000)
    for login in logins:
        ask(database, login)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(AccessLink)) == 0
        asked = select(func.count()).select_from(AuditRecord).where(AuditRecord.act == "reset.ask")
        assert session.scalar(asked) == len(logins)
    assert mails(database, "access.reset") == []


def test_a_disabled_person_gets_no_link_and_can_use_none(database: Database, ann: str) -> None:
    ask(database)
    link = newest_link(database)
    with database.transaction() as session:
        session.get_one(User, ann).is_disabled = True
    with pytest.raises(LinkRefused):
        use(database, link.id)
    ask(database, minutes=1)
    assert len(mails(database, "access.reset")) == 1


def test_asking_does_the_same_work_for_anybody_and_for_nobody(database: Database, ann: str) -> None:
    """The statements are counted instead of the time: they are what an onlooker could measure."""
    done: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        done.append(statement.split(maxsplit=1)[0] + " " + statement.partition("access_links")[1])

    event.listen(database.web_engine, "before_cursor_execute", note)
    ask(database)
    for_ann, done[:] = list(done), []
    ask(database, "nobody@acme.example")
    for_nobody, done[:] = list(done), []
    event.remove(database.web_engine, "before_cursor_execute", note)
    assert [name for name in for_ann if name.startswith(("INSERT", "UPDATE", "SELECT"))] == [
        name for name in for_nobody if name.startswith(("INSERT", "UPDATE", "SELECT"))
    ]
    assert sum(name.startswith("INSERT") for name in for_ann) == 3
