"""The floors of coverage: for each room of billing, lines and branches, by environment. There is no total that a bad room hides in.

Usable alone on any coverage file:
    python -m tests.confidence.floors artifacts/billing-confidence/RUN/coverage.json --environment ci
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("floors.toml")
ENVIRONMENTS = ("local", "ci", "release")


@dataclass(frozen=True, kw_only=True)
class Covered:
    """How much of one room ran: whole numbers of lines and branches, and how many there are."""

    lines: int
    lines_of: int
    branches: int
    branches_of: int

    @property
    def line_percent(self) -> float:
        """Lines that ran, in percent; a room without lines is covered."""
        return 100 * self.lines / self.lines_of if self.lines_of else 100.0

    @property
    def branch_percent(self) -> float:
        """Branches that were taken, in percent."""
        return 100 * self.branches / self.branches_of if self.branches_of else 100.0


Floors = dict[str, dict[str, dict[str, float]]]
"""{environment: {room: {"line": percent, "branch": percent}}}"""


def read_floors(text: str) -> Floors:
    """The floors of a `floors.toml`. Raises ValueError for an unknown environment or a floor that is no percentage."""
    floors: Floors = tomllib.loads(text)
    for environment, rooms in floors.items():
        if environment not in ENVIRONMENTS:
            raise ValueError(f"floors.toml: there is no environment {environment}; there are {', '.join(ENVIRONMENTS)}")
        for room, floor in rooms.items():
            if set(floor) != {"line", "branch"} or not all(0 <= value <= 100 for value in floor.values()):
                raise ValueError(f"floors.toml: {environment}.{room} must give line and branch, each from 0 to 100")
    return floors


def by_room(coverage: dict[str, Any]) -> dict[str, Covered]:
    """Room of billing -> what ran of it, from a `coverage json` document."""
    sums: dict[str, list[int]] = {}
    for name, entry in coverage["files"].items():
        parts = Path(name).parts
        if parts[0] != "billing" or len(parts) < 3:
            continue
        of = entry["summary"]
        counts = (of["covered_lines"], of["num_statements"], of["covered_branches"], of["num_branches"])
        known = sums.setdefault(parts[1], [0, 0, 0, 0])
        sums[parts[1]] = [a + b for a, b in zip(known, counts, strict=True)]
    return {room: Covered(lines=a, lines_of=b, branches=c, branches_of=d) for room, (a, b, c, d) in sums.items()}


def shortfalls(covered: dict[str, Covered], floors: dict[str, dict[str, float]]) -> Iterator[str]:
    """Each room that lies below its floor, has none, or was not measured; one sentence each."""
    for room in sorted(covered.keys() - floors.keys()):
        yield f"{room} has no floor: add it to tests/confidence/floors.toml"
    for room, floor in sorted(floors.items()):
        found = covered.get(room)
        if found is None:
            yield f"{room} was not measured"
            continue
        for kind, percent in (("line", found.line_percent), ("branch", found.branch_percent)):
            if percent < floor[kind]:
                yield f"{room}: {kind} coverage is {percent:.2f} %, its floor is {floor[kind]:.2f} %"


def fallen(before: Floors, now: Floors) -> Iterator[str]:
    """Each floor that is lower than it was, or gone while its room is still there."""
    for environment, rooms in before.items():
        for room, floor in rooms.items():
            if not (ROOT / "billing" / room).is_dir():
                continue
            for kind, value in floor.items():
                present = now.get(environment, {}).get(room, {}).get(kind)
                if present is None or present < value:
                    yield f"{environment}.{room}: the {kind} floor fell from {value} to {present}"


def earlier_floors() -> list[Floors]:
    """Every version of the floors that the history holds, newest first; none where there is no history."""
    name = FILE.relative_to(ROOT).as_posix()
    log = subprocess.run(
        ["git", "log", "--format=%H", "--", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = []
    for commit in log.stdout.split():
        shown = subprocess.run(
            ["git", "show", f"{commit}:{name}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            found.append(read_floors(shown.stdout))
    return found


def table(covered: dict[str, Covered], floors: dict[str, dict[str, float]]) -> str:
    """What was covered beside its floor, a line a room."""
    lines = [f"{'room':<12} {'lines':>8} {'floor':>7}  {'branches':>8} {'floor':>7}"]
    for room, found in sorted(covered.items()):
        floor = floors.get(room, {"line": 0.0, "branch": 0.0})
        lines.append(
            f"{room:<12} {found.line_percent:8.2f} {floor['line']:7.2f}  {found.branch_percent:8.2f} {floor['branch']:7.2f}"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Check a coverage file; 0 when every room stands above its floor, 1 when one does not, 2 for a file that is none."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.confidence.floors", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("coverage", type=Path, help="a file made by `coverage json`")
    parser.add_argument("--environment", choices=ENVIRONMENTS, default="ci")
    asked = parser.parse_args(arguments)
    try:
        covered = by_room(json.loads(asked.coverage.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{asked.coverage} is not a coverage file in JSON with branches: {error}\n")
        return 2
    floors = read_floors(FILE.read_text())
    found = [*shortfalls(covered, floors.get(asked.environment, {}))]
    found += [sentence for before in earlier_floors() for sentence in fallen(before, floors)]
    sys.stdout.write(table(covered, floors.get(asked.environment, {})) + "\n")
    for sentence in dict.fromkeys(found):
        sys.stderr.write(sentence + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
