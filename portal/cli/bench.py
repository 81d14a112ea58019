"""`plumbline bench`: how fast it is, measured against limits that are measured in the same run. In a source checkout only."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from portal.cli import Failed
from portal.config import database_urls

_ROOT = Path(__file__).resolve().parents[2]
NAMES = ("import", "rating", "posting", "balance", "page", "export", "start", "import-memory")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Times the usual size."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Rounds of each case; odd, 5 or 9 when it is inconclusive.",
)
@click.option("--prepare", is_flag=True, help="Only fill the databases that cases read, and keep them for later runs.")
def bench(names: tuple[str, ...], scale: float, rounds: int, prepare: bool) -> None:
    """Measure NAMES (all, if none is named) and print one JSON object a line.

    On SQLite, or on the PostgreSQL server that DATABASE_URL names: in databases of its own, never in yours. There the owner role
    must be allowed to create databases (or PLUMBLINE_BENCH_ADMIN_URL names one that is); otherwise it starts a server of its own.
    Exit 1 when a case misses its goal; "inconclusive" is no failure: repeat it with more rounds on a quiet machine.
    """
    cases, scratch, measure = _load()
    missed = []
    with scratch.Scratch(urls=database_urls()) as made:
        for name in names or NAMES:
            try:
                if prepare:
                    kept = cases.prepare(name, made, scale=scale)
                    line = {"case": name, "engine": made.engine, "size": cases.size_of(name, scale), "prepared": kept}
                    click.echo(json.dumps(line))
                    continue
                result = cases.run(name, made, scale=scale, rounds=rounds)
            except measure.WrongWork as wrong:
                raise Failed(f"{name} did the wrong work: {wrong}.") from None
            click.echo(result.as_json())
            if result.verdict == "fail":
                missed.append(name)
    if missed:
        raise Failed(f"missed its goal: {', '.join(missed)}.")


def _load() -> tuple[Any, Any, Any]:
    if not (_ROOT / "tests" / "bench").is_dir():
        raise Failed("bench runs in a source checkout only: the cases are not installed.")
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    try:
        cases, scratch, measure = (import_module(f"tests.bench.{name}") for name in ("cases", "scratch", "measure"))
    except ModuleNotFoundError as missing:
        raise Failed(f"{missing.name} is missing: `make bench` installs what benchmarks need.") from None
    return cases, scratch, measure
