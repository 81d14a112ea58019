"""What one run of pytest shares, however many workers it has: a scratch directory, and the rule that CI skips nothing.

Loaded by name from pyproject.toml, so that it also holds for the browser stories in e2e/.
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import postgres

RUN_DIR_VARIABLE = "PLUMBLINE_TEST_RUN_DIR"

_MEMORY_NEEDED_BYTES = 2 * 1024**3
# New objects before Python looks for garbage among them: at its own 700 a sixth of all work was looking.
_COLLECT_AFTER = (20_000, 20, 50)

_skipped: list[str] = []

# A slow machine is no defect. On the build server the examples are the same in every run, so that a red one can be looked into.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)


def is_ci() -> bool:
    """Whether this is the build server, where a skipped test is a failed one."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def is_full_depth() -> bool:
    """Whether walks are walked whole and pages on both engines: PLUMBLINE_TEST_DEPTH=full, as the heavier tiers set it."""
    return os.environ.get("PLUMBLINE_TEST_DEPTH") == "full"


def run_dir() -> Path:
    """The scratch directory of this run; xdist's workers get the controller's through the environment."""
    return Path(os.environ[RUN_DIR_VARIABLE])


def _scratch_parent() -> str:
    """Memory where there is enough of it: copying a database is ten times as fast there as on a busy disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_NEEDED_BYTES:
        return str(memory)
    # A socket's path may have 107 bytes and stands in command lines: short and plain, whatever TMPDIR says.
    wanted = tempfile.gettempdir()
    return wanted if len(wanted) < 60 and wanted.replace("/", "").isalnum() else "/tmp"


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Make the scratch directory, in the process that started the run."""
    settings.load_profile("ci" if is_ci() else "local")
    gc.set_threshold(*_COLLECT_AFTER)
    if not _is_worker(config):
        made = tempfile.mkdtemp(prefix="plumbline-", dir=_scratch_parent())
        if os.geteuid() == 0:
            os.chmod(made, 0o711)  # the server runs as another user, who passes through
        (Path(made) / postgres.CONTROLLER_FILE).write_text(str(os.getpid()))
        os.environ[RUN_DIR_VARIABLE] = made
        os.environ.setdefault("PLUMBLINE_MAIL", "off")  # processes that tests start write no mails into the checkout


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays to the end: there is no garbage in it to look for."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the run started, and leave nothing behind."""
    if not _is_worker(config):
        postgres.stop(run_dir())
        shutil.rmtree(run_dir(), ignore_errors=True)


def _note_skip(nodeid: str, longrepr: object) -> None:
    reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    _skipped.append(f"{nodeid}: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember each skipped test; an expected failure is not one."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _note_skip(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember each module that was skipped as a whole."""
    if report.skipped:
        _note_skip(report.nodeid, report.longrepr)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a run with a skipped test has failed."""
    if is_ci() and _skipped and not _is_worker(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped and must not have been."""
    if is_ci() and _skipped:
        terminalreporter.section("skipped under CI, which counts as failed", red=True)
        for line in _skipped:
            terminalreporter.line(line)
