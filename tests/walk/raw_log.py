"""The real log read a second time, by other means than the product's: what each account used in each month, and what it costs.

Nothing here imports billing. Sums are `Fraction`, windows are split where UTC months meet, money is rounded once per line.
"""

import gzip
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

LOG = Path("slurm") / "pozidriv.log.gz"
ACCOUNTS = ("balsh", "calla", "caste", "field", "ibech", "savwa", "taifl")
MONTHS = ("2016-12", "2017-01")

# From the issue: core-hours of each account, to four places.
CPU_HOURS = {
    "calla": "26233.1522",
    "taifl": "25358.4119",
    "caste": "11206.7450",
    "balsh": "6016.8878",
    "savwa": "2013.9667",
    "field": "1016.6144",
    "ibech": "138.4983",
}

# The default price book as it is printed: USD per core-hour and per GiB-hour.
PRICES = {"cpu_hour": "0.50", "memory_gib_hour": "0.10"}
STANDARD_VAT_IRELAND = Fraction(23, 100)

_ACCOUNT, _START, _END, _CPUS, _TRES = 5, 12, 13, 18, 22
_GIB = {"M": Fraction(1, 1024), "G": Fraction(1)}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one line says, in the units that are priced."""

    account: str
    start: datetime
    end: datetime
    cores: int
    memory_gib: Fraction

    @property
    def seconds(self) -> int:
        """How long it ran."""
        return int((self.end - self.start).total_seconds())


def read_lines(data_dir: Path) -> list[str]:
    """The log's lines in their order."""
    return gzip.decompress((data_dir / LOG).read_bytes()).decode().splitlines()


def read_jobs(data_dir: Path) -> list[Job]:
    """Every line as a job."""
    return [parse(line) for line in read_lines(data_dir)]


def sample(data_dir: Path, size: int) -> list[str]:
    """`size` lines in the log's order: the first 40, which began days before the rest, some of every account, and any others."""
    lines, chooser = read_lines(data_dir), random.Random(20161231)
    chosen = set(range(40))
    for account in ACCOUNTS:
        owned = [number for number, line in enumerate(lines) if line.split("|")[_ACCOUNT] == account]
        chosen.update(chooser.sample(owned, min(8, len(owned))))
    rest = [number for number in range(len(lines)) if number not in chosen]
    chosen.update(chooser.sample(rest, size - len(chosen)))
    return [lines[number] for number in sorted(chosen)]


def parse(line: str) -> Job:
    """One line of 26 fields."""
    fields = line.split("|")
    assert len(fields) == 26
    tres = dict(item.split("=") for item in fields[_TRES].split(","))
    amount, letter = tres["mem"][:-1], tres["mem"][-1]
    return Job(
        account=fields[_ACCOUNT],
        start=datetime.fromisoformat(fields[_START]).replace(tzinfo=UTC),
        end=datetime.fromisoformat(fields[_END]).replace(tzinfo=UTC),
        cores=int(fields[_CPUS]),
        memory_gib=Fraction(amount) * _GIB[letter],
    )


def hours(jobs: list[Job]) -> dict[tuple[str, str, str], Fraction]:
    """(account, month, meter) -> exact hours, every window split where its month ends. Nothing used: no key."""
    sums: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for job in jobs:
        start = job.start
        while start < job.end:
            month_end = (start.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
            end = min(job.end, month_end)
            length = Fraction(int((end - start).total_seconds()), 3600)
            sums[job.account, start.strftime("%Y-%m"), "cpu_hour"] += length * job.cores
            sums[job.account, start.strftime("%Y-%m"), "memory_gib_hour"] += length * job.memory_gib
            start = end
    return dict(sums)


def line_cents(jobs: list[Job]) -> dict[tuple[str, str, str], int]:
    """(account, month, meter) -> cents of the invoice line: exact hours times the printed price, rounded once."""
    return {key: half_up(total * Fraction(PRICES[key[2]]) * 100) for key, total in hours(jobs).items()}


def net_cents(jobs: list[Job]) -> dict[tuple[str, str], int]:
    """(account, month) -> net of the invoice in cents: the sum of its rounded lines."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for (account, month, _), cents in line_cents(jobs).items():
        sums[account, month] += cents
    return dict(sums)


def vat_cents(net: int) -> int:
    """VAT of an Irish seller's invoice to a customer in Ireland."""
    return half_up(net * STANDARD_VAT_IRELAND)


def half_up(value: Fraction) -> int:
    """The nearest integer; a half goes up. For amounts that are not negative."""
    assert value >= 0
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def printed(cents: int) -> str:
    """Cents as English prints them: 1234567 is "12,345.67"."""
    return f"{cents // 100:,}.{cents % 100:02d}"
