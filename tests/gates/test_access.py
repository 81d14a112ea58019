"""Who gets in, walked from the map: owner, stranger, nobody, every role of tenants and of the house, every scope of a key."""

import pytest

from billing.accounts import permissions
from tests.gates import access_gates
from tests.gates import walk as walking
from tests.gates.walk import Stop, Walk

# Open to everybody, signed in or not. Whoever adds to this list says here why.
PUBLIC = {
    "health.healthz",
    "health.readyz",
    "health.metrics",
    "auth.sign_in",
    "auth.sign_out",
    "auth.choose_account",
    "auth.second_step",  # who has not taken it yet is nobody
    "auth.forgot",
    "auth.reset",  # whoever has the link from the mail
    "auth.invitation",
    "auth.recipient",
    "public.verify_document",  # whoever was given a document; it says genuine or not, and nothing else
    "sandbox.checkout",
    "sandbox.decide",
    "sandbox.setup",
    "sandbox.decide_setup",
    "sandbox.portal",
    "sandbox.manage",
    "api_docs.description",  # how the API is used, by whoever writes a program
    "api_docs.page",
    "style.index",  # only outside production
}
# Routes that authenticate by a provider's signature.
SIGNED = {"webhooks.stripe_webhook", "webhooks.sandbox_webhook"}


@pytest.fixture
def stops(walk: Walk) -> list[Stop]:
    return walk.stops()


def test_every_route_declares_who_may_open_it(stops: list[Stop]) -> None:
    assert list(access_gates.undeclared(stops)) == []


def test_what_is_public_is_exactly_what_was_meant_to_be(stops: list[Stop]) -> None:
    assert {stop.rule.endpoint for stop in stops if stop.access == "public"} == PUBLIC
    assert {stop.rule.endpoint for stop in stops if stop.access == "key"} == SIGNED
    for stop in stops:
        expected = {"operator": "staff:", "api": "key:"}.get(stop.rule.endpoint.partition(".")[0])
        assert expected is None or stop.access.startswith(expected), str(stop)


def test_writing_needs_more_than_reading(stops: list[Stop]) -> None:
    reading = {"billing.read", "staff:finance.read", "key:billing.read"}
    own = {"/team/leave"}  # whoever belongs to a team may leave it
    writing = [stop for stop in stops if stop.writes]
    assert len(writing) > 20
    assert [str(stop) for stop in writing if stop.access in reading and str(stop) not in own] == []


def test_who_may_open_a_page_gets_it_whole_with_its_heading(walk: Walk, stops: list[Stop]) -> None:
    assert list(access_gates.owner(walk, stops)) == []
    assert sum(stop.is_page for stop in stops) > 35


def test_for_a_stranger_no_object_of_ours_exists(walk: Walk, stops: list[Stop]) -> None:
    assert list(access_gates.stranger(walk, stops)) == []
    about_objects = [stop for stop in stops if stop.sample.object_arguments(stop.rule) and stop.access != "public"]
    assert len(about_objects) > 20


def test_a_stranger_sees_their_own_and_nothing_of_ours(walk: Walk, stops: list[Stop]) -> None:
    assert list(access_gates.stranger_lists(walk, stops)) == []


def test_who_is_not_signed_in_is_led_to_sign_in(walk: Walk, stops: list[Stop]) -> None:
    assert list(access_gates.anonymous(walk, stops)) == []


def test_every_role_opens_exactly_what_the_table_gives_it(walk: Walk, stops: list[Stop]) -> None:
    assert list(access_gates.roles_reading(walk, stops)) == []


def test_every_role_writes_exactly_what_the_table_gives_it(own_walk: Walk) -> None:
    assert list(access_gates.roles_writing(own_walk, own_walk.stops())) == []


def test_every_permission_and_scope_opens_a_route(stops: list[Stop]) -> None:
    """A permission that no route asks for is a word without effect."""
    asked = {stop.access for stop in stops}
    members = frozenset().union(*map(permissions.of_member, permissions.MEMBER_ROLES))
    unused = {f"key:{scope}" for scope in permissions.SCOPE_WORDS} - asked
    assert not unused
    assert members - asked - permissions.SCOPES == set()
    assert walking.EVERYBODY
