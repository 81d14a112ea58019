"""The table of permissions keeps its own rules."""

import pytest

from billing.accounts import permissions


def test_who_makes_a_refund_request_as_maker_cannot_approve_it() -> None:
    assert "refund.approve" not in permissions.of_staff("maker")
    assert "refund.request" not in permissions.of_staff("approver")


def test_tenants_and_keys_have_nothing_of_finance() -> None:
    finance = {"finance.read", "refund.approve", "invoice.issue", "jobs.run", "admin"}
    for role in permissions.MEMBER_ROLES:
        assert not permissions.of_member(role) & finance
    assert not permissions.SCOPES & finance


def test_a_viewer_may_only_read() -> None:
    assert permissions.of_member("viewer") == {"billing.read"}
    assert permissions.of_staff("viewer") == {"finance.read"}


def test_a_role_that_is_none_may_nothing() -> None:
    with pytest.raises(KeyError):
        permissions.of_member("root")
    with pytest.raises(KeyError):
        permissions.of_staff("owner")
