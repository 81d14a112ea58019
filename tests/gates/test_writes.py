"""Every write needs its token and comes from our own pages; refused, it leaves no trace. Walked from the map."""

from tests.gates import write_gates
from tests.gates.walk import Walk


def test_a_write_without_its_token_is_refused_and_does_nothing(walk: Walk) -> None:
    stops = walk.stops()
    assert len(list(write_gates.forms(stops))) >= 15
    assert list(write_gates.token(walk, stops)) == []


def test_a_write_from_another_site_is_refused_and_does_nothing(walk: Walk) -> None:
    assert list(write_gates.origin(walk, walk.stops())) == []


def test_what_the_samples_send_is_accepted(own_walk: Walk) -> None:
    assert list(write_gates.accepted(own_walk, own_walk.stops())) == []


def test_reading_changes_nothing(own_walk: Walk) -> None:
    assert list(write_gates.reading(own_walk, own_walk.stops())) == []
