"""AS2: from raw usage alone, in another order and with all prices known from the start, the same books come out."""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.accounts.tables import Project
from billing.assurance import equality, replay, selfcheck
from billing.catalog import activations
from billing.kernel.clock import to_rfc3339
from billing.metering.tables import UsageRecord
from billing.rating import price_changes, rescaling
from billing.storage.database import Database
from tests import databases
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use
from tests.session import run_dir

BENT = (("1000", "1.00"), (None, "0.50"))
HALF, LAST = NOVEMBER + timedelta(days=15), NOVEMBER + timedelta(days=25)


def install(database: Database, *starts: str) -> None:
    text = world.tiered("graduated", *BENT, starts=starts)
    with database.transaction("jobs") as session:
        accounts = price_changes.accounts_on_book(session, "own")
        with price_changes.guarded(session, accounts, now=NOW):
            activations.install(session, text, now=NOW, actor="test")


def lived(database: Database) -> str:
    """An account whose prices changed twice after it was rated and posted, with corrections and usage that came late."""
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    (first, *_) = world.use(
        database, account_id, Use(800, project="a", at=NOVEMBER), Use(120, project="b", at=NOVEMBER + timedelta(days=4))
    )
    world.rate(database, account_id)
    world.post(database, account_id)
    install(database, to_rfc3339(HALF))
    world.use(
        database, account_id, Use(700, project="a", at=HALF), Use(-33, project="a", at=NOVEMBER, corrects_id=first)
    )
    world.rate(database, account_id)
    world.post(database, account_id)
    install(database, to_rfc3339(LAST))
    world.use(database, account_id, Use(5, at=NOVEMBER + timedelta(days=1)), Use(999, project="b", at=LAST))
    world.rate(database, account_id, limit=1)
    world.post(database, account_id, lines_per_run=1)
    return account_id


def told(database: Database) -> list[Use]:
    """What sources said, without what rating itself put into the queue."""
    with database.reading("jobs") as session:
        rows: Sequence[tuple[UsageRecord, str | None]] = [
            (record, code)
            for record, code in session.execute(
                select(UsageRecord, Project.code)
                .outerjoin(Project, Project.id == UsageRecord.project_id)
                .where(UsageRecord.source != rescaling.SOURCE)
            )
        ]
        return [
            Use(record.quantity_base, project=code, at=record.start_at, meter=record.meter_code)
            for record, code in rows
        ]


@pytest.mark.parametrize("seed", [1, 2])
def test_raw_usage_in_another_order_under_prices_known_from_the_start_gives_equal_books(
    database: Database, engine: str, seed: int
) -> None:
    lived(database)
    with database.reading("jobs") as session:
        expected = equality.read(session)
    uses = told(database)
    assert len(uses) == 6
    random.Random(seed).shuffle(uses)
    # what is withdrawn comes after what it withdraws from, as sources must tell it
    uses.sort(key=lambda use: use.quantity_base < 0)
    with databases.fresh(engine, run_dir()) as urls, databases.opened(urls) as other:
        account_id = world.open_account(other, book=world.tiered("graduated", *BENT))
        install(other, to_rfc3339(HALF), to_rfc3339(LAST))
        world.use(other, account_id, *uses)
        world.rate(other, account_id, limit=2)
        world.post(other, account_id)
        with other.reading("jobs") as session:
            assert selfcheck.run(session).differences == ()
            assert replay.replay(session).differences == ()
            assert equality.read(session) == expected
            assert equality.digest(session) == expected.digest()
