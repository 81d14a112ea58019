"""What one duplicate in each batch of 1,000 events costs, against the same batches without any."""

from tests.bench import ingest, world
from tests.bench.measure import Goal, Result, compare
from tests.bench.scratch import Scratch

NAME = "ingest-duplicate"
UNIT = "ms"
GOAL = Goal(at_most=1.2)
SIZE = ingest.SIZE


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """The time of `size` events with one repeated in each batch over the time of `size` different ones."""
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
        world.open_accounts(database, 1)
        key = ingest.make_key(database)
    plain, repeated = ingest.batches(size), ingest.batches(size, repeated=1)

    def timed(bodies: list[bytes]) -> float:
        name = scratch.copy(fresh)
        try:
            return ingest.send(scratch, name, key, bodies) * 1000
        finally:
            scratch.drop(name)

    return compare(
        case=NAME,
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOAL,
        limit=lambda: timed(plain),
        figure=lambda: timed(repeated),
        rounds=rounds,
    )
