"""Passwords: what is accepted, and that comparing never raises."""

import pytest

from billing.accounts import passwords
from billing.accounts.passwords import Cost
from billing.kernel.errors import Invalid

QUICK = Cost(memory_kib=8, passes=1)


def test_the_default_cost_is_not_below_owasps_floor() -> None:
    assert passwords.DEFAULT_COST.memory_kib >= 19 * 1024
    assert passwords.DEFAULT_COST.passes >= 2


def test_a_password_matches_its_own_hash_only() -> None:
    password_hash = passwords.make_hash("correct horse", QUICK)
    assert password_hash.startswith("$argon2id$")
    assert passwords.is_match(password_hash, "correct horse", QUICK)
    assert not passwords.is_match(password_hash, "correct horsf", QUICK)


def test_the_same_password_typed_in_another_normal_form_matches() -> None:
    assert passwords.is_match(passwords.make_hash("pässword", QUICK), "pa\u0308ssword", QUICK)


@pytest.mark.parametrize("typed", ["", "\x00", "\ud800", "x" * 10_000, "nobody has this password"])
def test_nothing_matches_where_there_is_no_hash(typed: str) -> None:
    assert not passwords.is_match(None, typed, QUICK)
    assert not passwords.is_match(passwords.make_hash("correct horse", QUICK), typed, QUICK)


def test_a_damaged_hash_matches_nothing() -> None:
    assert not passwords.is_match("$argon2id$v=19$m=8", "correct horse", QUICK)


def test_a_hash_of_another_cost_is_to_be_made_anew() -> None:
    password_hash = passwords.make_hash("correct horse", QUICK)
    assert not passwords.needs_rehash(password_hash, QUICK)
    assert passwords.needs_rehash(password_hash, Cost(memory_kib=16, passes=1))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("1234567", "password_too_short"),
        ("x" * 201, "password_too_long"),
        ("ann@acme.example", "password_is_login"),
        ("half \ud800 character", "control_character"),
        ("tab\tinside", "control_character"),
    ],
)
def test_unfit_passwords_are_refused_without_being_repeated(password: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        passwords.require_password(password, login="ann@acme.example")
    assert refusal.value.fields["reason"] == reason
    assert password not in str(refusal.value)
