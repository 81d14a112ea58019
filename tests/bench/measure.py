"""Comparing a figure with its limit: interleaved rounds, medians, an A/A control, and a verdict that may be "inconclusive"."""

import json
import math
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.storage.columns import Base

Verdict = Literal["pass", "fail", "inconclusive"]

_STRAY = (0.9, 1.1)  # the same work under two names: beyond this the machine was too restless to judge
_PROC = Path("/proc/self")


class WrongWork(Exception):
    """What was measured is not what should have been done: rows are missing, or sums differ."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One case: its figure, the limit it is held against, and what to think of it. Printed as one JSON line."""

    case: str
    engine: str
    size: int
    figure: float
    unit: str
    limit: float
    ratio: float
    peak_mb: float
    aa_ratio: float
    verdict: Verdict

    def as_json(self) -> str:
        """The line that `plumbline bench` prints."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a ratio figure / limit must reach (`at_least`) or keep to (`at_most`)."""

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio is good enough."""
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)


def compare(
    *,
    case: str,
    engine: str,
    size: int,
    unit: str,
    goal: Goal,
    limit: Callable[[], float],
    figure: Callable[[], float],
    rounds: int = 3,
) -> Result:
    """Measure limit, figure and limit again, `rounds` times over; `limit` and `figure` check their own work (WrongWork).

    The two series of the limit are the A/A control: the same work twice. When they differ by more than a tenth, or when the
    rounds fall on both sides of the goal, the verdict is "inconclusive": repeat with more rounds rather than move the goal.
    """
    first, figures, second, peaks = [], [], [], []
    for number in range(rounds):
        print(f"{case}: round {number + 1} of {rounds}", file=sys.stderr)
        first.append(limit())
        start_peak()
        figures.append(figure())
        peaks.append(peak_mb())
        second.append(limit())
    ratios = [
        value / statistics.mean(pair) for value, pair in zip(figures, zip(first, second, strict=True), strict=True)
    ]
    aa_ratio = statistics.median(second) / statistics.median(first)
    limit_value, figure_value = statistics.median(first + second), statistics.median(figures)
    ratio = figure_value / limit_value
    return Result(
        case=case,
        engine=engine,
        size=size,
        figure=round(figure_value, 3),
        unit=unit,
        limit=round(limit_value, 3),
        ratio=round(ratio, 3),
        peak_mb=round(max(peaks), 1),
        aa_ratio=round(aa_ratio, 3),
        verdict=judge(goal, ratio, ratios, aa_ratio),
    )


def judge(goal: Goal, ratio: float, ratios: list[float], aa_ratio: float) -> Verdict:
    """`pass` or `fail` where the rounds agree and the control holds, else `inconclusive`."""
    if not _STRAY[0] <= aa_ratio <= _STRAY[1] or len({goal.is_met(one) for one in ratios}) > 1:
        return "inconclusive"
    return "pass" if goal.is_met(ratio) else "fail"


def require(what: str, found: object, expected: object) -> None:
    """Raise WrongWork unless the work is the right work."""
    if found != expected:
        raise WrongWork(f"{what}: found {found}, expected {expected}")


def count_of(session: Session, model: type[Base]) -> int:
    """How many rows a table has."""
    return int(session.execute(select(func.count()).select_from(model)).scalar_one())


def slope(results: list[Result], *, is_rate: bool) -> float:
    """How the cost of one unit of work grows with the size: the exponent of a power law through the results, 0 when it does not.

    `is_rate`: the figure is work a second, so that it falls where the cost rises.
    """
    points = [(math.log(result.size), math.log(result.figure)) for result in results]
    found = statistics.linear_regression(*zip(*points, strict=True)).slope
    return round(-found if is_rate else found, 3)


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def start_peak() -> None:
    """Forget this process's peak of resident memory, where the kernel lets us (Linux)."""
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        pass


def peak_mb() -> float:
    """The peak of resident memory since `start_peak`, else of the process's whole life."""
    try:
        for line in (_PROC / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
