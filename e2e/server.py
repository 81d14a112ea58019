"""The real server on a database of its own: the real log imported and billed, people who may sign in, `plumbline run` in front."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from billing.accounts import directory, users
from billing.controls import budgets
from billing.kernel.money import Money
from billing.storage.database import Database, DatabaseUrls
from tests import keys
from tests.walk import raw_log, steps

PASSWORD = "correct horse battery staple"
OWNER, VIEWER, APPROVER = "ada@calla.example", "vic@calla.example", "otto@ops.example"
TENANT = "calla"
_SECRET = "only-for-the-browser-stories"
_START_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A portal that answers at `base_url`, and the database behind it."""

    base_url: str
    database: Database


@contextmanager
def running(urls: DatabaseUrls, log_file: Path) -> Iterator[Server]:
    """`plumbline run` as its own process, with its scheduler thread, until the block ends."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log_file.parent),
        "LANG": "C.UTF-8",
        "DATABASE_URL": urls.web,
        "PLUMBLINE_SIGNING_KEY_FILE": str(keys.fresh()),
        "PLUMBLINE_SECRET_KEY": _SECRET,
    }
    command = [str(Path(sys.executable).with_name("plumbline")), "run", "--port", str(port)]
    database = Database(urls)
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=log_file.parent, stdout=log, stderr=log)
        try:
            _wait_until_ready(base_url, process, log_file)
            yield Server(base_url=base_url, database=database)
        finally:
            process.terminate()
            process.wait(timeout=40)
            database.dispose()


def fill(database: Database, data_dir: Path) -> None:
    """The real log imported, rated, posted; December and January issued; people, and a budget that the usage has crossed."""
    now = datetime.now(UTC)
    steps.take_in(database, (data_dir / raw_log.LOG).read_bytes(), now=now)
    steps.rate_and_post(database, now=now)
    for month in raw_log.MONTHS:
        steps.issue_all(database, steps.draft_all(database, month, now=now), now=now)
    with database.transaction("jobs") as session:
        account = directory.get_account_by_code(session, TENANT)
        for login, role in ((OWNER, "owner"), (VIEWER, "viewer")):
            person = users.create_user(
                session, now=now, login=login, name=login.split("@")[0].title(), password=PASSWORD
            )
            users.grant_membership(session, now=now, user_id=person.id, tenant_id=str(account.tenant_id), role=role)
        users.create_user(session, now=now, login=APPROVER, name="Otto", password=PASSWORD, staff_role="approver")
        budgets.create(
            session,
            now=now,
            account_id=account.id,
            name="Compute",
            amount=Money(minor=1_000_000, currency="USD"),
            thresholds_percent=[50, 80, 100],
            actor=OWNER,
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(base_url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{base_url}/readyz", timeout=5) as answer:  # noqa: S310  our own
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the portal did not become ready:\n{log_file.read_text()}")
