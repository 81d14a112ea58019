"""What each confidence tier runs, as data (QA1). A tier is a list of stages; each leaves what it proves among the run's artifacts."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command of a tier. `{run}` in its words and artifacts is the run's folder.

    `artifacts` must exist and not be empty afterwards; a JUnit file must also name tests that ran. `counts_coverage` puts the
    stage's lines and branches into the run's coverage.
    """

    name: str
    words: tuple[str, ...]
    artifacts: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    counts_coverage: bool = False


@dataclass(frozen=True, kw_only=True)
class Tier:
    """`environment` names the floors that the run's coverage must meet (`floors.toml`)."""

    name: str
    says: str
    environment: str
    stages: tuple[Stage, ...]


def _pytest(name: str, *words: str, counts_coverage: bool = True, **environ: str) -> Stage:
    return Stage(
        name=name,
        words=("pytest", *words, f"--junitxml={{run}}/junit/{name}.xml"),
        artifacts=(f"{{run}}/junit/{name}.xml",),
        environ=environ,
        counts_coverage=counts_coverage,
    )


_PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
_CHECK = Stage(name="check", words=("scripts/check.sh",), artifacts=("{run}/logs/check.log",))
_WORKFLOWS = Stage(
    name="workflows",
    words=("pytest", "tests/confidence/test_workflows.py", "--junitxml={run}/junit/workflows.xml"),
    artifacts=("{run}/junit/workflows.xml", "{run}/evidence/workflows.json"),
    environ={"PLUMBLINE_EVIDENCE_DIR": "{run}/evidence"},
)
_BOTH = _pytest("tests", "tests", *_PARALLEL, PLUMBLINE_TEST_DEPTH="full")
_E2E = _pytest("e2e", "e2e", counts_coverage=False)
_MEDIUM = _pytest("merge-medium", "tests", "-m", "merge_medium", *_PARALLEL, counts_coverage=False)
_HEAVY = _pytest(
    "release-heavy",
    "tests",
    "-m",
    "release_heavy",
    *_PARALLEL,
    counts_coverage=False,
    PLUMBLINE_CONFIDENCE="release-heavy",
)
_BENCH = Stage(
    name="bench",
    words=("plumbline", "bench"),
    artifacts=("{run}/logs/bench.log",),
)

TIERS = {
    tier.name: tier
    for tier in (
        Tier(
            name="pr-fast",
            says="what every change is held to before somebody reads it: one engine, no browser",
            environment="local",
            stages=(
                _CHECK,
                _pytest(
                    "tests",
                    "tests/unit",
                    "tests/service",
                    "tests/web",
                    "tests/confidence/test_workflows.py",
                    *_PARALLEL,
                    PLUMBLINE_TEST_ENGINES="sqlite",
                ),
                _WORKFLOWS,
            ),
        ),
        Tier(
            name="merge-medium",
            says="what the main branch is held to: both engines, the browser, the peers checked from outside",
            environment="ci",
            stages=(_CHECK, _BOTH, _E2E, _MEDIUM, _WORKFLOWS),
        ),
        Tier(
            name="release-heavy",
            says="what a release is held to: all of that, the great numbers of the money laws, and the measured ratios",
            environment="release",
            stages=(_CHECK, _BOTH, _E2E, _MEDIUM, _HEAVY, _WORKFLOWS, _BENCH),
        ),
    )
}
