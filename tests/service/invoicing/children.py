"""What child processes of the tests do: issue an invoice and die before the commit."""

import os
import signal

from billing.invoicing import issue
from billing.storage.database import Database, DatabaseUrls
from tests.service.invoicing.world import NOW


def issue_and_be_killed(urls: DatabaseUrls, draft_id: str, report: str) -> None:
    """Issue inside a transaction, say which number it took, and be killed while the number's row is still locked."""
    with Database(urls).transaction() as session:
        header = issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
        with open(report, "w") as file:
            file.write(str(header.number))
        os.kill(os.getpid(), signal.SIGKILL)
