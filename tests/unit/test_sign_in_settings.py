"""Settings of signing in: whether operators need a second factor, and the secret keys before this one."""

import pytest

from portal.config import Unsafe, from_environment

HERE = {"PLUMBLINE_SECRET_KEY": "k" * 40}
PRODUCTION = {
    **HERE,
    "PLUMBLINE_ENV": "production",
    "PLUMBLINE_BASE_URL": "https://billing.example",
    "PLUMBLINE_MAIL": "off",
    "PLUMBLINE_SIGNING_KEY_FILE": "signing.key",
}


@pytest.mark.parametrize(
    ("environ", "is_required"),
    [
        (HERE, False),
        (PRODUCTION, True),
        ({**HERE, "PLUMBLINE_STAFF_MFA": "required"}, True),
        ({**PRODUCTION, "PLUMBLINE_STAFF_MFA": " Optional "}, False),
    ],
)
def test_operators_need_a_second_factor_in_production_unless_told_otherwise(
    environ: dict[str, str], is_required: bool
) -> None:
    assert from_environment(environ).is_staff_mfa_required == is_required


def test_a_word_that_is_neither_is_refused() -> None:
    with pytest.raises(Unsafe, match="PLUMBLINE_STAFF_MFA must be optional or required"):
        from_environment({**HERE, "PLUMBLINE_STAFF_MFA": "maybe"})


def test_older_secret_keys_are_named_newest_first_and_never_shown() -> None:
    config = from_environment({**HERE, "PLUMBLINE_SECRET_KEY_OLD": "second first"})
    assert config.old_secret_keys == ("second", "first")
    assert "second" not in repr(config)
