"""What the peer is held against from outside: Stripe's OpenAPI and command line, fetched by npm for one run and never kept."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_FETCH_TIMEOUT_S = 300
Fetch = Callable[[str], Path]

_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def fetch(tmp_path_factory: pytest.TempPathFactory) -> Fetch:
    """The folder of an npm package, installed without running its scripts. Skips in one line without npm, which CI refuses."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is absent: the peer is not held against Stripe's own OpenAPI and command line")
    folder = tmp_path_factory.mktemp("npm")

    def install(package: str) -> Path:
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"npm could not fetch {package}: {done.stderr[-2000:]}"
        name, at, version = package.rpartition("@")
        found = folder / "node_modules" / (name if at and name else package)
        assert found.is_dir(), f"npm left no {found.name} {version}"
        return found

    return install


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which calls nobody by itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("PLUMBLINE_CHROMIUM", "/usr/bin/chromium"), args=list(_CHROMIUM)
        )
        yield browser
        browser.close()
