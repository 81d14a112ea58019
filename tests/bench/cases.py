"""The cases in the order in which `plumbline bench` runs them, and running one of them at a scale."""

from types import ModuleType

from tests.bench import (
    balance,
    exporting,
    import_memory,
    importing,
    ingest,
    ingest_repeats,
    invoice_run,
    page,
    posting,
    printing,
    rating,
    recovery,
    replaying,
    start,
    verifying,
    webhook,
)
from tests.bench.measure import Result, slope
from tests.bench.scratch import Scratch

CASES: dict[str, ModuleType] = {
    case.NAME: case
    for case in (
        *(ingest, ingest_repeats, importing, rating, posting, balance, verifying, replaying),
        *(invoice_run, page, printing, exporting, webhook, recovery, start, import_memory),
    )
}


def run(name: str, scratch: Scratch, *, scale: float, rounds: int) -> Result:
    """Measure one case at `scale` times its own size. Raises WrongWork when what was done is not what was asked."""
    result: Result = CASES[name].run(scratch, size=size_of(name, scale), rounds=rounds)
    return result


def run_sizes(name: str, scratch: Scratch, *, scale: float, rounds: int) -> tuple[list[Result], float]:
    """The case at a quarter, a half and the whole of its size, and how the cost of a unit grows from one to the next."""
    results = [run(name, scratch, scale=scale * part, rounds=rounds) for part in (0.25, 0.5, 1)]
    return results, slope(results, is_rate=CASES[name].UNIT.endswith("/s"))


def prepare(name: str, scratch: Scratch, *, scale: float) -> str | None:
    """Fill the database that a case reads and keep it for later runs; its name, None where the case makes its own each time."""
    case = CASES[name]
    if not hasattr(case, "prepare"):
        return None
    kept: str = case.prepare(scratch, size=size_of(name, scale), keep=True)
    return kept


def size_of(name: str, scale: float) -> int:
    """The case's size at a scale; never nothing."""
    return max(1, round(CASES[name].SIZE * scale))
