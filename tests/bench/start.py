"""Starting the portal in a process of its own, against `import flask` in one."""

import os
import subprocess
import sys
import time

from tests.bench.measure import Goal, Result, compare
from tests.bench.scratch import Scratch

NAME = "start"
UNIT = "s"
GOAL = Goal(at_most=3.0)
SIZE = 5  # starts a round
_FLASK = "import flask"
_PORTAL = """
from portal import create_app
from portal.config import PortalConfig
from billing.storage.database import DatabaseUrls
app = create_app(PortalConfig(database=DatabaseUrls(web="sqlite:///absent.db"), secret_key="k" * 40))
assert app.view_functions["tenant.overview"]
"""


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """The quickest of `size` starts, which is the one that was disturbed least."""
    return compare(
        case=NAME,
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOAL,
        limit=lambda: _seconds(_FLASK, size),
        figure=lambda: _seconds(_PORTAL, size),
        rounds=rounds,
    )


def _seconds(program: str, times: int) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=True, capture_output=True)
        taken.append(time.perf_counter() - begun)
    return min(taken)
