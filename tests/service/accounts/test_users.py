"""Signing in: right, wrong, too often, and what an onlooker may learn from it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from billing.accounts import attempts, principals, users
from billing.accounts.errors import LoginTaken
from billing.accounts.passwords import Cost
from billing.accounts.tables import SignInAttempt, User
from billing.accounts.users import SignIn
from billing.catalog import onboarding
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Cost(memory_kib=8, passes=1)
PASSWORD = "correct horse battery"
HERE = "203.0.113.9"


@pytest.fixture
def ann(database: Database) -> str:
    with database.transaction() as session:
        made = users.create_user(session, now=NOW, login="Ann@Acme.example", name="Ann", password=PASSWORD, cost=QUICK)
    return made.id


def sign_in(
    database: Database, login: str, password: str, *, at: datetime = NOW, address: str = HERE, cost: Cost = QUICK
) -> SignIn:
    with database.transaction() as session:
        return users.try_sign_in(session, login, password, now=at, address=address, cost=cost)


def test_the_right_password_signs_in_whatever_the_case_of_the_login(database: Database, ann: str) -> None:
    assert sign_in(database, " ANN@acme.example ", PASSWORD) == SignIn(user_id=ann)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@acme.example", "wrong"),
        ("ann@acme.example", ""),
        ("ann@acme.example", "\x00\ud800"),
        ("ann@acme.example", "x" * 100_000),
        ("bob@acme.example", PASSWORD),
        ("", ""),
        ("ann@acme.example\x00", PASSWORD),
        ("\ud800", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
def test_all_failures_have_one_answer_and_are_counted(database: Database, ann: str, login: str, password: str) -> None:
    assert sign_in(database, login, password) == SignIn(user_id=None, is_slowed=False)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SignInAttempt)) == 2


def test_after_eight_failures_even_the_right_password_waits_fifteen_minutes(database: Database, ann: str) -> None:
    for _ in range(8):
        assert not sign_in(database, "ann@acme.example", "wrong").is_slowed
    assert sign_in(database, "ann@acme.example", PASSWORD) == SignIn(user_id=None, is_slowed=True)
    assert sign_in(database, "ann@acme.example", PASSWORD, at=NOW + timedelta(minutes=14)).is_slowed
    assert sign_in(database, "ann@acme.example", PASSWORD, at=NOW + timedelta(minutes=15)) == SignIn(user_id=ann)


def test_an_unknown_login_is_slowed_like_a_known_one(database: Database, ann: str) -> None:
    for _ in range(8):
        sign_in(database, "nobody@acme.example", "wrong")
    assert sign_in(database, "nobody@acme.example", "wrong").is_slowed


def test_one_address_is_slowed_over_all_logins(database: Database, ann: str) -> None:
    for number in range(attempts.ADDRESS_MAX):
        assert not sign_in(database, f"user{number}@acme.example", "wrong").is_slowed
    assert sign_in(database, "ann@acme.example", PASSWORD).is_slowed
    assert sign_in(database, "ann@acme.example", PASSWORD, address="203.0.113.10") == SignIn(user_id=ann)


def test_a_success_forgives_the_login_but_not_the_address(database: Database, ann: str) -> None:
    for _ in range(7):
        sign_in(database, "ann@acme.example", "wrong")
    assert sign_in(database, "ann@acme.example", PASSWORD).user_id == ann
    with database.reading() as session:
        left = session.scalars(select(SignInAttempt.bucket)).all()
    assert left == [f"address:{HERE}"] * 7


def test_many_guesses_at_once_get_no_more_tries_than_one_by_one(database: Database, ann: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sign_in(database, "ann@acme.example", "wrong"), range(24)))
    assert sum(not answer.is_slowed for answer in answers) == 8


def test_a_disabled_person_cannot_sign_in(database: Database, ann: str) -> None:
    with database.transaction() as session:
        session.get_one(User, ann).is_disabled = True
    assert sign_in(database, "ann@acme.example", PASSWORD) == SignIn(user_id=None)
    with database.reading() as session:
        assert principals.find_principal(session, ann) is None


def test_a_hash_of_an_older_cost_is_made_anew_at_sign_in(database: Database, ann: str) -> None:
    dearer = Cost(memory_kib=16, passes=2)
    assert sign_in(database, "ann@acme.example", PASSWORD, cost=dearer).user_id == ann
    with database.reading() as session:
        assert "m=16,t=2,p=1" in session.get_one(User, ann).password_hash
    assert sign_in(database, "ann@acme.example", PASSWORD, cost=dearer).user_id == ann


def test_a_login_is_taken_once_in_any_case(database: Database, ann: str) -> None:
    with pytest.raises(LoginTaken), database.transaction() as session:
        users.create_user(session, now=NOW, login="ANN@ACME.example", name="Ann", password=PASSWORD, cost=QUICK)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"login": "ann"}, "not_an_address"),
        ({"name": "\x07"}, "control_character"),
        ({"password": "short"}, "password_too_short"),
        ({"staff_role": "owner"}, "unknown_role"),
    ],
)
def test_a_person_that_cannot_be_is_refused(database: Database, changes: dict[str, str], reason: str) -> None:
    facts = {"login": "bob@acme.example", "name": "Bob", "password": PASSWORD, **changes}
    with pytest.raises(Invalid) as refusal, database.transaction() as session:
        users.create_user(session, now=NOW, cost=QUICK, **facts)
    assert refusal.value.fields["reason"] == reason


def test_a_membership_opens_the_tenants_accounts_with_its_role_and_no_others(database: Database, ann: str) -> None:
    with database.transaction() as session:
        calla = onboarding.open_account(session, now=NOW, code="calla")
        onboarding.open_account(session, now=NOW, code="taifl")
        assert calla.tenant_id is not None
        users.grant_membership(session, user_id=ann, tenant_id=calla.tenant_id, role="owner", now=NOW)
        users.grant_membership(session, user_id=ann, tenant_id=calla.tenant_id, role="viewer", now=NOW)
        with pytest.raises(Invalid):
            users.grant_membership(session, user_id=ann, tenant_id=calla.tenant_id, role="admin", now=NOW)
        with pytest.raises(NotFound):
            users.grant_membership(session, user_id=ann, tenant_id="ten_none", role="viewer", now=NOW)
    with database.reading() as session:
        principal = principals.find_principal(session, ann)
    assert principal is not None
    assert [(account.code, account.permissions) for account in principal.accounts] == [("calla", {"billing.read"})]
    assert not principal.is_staff
