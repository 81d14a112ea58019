"""One server and one browser for all stories; each story has contexts of its own and must leave a calm console."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from e2e import server
from e2e.server import Server
from e2e.visitor import Visitor
from tests import databases
from tests.session import run_dir
from tests.walk import raw_log

ROOT = Path(__file__).resolve().parent.parent
NewVisitor = Callable[..., Visitor]

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, which calls nobody by itself."""
    arguments = [
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return {
        **browser_type_launch_args,
        "executable_path": os.environ.get("PLUMBLINE_CHROMIUM", "/usr/bin/chromium"),
        "args": arguments,
    }


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The shared real input, as for the other tests."""
    path = Path(os.environ.get("PLUMBLINE_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (path / "MANIFEST.csv").exists():
        pytest.skip(f"the shared data is absent: PLUMBLINE_DATA={path}")
    return path


@pytest.fixture(scope="session")
def jobs(data_dir: Path) -> list[raw_log.Job]:
    """The real log as the tests themselves read it."""
    return raw_log.read_jobs(data_dir)


@pytest.fixture(scope="session")
def portal(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`plumbline run` on SQLite with the real log, billed."""
    with databases.fresh("sqlite", run_dir()) as urls:
        with databases.opened(urls) as database:
            server.fill(database, data_dir)
        log = tmp_path_factory.mktemp("portal") / "server.log"
        with server.running(urls, log) as started:
            yield started
        said = [line for line in log.read_text().splitlines() if '"level": "error"' in line or "Traceback" in line]
        assert not said, "\n".join(said)


@pytest.fixture
def new_visitor(browser: Browser, portal: Server) -> Iterator[NewVisitor]:
    """`new_visitor(has_script=False, ...)`: a fresh browser context; afterwards each must have stayed calm."""
    made: list[Visitor] = []
    contexts = []

    def make(*, has_script: bool = True, **settings: Any) -> Visitor:
        settings.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(java_script_enabled=has_script, accept_downloads=True, **settings)
        context.set_default_timeout(15_000)
        contexts.append(context)
        made.append(Visitor(context, portal.base_url, has_script=has_script))
        return made[-1]

    yield make
    for context in contexts:
        context.close()
    for visitor in made:
        visitor.assert_calm()
