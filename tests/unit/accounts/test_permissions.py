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


def test_every_role_and_permission_is_said_in_words_once() -> None:
    for table, granted in (
        (permissions.MEMBER_TABLE, permissions.MEMBER_PERMISSIONS),
        (permissions.STAFF_TABLE, permissions.STAFF_PERMISSIONS),
    ):
        roles = {role.name for role in table}
        assert all(role.label and role.words for role in table)
        assert len({permission.name for permission in granted}) == len(granted)
        assert len({permission.words for permission in granted}) == len(granted)
        assert all(permission.roles and set(permission.roles) <= roles for permission in granted)


def test_only_owners_and_administrators_decide_who_else_may() -> None:
    assert [role for role in permissions.MEMBER_ROLES if "team.manage" in permissions.of_member(role)] == ["owner"]
    assert [role for role in permissions.MEMBER_ROLES if "keys.manage" in permissions.of_member(role)] == ["owner"]
    assert [role for role in permissions.STAFF_ROLES if "admin" in permissions.of_staff(role)] == ["admin"]


def test_whoever_approves_and_issues_invoices_cannot_say_where_they_are_paid_to() -> None:
    assert [role for role in permissions.STAFF_ROLES if "seller.manage" in permissions.of_staff(role)] == ["admin"]


def test_a_key_of_several_tenants_may_never_move_money() -> None:
    assert {"billing.read", "usage.write"} == permissions.SERVICE_SCOPES
    assert permissions.of_member("owner") >= permissions.SCOPES
