"""The walk as one function that can be killed anywhere and run again; as a program, it kills itself at a chosen commit.

python -m tests.walk.victim LOG WEB_URL JOBS_URL COMMIT before|after
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from billing.rating import postings, rater
from billing.storage.database import Database, DatabaseUrls, Role
from tests.walk import raw_log, steps

_LINES_A_FILE = 40
_RECORDS_A_BATCH = 30


class MortalDatabase(Database):
    """Counts its commits, and dies just before or just after one of them. `die_at` 0 never comes."""

    def __init__(self, urls: DatabaseUrls, *, die_at: int = 0, is_before: bool = False) -> None:
        super().__init__(urls)
        self.commits = 0
        self._die_at, self._is_before = die_at, is_before

    @contextmanager
    def transaction(self, role: Role = "web") -> Iterator[Session]:
        """As the real one, which does all the work."""
        with super().transaction(role) as session:
            yield session
            session.flush()  # everything has been sent, nothing is committed
            self.commits += 1
            self._die(self._is_before)
        self._die(not self._is_before)

    def _die(self, is_here: bool) -> None:
        if is_here and self.commits == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def walk(database: Database, lines: list[str]) -> None:
    """Import, rate, post, draft, approve, issue, in many small transactions. Repeating it goes on where it stopped."""
    for first in range(0, len(lines), _LINES_A_FILE):
        steps.take_in(database, "".join(f"{line}\n" for line in lines[first : first + _LINES_A_FILE]).encode())
    for _, account_id in sorted(steps.account_ids(database).items()):
        while True:
            with database.transaction("jobs") as session:
                count = rater.rate_account(session, now=steps.NOW, account_id=account_id, limit=_RECORDS_A_BATCH)
            with database.transaction("jobs") as session:
                postings.post_account(
                    session, now=steps.NOW, account_id=account_id, lines_per_run=_RECORDS_A_BATCH // 2
                )
            if count < _RECORDS_A_BATCH:
                break
    for month in raw_log.MONTHS:
        steps.issue_all(database, steps.draft_all(database, month))


def main() -> None:
    """Walk until death."""
    log, web, jobs, die_at, side = sys.argv[1:]
    database = MortalDatabase(DatabaseUrls(web=web, jobs=jobs), die_at=int(die_at), is_before=side == "before")
    walk(database, Path(log).read_text().splitlines())


if __name__ == "__main__":
    main()
