"""A line that a late change of price brought about explains itself like every other."""

from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import select

from billing.rating.tables import CounterRescale, RatedLine
from billing.storage.database import Database
from tests.service.rating import test_rescaling, world
from tests.service.rating.world import Use
from tests.web.pages import Page


def test_the_page_of_a_rescaling_shows_both_shares_and_its_amount(
    database: Database, browser: Callable[..., FlaskClient]
) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *test_rescaling.BENT), code="calla")
    world.use(database, account_id, Use(800, at=test_rescaling.EARLY))
    world.rate(database, account_id)
    test_rescaling.change_at(database)
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        (line_id,) = session.scalars(
            select(RatedLine.id).join(
                CounterRescale,
                (CounterRescale.counter_id == RatedLine.counter_id)
                & (CounterRescale.counter_seq == RatedLine.counter_seq),
            )
        )
    answer = browser("calla").get(f"/rated-lines/{line_id}")
    assert answer.status_code == 200
    page = Page(answer)
    shown = page.text
    for words in ("with its new share of the period", "with the share it had", "1/2", "150"):
        assert words in shown
