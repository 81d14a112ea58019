"""`plumbline bench`: how fast it is, measured against limits that are measured in the same run. In a source checkout only."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from portal.cli import Failed
from portal.config import database_urls

_ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    *("ingest", "ingest-duplicate", "import", "rating", "posting", "balance", "verify", "replay"),
    *("invoice-run", "page", "pdf", "export", "webhook", "recovery", "start", "import-memory"),
)
PEERS = ("django-hordak", "pgledger")


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
@click.option(
    "--sizes", is_flag=True, help="A quarter, a half and the whole of each size, and how the cost of a unit grows."
)
@click.option("--peers", is_flag=True, help="Posting beside django-hordak and pgledger, on PostgreSQL.")
def bench(names: tuple[str, ...], scale: float, rounds: int, prepare: bool, sizes: bool, peers: bool) -> None:
    """Measure NAMES (all, if none is named) and print one JSON object a line.

    On SQLite, or on the PostgreSQL server that DATABASE_URL names: in databases of its own, never in yours. There the owner role
    must be allowed to create databases (or PLUMBLINE_BENCH_ADMIN_URL names one that is); otherwise it starts a server of its own.
    Exit 1 when a case misses its goal; "inconclusive" is no failure: repeat it with more rounds on a quiet machine.
    """
    room = _load()
    missed = []
    with room.scratch.Scratch(urls=database_urls()) as made:
        for name in names or (() if peers else NAMES):
            try:
                results = _measure(room, made, name, scale=scale, rounds=rounds, prepare=prepare, sizes=sizes)
            except room.measure.WrongWork as wrong:
                raise Failed(f"{name} did the wrong work: {wrong}.") from None
            missed += [name] if any(result.verdict == "fail" for result in results) else []
        for peer in PEERS if peers else ():
            try:
                result = room.peers.run(peer, made, size=max(1, round(room.peers.SIZE * scale)), rounds=rounds)
            except (room.peers.PeerMissing, room.measure.WrongWork) as fault:
                raise Failed(f"{fault}.") from None
            click.echo(result.as_json())
            missed += [result.case] if result.verdict == "fail" else []
    if missed:
        raise Failed(f"missed its goal: {', '.join(missed)}.")


def _measure(
    room: SimpleNamespace, made: Any, name: str, *, scale: float, rounds: int, prepare: bool, sizes: bool
) -> list[Any]:
    """The results of one case, each printed as it comes."""
    if prepare:
        kept = room.cases.prepare(name, made, scale=scale)
        size = room.cases.size_of(name, scale)
        click.echo(json.dumps({"case": name, "engine": made.engine, "size": size, "prepared": kept}))
        return []
    if not sizes:
        result = room.cases.run(name, made, scale=scale, rounds=rounds)
        click.echo(result.as_json())
        return [result]
    results, slope = room.cases.run_sizes(name, made, scale=scale, rounds=rounds)
    for result in results:
        click.echo(result.as_json())
    click.echo(
        json.dumps({"case": name, "engine": made.engine, "sizes": [one.size for one in results], "slope": slope})
    )
    return list(results)


def _load() -> SimpleNamespace:
    if not (_ROOT / "tests" / "bench").is_dir():
        raise Failed("bench runs in a source checkout only: the cases are not installed.")
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    modules = ("cases", "scratch", "measure", "peers")
    try:
        return SimpleNamespace(**{name: import_module(f"tests.bench.{name}") for name in modules})
    except ModuleNotFoundError as missing:
        raise Failed(f"{missing.name} is missing: `make bench` installs what benchmarks need.") from None
