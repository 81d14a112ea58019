"""Run one tier: `make confidence TIER=pr-fast RUN_ID=my-run`. Everything it proves lies under artifacts/billing-confidence/RUN_ID/.

A stage that fails does not hide those after it. The run succeeds when every stage did, every room stands above its floors, and
everything that was promised is there.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.confidence import evidence, floors
from tests.confidence.tiers import TIERS, Stage, Tier

ROOT = floors.ROOT
RUNS = ROOT / "artifacts" / "billing-confidence"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def main(arguments: list[str]) -> int:
    """Run the tier that is asked for; 0 when all of it holds, 1 when something does not, 2 when it was not asked rightly."""
    parser = argparse.ArgumentParser(prog="python -m tests.confidence.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("run_id")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the folders of runs lie")
    asked = parser.parse_args(arguments)
    if not _RUN_ID.fullmatch(asked.run_id):
        parser.error("RUN_ID takes letters, digits, points, underscores and dashes, at most 64")
    run = asked.runs / asked.run_id
    if run.exists():
        parser.error(
            f"there is a run of that name: evidence is not overwritten; take another RUN_ID or remove {run.name}"
        )
    return 0 if _run(TIERS[asked.tier], run) else 1


def _run(tier: Tier, run: Path) -> bool:
    for name in ("junit", "logs", "evidence", "coverage"):
        (run / name).mkdir(parents=True)
    started = datetime.now(UTC)
    stages = [_run_stage(stage, run) for stage in tier.stages]
    promised = [name.replace("{run}/", "") for stage in tier.stages for name in stage.artifacts]
    shortfalls: list[str] = []
    if any(stage.counts_coverage for stage in tier.stages):
        promised += ["coverage.json", "coverage.xml", "floors.txt"]
        shortfalls = _hold_to_floors(tier, run)
    lacking = list(evidence.missing(run, promised))
    holds = all(stage["exit"] == 0 for stage in stages) and not shortfalls and not lacking
    facts = {
        "run_id": run.name,
        "tier": tier.name,
        "environment": tier.environment,
        "holds": holds,
        "started_at": started.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
        "commit": _git("rev-parse", "HEAD"),
        "is_clean": _git("status", "--porcelain") == "",
        "python": platform.python_version(),
        "stages": stages,
        "shortfalls": shortfalls,
        "missing": lacking,
    }
    evidence.write(run, facts, promised)
    _say(tier, facts)
    return holds


def _run_stage(stage: Stage, run: Path) -> dict[str, Any]:
    words = [word.replace("{run}", str(run)) for word in stage.words]
    environ = {**os.environ, **{name: value.replace("{run}", str(run)) for name, value in stage.environ.items()}}
    if stage.counts_coverage:
        words += ["--cov", "--cov-report="]
        environ["COVERAGE_FILE"] = str(run / "coverage" / f"data-{stage.name}")
    log = run / "logs" / f"{stage.name}.log"
    sys.stdout.write(f"confidence: {stage.name} ...\n")
    sys.stdout.flush()
    begun = time.monotonic()
    with log.open("w") as out:
        ended = subprocess.run(words, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT, check=False)
    seconds = round(time.monotonic() - begun)
    sys.stdout.write(f"confidence: {stage.name} {'holds' if ended.returncode == 0 else 'FAILED'} ({seconds} s)\n")
    if ended.returncode != 0:
        sys.stdout.write("".join(log.read_text(errors="replace").splitlines(keepends=True)[-40:]))
    return {"name": stage.name, "words": list(stage.words), "exit": ended.returncode, "seconds": seconds}


def _hold_to_floors(tier: Tier, run: Path) -> list[str]:
    """Combine what the stages measured, keep it as JSON and XML, and compare each room with its floor."""
    data = run / "coverage" / "combined"
    environ = {**os.environ, "COVERAGE_FILE": str(data)}
    parts = [str(path) for path in sorted((run / "coverage").iterdir())]
    for words in (
        ["coverage", "combine", "--keep", *parts],
        ["coverage", "json", "--quiet", "-o", str(run / "coverage.json")],
        ["coverage", "xml", "--quiet", "-o", str(run / "coverage.xml")],
    ):
        done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [f"{' '.join(words[:2])} failed: {(done.stderr or done.stdout).strip()[-300:]}"]
    shutil.rmtree(run / "coverage")  # the raw data say nothing more
    held = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.confidence.floors",
            str(run / "coverage.json"),
            "--environment",
            tier.environment,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    (run / "floors.txt").write_text(held.stdout)
    return [line for line in held.stderr.splitlines() if line] if held.returncode else []


def _say(tier: Tier, facts: dict[str, Any]) -> None:
    for sentence in (*facts["shortfalls"], *facts["missing"]):
        sys.stdout.write(f"confidence: {sentence}\n")
    verdict = "holds" if facts["holds"] else "does NOT hold"
    sys.stdout.write(f"confidence: {tier.name} {verdict}: artifacts/billing-confidence/{facts['run_id']}/index.json\n")


def _git(*words: str) -> str | None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
