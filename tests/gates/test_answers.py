"""What every answer carries and every page leads to, walked from the map."""

import pytest

from tests.gates import answer_gates
from tests.gates.walk import Stop, Walk
from tests.web.pages import Page


@pytest.fixture
def stops(walk: Walk) -> list[Stop]:
    return walk.stops()


def test_every_answer_carries_the_headers_also_when_it_refuses(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.headers(walk, stops)) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-page", 404),
        ("GET", "/api/v1/no-such-route", 404),
        ("POST", "/healthz", 405),
        ("POST", "/sign-in", 400),
        ("GET", "/static/no-such-file", 404),
    ],
)
def test_errors_carry_the_headers_and_the_request_id(walk: Walk, method: str, path: str, status: int) -> None:
    answer = walk.app.test_client().open(path, method=method)
    assert answer.status_code == status
    assert not [fault for fault in answer_gates.guarded(answer) if "static" not in path or "Cache" not in fault]
    if path.startswith("/api/"):
        assert answer.mimetype == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    else:
        assert answer.headers["X-Request-ID"] in Page(answer).text


def test_scripts_and_htmx_carry_the_nonce_of_their_own_answer(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.nonces(walk, stops)) == []


def test_methods_mean_what_they_say(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.methods(walk, stops)) == []


def test_every_link_form_and_swap_leads_to_a_route(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.links(walk, stops)) == []


def test_a_part_is_the_region_of_its_page(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.parts(walk, stops)) == []
    parts = [
        stop for stop in stops if stop.is_page and b"<html" not in walk.open(stop, headers={"HX-Request": "true"}).data
    ]
    assert len(parts) >= 10


def test_htmx_replaces_what_it_asks_for(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.requests_of_htmx(walk, stops)) == []


def test_parameters_that_nobody_knows_are_ignored(walk: Walk, stops: list[Stop]) -> None:
    assert list(answer_gates.unknown_parameters(walk, stops)) == []


def test_hostile_parameters_break_nothing_and_come_back_as_text(walk: Walk, stops: list[Stop]) -> None:
    assert (len(answer_gates.SQL), len(answer_gates.XSS)) >= (40, 20)
    assert list(answer_gates.hostile_parameters(walk, stops)) == []
