"""What child processes of the tests do: issue an invoice and die before the commit, draft and issue many until they are killed."""

import os
import signal

from billing.invoicing import issue
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.storage.database import Database, DatabaseUrls
from tests.service.invoicing.world import NOW


def issue_and_be_killed(urls: DatabaseUrls, draft_id: str, report: str) -> None:
    """Issue inside a transaction, say which number it took, and be killed while the number's row is still locked."""
    with Database(urls).transaction() as session:
        header = issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
        with open(report, "w") as file:
            file.write(str(header.number))
        os.kill(os.getpid(), signal.SIGKILL)


def work_off_batches(urls: DatabaseUrls, report: str) -> None:
    """What the scheduler does with decided batches, again and again, saying what it has done, until it is killed."""
    database = Database(urls)
    while True:
        done = steps.invoice_batches(JobContext(database=database, providers={}, now=NOW))
        with open(report, "a") as file:
            file.write(f"{done}\n")


def draft_all(urls: DatabaseUrls, report: str) -> None:
    """What the scheduler does with ended months, saying that it has begun, until it is killed."""
    database = Database(urls)
    with open(report, "a") as file:
        file.write("begun\n")
    while True:
        steps.invoices(JobContext(database=database, providers={}, now=NOW))
