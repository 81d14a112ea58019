"""A route that nobody has put into the table fails here, in words that say what to add and where."""

from portal import access
from tests.gates import walk as walking
from tests.gates.walk import Walk


def test_every_route_has_a_sample_and_every_sample_a_route(walk: Walk) -> None:
    told = walking.missing(walk.app)
    assert not told, "\n".join(told)
    assert len(walk.stops()) == len(walking.walked_rules(walk.app)) > 60


def test_every_page_of_the_map_says_its_heading(walk: Walk) -> None:
    """A GET route is a page with a heading, or says what it answers."""
    silent = [str(stop) for stop in walk.stops() if "GET" in stop.methods and stop.sample.mimetype is None]
    assert not silent, f"these take GET: use page(...) or answer(...) in tests/gates/samples.py: {silent}"


def test_a_route_without_a_sample_is_named_with_what_to_add(own_walk: Walk) -> None:
    @access.public
    def forgotten() -> str:
        return "a page nobody thought of"

    own_walk.app.add_url_rule("/forgotten", "forgotten", forgotten)
    (told,) = walking.missing(own_walk.app)
    assert told.startswith(
        "/forgotten has no sample: add a line '/forgotten': page(...) to tests/gates/samples.py, with the object it shows"
    )
    assert len(own_walk.stops()) == len(walking.walked_rules(own_walk.app)) - 1
