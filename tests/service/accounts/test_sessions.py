"""Sign-ins as rows: what the browser's token is worth, when it ends, and who ends it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.accounts import sessions, users
from billing.accounts.access_tables import UserSession
from billing.accounts.tables import User
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.service.accounts import world
from tests.service.accounts.world import NOW, PASSWORD, QUICK

HERE, AGENT = "203.0.113.9", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def start(database: Database, user_id: str, *, at: timedelta = timedelta()) -> str:
    with database.transaction() as session:
        return sessions.start(session, user_id=user_id, method="password", now=NOW + at, address=HERE, agent=AGENT)


def is_in(database: Database, token: str, *, at: timedelta = timedelta()) -> bool:
    with database.reading() as session:
        return sessions.find(session, token, now=NOW + at) is not None


def standing(database: Database, token: str) -> sessions.Standing:
    with database.reading() as session:
        found = sessions.find(session, token, now=NOW)
    assert found is not None
    return found


def row_of(database: Database, session_id: str) -> UserSession:
    with database.reading() as session:
        return session.get_one(UserSession, session_id)


def test_the_token_is_worth_its_row_and_is_not_stored(database: Database) -> None:
    ann = world.person(database, "ann")
    token = start(database, ann)
    found = standing(database, token)
    assert (found.user_id, found.method, found.address, found.agent) == (ann, "password", HERE, AGENT)
    assert len(token) == 43  # 256 bits
    assert token != start(database, ann)
    row = row_of(database, found.id)
    assert token not in str(vars(row))
    assert not is_in(database, row.token_hash)
    assert not is_in(database, "")


@pytest.mark.parametrize(("staff", "idle_min", "life_h"), [(None, 30, 12), ("viewer", 15, 8)], ids=["tenant", "staff"])
def test_idle_and_absolute_limits_are_those_of_the_role(
    database: Database, staff: str | None, idle_min: int, life_h: int
) -> None:
    token = start(database, world.person(database, "ann", staff=staff))
    own = standing(database, token)
    idle, life, second = timedelta(minutes=idle_min), timedelta(hours=life_h), timedelta(seconds=1)
    assert is_in(database, token, at=idle - second)
    assert not is_in(database, token, at=idle)
    at = timedelta()
    while at + idle - second < life:
        at += idle - second
        with database.transaction() as session:
            sessions.seen(session, session_id=own.id, now=NOW + at)
    assert is_in(database, token, at=life - second)
    assert not is_in(database, token, at=life)


def test_presence_is_written_once_a_minute(database: Database) -> None:
    token = start(database, world.person(database, "ann"))
    own = standing(database, token)
    for seconds, written in ((59, 0), (60, 60), (119, 60), (121, 121)):
        now = NOW + timedelta(seconds=seconds)
        with database.transaction() as session:
            sessions.seen(session, session_id=own.id, now=now)
        assert row_of(database, own.id).last_seen_at == NOW + timedelta(seconds=written)
    assert not own.is_due(NOW + timedelta(seconds=59))
    assert own.is_due(NOW + timedelta(seconds=60))


def test_who_became_staff_is_held_to_the_limits_of_staff_at_once(database: Database) -> None:
    ann = world.person(database, "ann")
    token = start(database, ann)
    with database.transaction() as session:
        session.get_one(User, ann).staff_role = "viewer"
    assert is_in(database, token, at=timedelta(minutes=14))
    assert not is_in(database, token, at=timedelta(minutes=15))


def test_a_renewed_token_replaces_the_old_one_and_makes_the_sign_in_fresh(database: Database) -> None:
    old = start(database, world.person(database, "ann"))
    own = standing(database, old)
    assert own.is_fresh(NOW + timedelta(minutes=9, seconds=59))
    assert not own.is_fresh(NOW + timedelta(minutes=10))
    with database.transaction() as session:
        new = sessions.renew(session, session_id=own.id, now=NOW + timedelta(minutes=20), method="password+totp")
    assert not is_in(database, old)
    after = standing(database, new)
    assert (after.id, after.method, after.is_fresh(NOW + timedelta(minutes=25))) == (own.id, "password+totp", True)
    assert after.created_at == NOW  # the absolute limit does not move


def test_an_ended_sign_in_cannot_be_renewed(database: Database) -> None:
    token = start(database, world.person(database, "ann"))
    own = standing(database, token)
    with database.transaction() as session:
        assert sessions.end(session, token, now=NOW)
        assert not sessions.end(session, token, now=NOW)
    assert not is_in(database, token)
    with pytest.raises(NotFound), database.transaction() as session:
        sessions.renew(session, session_id=own.id, now=NOW)
    with database.reading() as session:
        assert sessions.find_owner(session, token) == own.user_id
        assert sessions.find_owner(session, "x") is None


def test_ending_one_or_all_others_reaches_only_ones_own(database: Database) -> None:
    ann, bob = world.person(database, "ann"), world.person(database, "bob")
    here, there, elsewhere, bobs = (start(database, who) for who in (ann, ann, ann, bob))
    with pytest.raises(NotFound), database.transaction() as session:
        sessions.end_one(session, user_id=ann, session_id=standing(database, bobs).id, now=NOW)
    with database.transaction() as session:
        sessions.end_one(session, user_id=ann, session_id=standing(database, there).id, now=NOW)
    assert [is_in(database, token) for token in (here, there, elsewhere, bobs)] == [True, False, True, True]
    with database.transaction() as session:
        assert sessions.revoke_others(session, user_id=ann, now=NOW, except_id=standing(database, here).id) == 1
    assert [is_in(database, token) for token in (here, there, elsewhere, bobs)] == [True, False, False, True]
    assert told(database) == [(ann, "sessions_ended")]


def test_a_new_password_ends_every_other_sign_in_and_tells_the_person(database: Database) -> None:
    ann = world.person(database, "ann")
    here, there = start(database, ann), start(database, ann)
    with database.transaction() as session:
        users.change_password(
            session,
            user_id=ann,
            password="four unrelated words here",
            now=NOW,
            except_session_id=standing(database, here).id,
            cost=QUICK,
        )
    assert [is_in(database, token) for token in (here, there)] == [True, False]
    assert told(database) == [(ann, "password")]
    with database.transaction() as session:
        tries = [
            users.try_password(session, user_id=ann, password=typed, now=NOW, address=HERE, cost=QUICK).user_id
            for typed in (PASSWORD, "four unrelated words here")
        ]
        assert session.get_one(User, ann).password_changed_at == NOW
    assert tries == [None, ann]


@pytest.mark.parametrize(
    "password", ["password1", "Plumbline123!", "iloveyou", "trustno1", "ann@acme.example", "short"]
)
def test_a_password_that_guessers_try_first_is_refused_and_changes_nothing(database: Database, password: str) -> None:
    ann = world.person(database, "ann")
    token = start(database, ann)
    with pytest.raises(Invalid), database.transaction() as session:
        users.change_password(session, user_id=ann, password=password, now=NOW, cost=QUICK)
    assert is_in(database, token)
    assert told(database) == []


def test_a_disabled_person_is_out_at_once_and_cannot_begin(database: Database) -> None:
    ann = world.person(database, "ann")
    token = start(database, ann)
    with database.transaction() as session:
        session.get_one(User, ann).is_disabled = True
    assert not is_in(database, token)
    with pytest.raises(NotFound):
        start(database, ann)


def test_the_list_shows_only_what_is_in_force(database: Database) -> None:
    ann = world.person(database, "ann")
    first, second = start(database, ann), start(database, ann, at=timedelta(minutes=10))
    with database.reading() as session:
        listed = sessions.list_standing(session, user_id=ann, now=NOW + timedelta(minutes=20))
        later = sessions.list_standing(session, user_id=ann, now=NOW + timedelta(minutes=35))
    assert [one.id for one in listed] == [standing(database, token).id for token in (second, first)]
    assert [one.id for one in later] == [standing(database, second).id]


def test_sweeping_says_why_each_ended_and_deletes_after_ninety_days(database: Database) -> None:
    ann, mia = world.person(database, "ann"), world.person(database, "mia", staff="admin")
    ids = [standing(database, start(database, who)).id for who in (ann, mia)]
    with database.transaction() as session:
        assert sessions.sweep(session, now=NOW + timedelta(minutes=16)) == 1
        assert sessions.sweep(session, now=NOW + timedelta(minutes=16)) == 0
    assert [row_of(database, session_id).ended_by for session_id in ids] == [None, "idle"]
    with database.transaction() as session:
        sessions.sweep(session, now=NOW + timedelta(hours=12))
    assert row_of(database, ids[0]).ended_by == "expired"
    with database.transaction() as session:
        assert sessions.sweep(session, now=NOW + timedelta(days=90, minutes=20)) == 1
        assert sessions.sweep(session, now=NOW + timedelta(days=91)) == 1
    with database.reading() as session:
        assert session.scalars(select(UserSession)).all() == []


def test_what_a_browser_says_of_itself_is_kept_short_and_plain(database: Database) -> None:
    ann = world.person(database, "ann")
    with database.transaction() as session:
        token = sessions.start(
            session, user_id=ann, method="password", now=NOW, address="::1", agent="a\x00\n\u202e" + "x" * 1_000
        )
    assert standing(database, token).agent == "a" + "x" * 299


def test_every_act_over_a_sign_in_is_in_the_audit_log(database: Database) -> None:
    ann = world.person(database, "ann")
    token = start(database, ann)
    other = start(database, ann)
    own = standing(database, token)
    with database.transaction() as session:
        sessions.end_one(session, user_id=ann, session_id=standing(database, other).id, now=NOW)
        new = sessions.renew(session, session_id=own.id, now=NOW)
        sessions.end(session, new, now=NOW)
    assert world.acts(database)[-5:] == [
        "user.sign_in", "user.sign_in", "user.session_end", "user.verify", "user.sign_out",
    ]  # fmt: skip


def told(database: Database) -> list[tuple[str, str]]:
    """Whom the outbox tells what about their access."""
    with database.reading() as session:
        rows = session.scalars(
            select(OutboxMessage.payload).where(OutboxMessage.topic == "access.changed").order_by(OutboxMessage.id)
        ).all()
    return [(row["user_id"], row["what"]) for row in rows]
