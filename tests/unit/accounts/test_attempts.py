"""Where failed sign-ins are counted."""

import pytest

from billing.accounts import attempts


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("203.0.113.9", "address:203.0.113.9"),
        ("::ffff:203.0.113.9", "address:203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("", "address:unknown"),
        ("'; DROP TABLE users", "address:unknown"),
    ],
)
def test_addresses_are_counted_by_what_one_guesser_holds(address: str, bucket: str) -> None:
    assert attempts.buckets("ann@acme.example", address)[1] == bucket


def test_what_was_typed_as_login_is_not_kept() -> None:
    assert "secret" not in "".join(attempts.buckets("my secret password", ""))
