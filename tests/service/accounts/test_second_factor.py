"""The second step: codes of an app, each once, recovery codes, each once, and guessing slowed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest

from billing.accounts import recovery_codes, second_factor, sessions
from billing.accounts.access_tables import RecoveryCode, TotpDevice
from billing.accounts.errors import SecondFactorExists
from billing.accounts.sealing import Sealer, Unreadable
from billing.accounts.second_factor import CodeTry
from billing.kernel.errors import NotFound
from billing.storage.database import Database
from tests.service.accounts import world
from tests.service.accounts.test_sessions import is_in, standing, start, told
from tests.service.accounts.world import NOW

SEALER = Sealer("totp", "k" * 40)
HERE = "203.0.113.9"
STEP = timedelta(seconds=30)


def begin(database: Database, user_id: str) -> pyotp.TOTP:
    with database.transaction() as session:
        second_factor.begin(session, user_id=user_id, sealer=SEALER, now=NOW)
        secret = second_factor.find_waiting_secret(session, user_id=user_id, sealer=SEALER)
    assert secret is not None
    return pyotp.TOTP(secret)


def enrol(database: Database, user_id: str, *, session_id: str | None = None) -> tuple[pyotp.TOTP, list[str]]:
    """The person's app, whose first code was used two steps before NOW, and their recovery codes."""
    app = begin(database, user_id)
    with database.transaction() as session:
        codes = second_factor.confirm(
            session,
            user_id=user_id,
            code=app.at(NOW - 2 * STEP),
            sealer=SEALER,
            now=NOW - 2 * STEP,
            session_id=session_id,
        )
    assert codes is not None
    return app, codes


def use(
    database: Database, user_id: str, code: str, *, at: timedelta = timedelta(), sealer: Sealer = SEALER
) -> CodeTry:
    with database.transaction() as session:
        return second_factor.try_code(session, user_id=user_id, code=code, sealer=sealer, now=NOW + at, address=HERE)


@pytest.fixture
def ann(database: Database) -> str:
    return world.person(database, "ann")


def test_nothing_is_in_force_until_the_app_has_shown_a_right_code(database: Database, ann: str) -> None:
    app = begin(database, ann)
    with database.transaction() as session:
        assert not second_factor.is_enrolled(session, ann)
        wrong = second_factor.confirm(session, user_id=ann, code="000000", sealer=SEALER, now=NOW)
        assert wrong is None or app.at(NOW) == "000000"
        assert use_is_refused(session, ann, app.at(NOW))
        assert second_factor.confirm(session, user_id=ann, code=app.at(NOW), sealer=SEALER, now=NOW)
        assert second_factor.is_enrolled(session, ann)
        assert second_factor.find_waiting_secret(session, user_id=ann, sealer=SEALER) is None
    with pytest.raises(SecondFactorExists):
        begin(database, ann)
    with pytest.raises(NotFound), database.transaction() as session:
        second_factor.confirm(session, user_id=ann, code=app.at(NOW), sealer=SEALER, now=NOW)


def use_is_refused(session: object, user_id: str, code: str) -> bool:
    tried = second_factor.try_code(session, user_id=user_id, code=code, sealer=SEALER, now=NOW, address=HERE)  # type: ignore[arg-type]
    return tried == CodeTry(kind=None)


def test_beginning_again_replaces_the_secret_that_waits(database: Database, ann: str) -> None:
    first, second = begin(database, ann), begin(database, ann)
    assert first.secret != second.secret
    assert len(second.secret) == 32  # 160 bits


def test_turning_it_on_ends_the_sign_ins_elsewhere(database: Database, ann: str) -> None:
    here, there = start(database, ann), start(database, ann)
    enrol(database, ann, session_id=standing(database, here).id)
    assert (is_in(database, here), is_in(database, there)) == (True, False)
    assert told(database) == [(ann, "totp_on")]


@pytest.mark.parametrize(("drift", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_for_its_half_minute_and_the_ones_beside_it(
    database: Database, ann: str, drift: int, is_right: bool
) -> None:
    app, _ = enrol(database, ann)
    at = 10 * STEP
    assert (use(database, ann, app.at(NOW + at + drift * STEP), at=at).kind == "totp") == is_right


def test_a_code_is_good_once_and_none_before_it_any_more(database: Database, ann: str) -> None:
    app, _ = enrol(database, ann)
    code, before = app.at(NOW), app.at(NOW - STEP)
    assert use(database, ann, f" {code[:3]} {code[3:]} ").kind == "totp"
    assert use(database, ann, code) == CodeTry(kind=None)
    assert use(database, ann, before) == CodeTry(kind=None)
    assert use(database, ann, app.at(NOW + STEP), at=STEP).kind == "totp"


def test_the_code_that_confirmed_is_used_up(database: Database, ann: str) -> None:
    app, _ = enrol(database, ann)
    assert use(database, ann, app.at(NOW - 2 * STEP), at=-STEP) == CodeTry(kind=None)


def test_of_two_who_use_a_code_at_once_one_wins(database: Database, ann: str) -> None:
    app, codes = enrol(database, ann)
    for code in (app.at(NOW), codes[0]):
        with ThreadPoolExecutor(4) as pool:
            tries = list(pool.map(lambda _, code=code: use(database, ann, code).kind, range(4)))
        assert sorted(map(str, tries))[:3] == ["None"] * 3, tries
        assert sum(kind is not None for kind in tries) == 1


def test_a_recovery_code_lets_in_once_and_the_person_is_told(database: Database, ann: str) -> None:
    _, codes = enrol(database, ann)
    assert len(set(codes)) == 10
    assert use(database, ann, codes[3].upper().replace("-", " ")).kind == "recovery_code"
    assert use(database, ann, codes[3]) == CodeTry(kind=None)
    with database.reading() as session:
        assert recovery_codes.count_left(session, user_id=ann) == 9
        stored = session.get_one(RecoveryCode, session.query(RecoveryCode.id).first()[0])
    assert codes[0] not in str(vars(stored))
    assert told(database)[-1] == (ann, "recovery_code_used")


def test_letters_that_look_like_digits_are_read_as_them(database: Database, ann: str) -> None:
    enrol(database, ann)
    with database.transaction() as session:
        row = session.query(RecoveryCode).filter_by(user_id=ann).first()
        assert row is not None
        row.code_hash = recovery_codes._hash(ann, "0011-aaaa-bbbb-cccc")
    assert use(database, ann, "OoIl aaaabbbbcccc").kind == "recovery_code"


def test_new_recovery_codes_end_the_old_ones(database: Database, ann: str) -> None:
    _, old = enrol(database, ann)
    with database.transaction() as session:
        new = second_factor.renew_codes(session, user_id=ann, now=NOW)
        assert recovery_codes.are_unused(session, user_id=ann, codes=new)
        assert not recovery_codes.are_unused(session, user_id=ann, codes=new[:9])
        assert not recovery_codes.are_unused(session, user_id=ann, codes=[*new[:9], old[0]])
    assert use(database, ann, old[0]) == CodeTry(kind=None)
    assert use(database, ann, new[0]).kind == "recovery_code"


def test_somebody_elses_codes_are_worth_nothing(database: Database, ann: str) -> None:
    bob = world.person(database, "bob")
    app, codes = enrol(database, ann)
    enrol(database, bob)
    assert use(database, bob, codes[0]) == CodeTry(kind=None)
    assert use(database, bob, app.at(NOW)) == CodeTry(kind=None)


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "٣٤٥٦٧٨", "１２３４５６", "\x00", "' OR 1=1 --", "\ud800", "x" * 10_000]
)
def test_what_is_no_code_is_refused_and_counted(database: Database, ann: str, typed: str) -> None:
    enrol(database, ann)
    for _ in range(8):
        assert use(database, ann, typed) == CodeTry(kind=None)
    assert use(database, ann, typed) == CodeTry(kind=None, is_slowed=True)


def test_after_eight_failures_even_a_right_code_waits_fifteen_minutes(database: Database, ann: str) -> None:
    app, codes = enrol(database, ann)
    for _ in range(8):
        assert not use(database, ann, "no code").is_slowed
    assert use(database, ann, app.at(NOW)) == CodeTry(kind=None, is_slowed=True)
    assert use(database, ann, codes[0]) == CodeTry(kind=None, is_slowed=True)
    later = timedelta(minutes=15)
    assert use(database, ann, app.at(NOW + later), at=later).kind == "totp"


def test_turned_off_nothing_is_left_and_other_sign_ins_end(database: Database, ann: str) -> None:
    app, codes = enrol(database, ann)
    here, there = start(database, ann), start(database, ann)
    with database.transaction() as session:
        assert second_factor.remove(session, user_id=ann, now=NOW, session_id=standing(database, here).id)
        assert not second_factor.remove(session, user_id=ann, now=NOW)
        assert session.get(TotpDevice, ann) is None
        assert recovery_codes.count_left(session, user_id=ann) == 0
    assert (is_in(database, here), is_in(database, there)) == (True, False)
    assert use(database, ann, codes[0]) == CodeTry(kind=None)
    assert use(database, ann, app.at(NOW)) == CodeTry(kind=None)
    assert told(database)[-1] == (ann, "totp_off")


def test_the_secret_is_sealed_and_survives_a_change_of_the_portals_key(database: Database, ann: str) -> None:
    app, codes = enrol(database, ann)
    rotated, lost = Sealer("totp", "n" * 40, "k" * 40), Sealer("totp", "n" * 40)
    with database.reading() as session:
        sealed = session.get_one(TotpDevice, ann).secret_sealed
    assert app.secret not in sealed
    assert use(database, ann, app.at(NOW), sealer=lost) == CodeTry(kind=None)
    assert use(database, ann, app.at(NOW), sealer=rotated).kind == "totp"
    # The use sealed it anew: the old key is needed no more.
    assert use(database, ann, app.at(NOW + STEP), at=STEP, sealer=lost).kind == "totp"
    assert use(database, ann, codes[0], sealer=SEALER).kind == "recovery_code"


def test_what_one_purpose_sealed_another_does_not_open() -> None:
    sealed = Sealer("totp", "k" * 40).seal("secret")
    assert Sealer("totp", "n" * 40, "k" * 40).open(sealed) == "secret"
    for other in (Sealer("other", "k" * 40), Sealer("totp", "x" * 40)):
        with pytest.raises(Unreadable):
            other.open(sealed)


def test_the_apps_address_names_the_portal_and_the_person() -> None:
    address = second_factor.address_of("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "ann@acme.example")
    assert address.startswith(
        "otpauth://totp/Plumbline:ann%40acme.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Plumbline"
    )


def test_a_sign_in_by_code_says_so(database: Database, ann: str) -> None:
    with database.transaction() as session:
        token = sessions.start(session, user_id=ann, method="password+totp", now=NOW, address=HERE, agent="")
    assert standing(database, token).method == "password+totp"
