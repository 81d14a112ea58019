"""Peak resident memory of an import, against that of an import of a tenth of the jobs; each in a process of its own."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from billing.storage.database import Database, DatabaseUrls
from tests.bench import importing, world
from tests.bench.measure import Goal, Result, compare, peak_mb, require
from tests.bench.scratch import Scratch

NAME = "import-memory"
UNIT = "MB"
GOAL = Goal(at_most=1.1)
SIZE = 1_000_000
_ROOT = Path(__file__).resolve().parents[2]


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Import `size` jobs between two imports of a tenth of them; one round, whatever `rounds` says: it takes minutes."""
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
    result = compare(
        case=NAME,
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOAL,
        limit=lambda: _peak_of(scratch, fresh, max(1, size // 10)),
        figure=lambda: _peak_of(scratch, fresh, size),
        rounds=1,
    )
    return Result(**(asdict(result) | {"peak_mb": result.figure}))


def _peak_of(scratch: Scratch, fresh: str, size: int) -> float:
    name = scratch.copy(fresh)
    asked = json.dumps({"urls": asdict(scratch.urls_of(name)), "size": size})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.import_memory"],
            input=asked,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
            check=True,
        )
    finally:
        scratch.drop(name)
    answer = json.loads(done.stdout)
    require("jobs imported", answer["size"], size)
    return float(answer["peak_mb"])


def _child() -> None:
    asked = json.loads(sys.stdin.read())
    database = Database(DatabaseUrls(**asked["urls"]))
    importing.take_in(database, asked["size"])
    database.dispose()
    print(json.dumps({"size": asked["size"], "peak_mb": peak_mb()}))


if __name__ == "__main__":
    _child()
