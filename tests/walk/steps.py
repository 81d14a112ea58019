"""The walk as the scheduler and an operator do it: import, rate, post, draft, approve, issue, render."""

import io
from datetime import UTC, datetime

from billing.accounts import directory
from billing.invoicing import drafts, issue
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.metering import imports
from billing.metering.imports import ImportCounts
from billing.storage.database import Database

NOW = datetime(2017, 2, 3, 9, 30, tzinfo=UTC)
OPERATOR = "usr_operator"


def context(database: Database, now: datetime = NOW) -> JobContext:
    """What a step of the timetable is given."""
    return JobContext(database=database, providers={}, now=now)


def take_in(database: Database, content: bytes, *, now: datetime = NOW) -> ImportCounts:
    """Import a log whose accounts may not exist yet."""
    return imports.import_file(
        database, io.BytesIO(content), source="slurm-sacct", actor="test", now=now, create_accounts=True
    )


def rate_and_post(database: Database, *, now: datetime = NOW) -> tuple[int, int]:
    """Both stages for all accounts; how many usage records were rated and how many lines were posted."""
    return steps.rate(context(database, now)), steps.post(context(database, now))


def account_ids(database: Database) -> dict[str, str]:
    """Code -> id of every tenant's billing account."""
    with database.reading("jobs") as session:
        return {account.code: account.id for account in directory.list_accounts(session)}


def draft_all(database: Database, month: str, *, now: datetime = NOW) -> dict[str, str]:
    """Draft the month's invoice of every account, in the order of their codes; account code -> draft."""
    found: dict[str, str] = {}
    for code, account_id in sorted(account_ids(database).items()):
        with database.transaction("jobs") as session:
            draft_id = drafts.generate(session, now=now, period_label=month, account_id=account_id)
        if draft_id is not None:
            found[code] = draft_id
    return found


def issue_all(database: Database, made: dict[str, str], *, now: datetime = NOW) -> dict[str, str]:
    """Approve and issue the drafts in the order of their accounts' codes; account code -> number."""
    numbers: dict[str, str] = {}
    for code, draft_id in sorted(made.items()):
        with database.transaction() as session:
            drafts.approve(session, now=now, draft_id=draft_id, actor=OPERATOR)
        with database.transaction() as session:
            number = issue.issue(session, now=now, draft_id=draft_id, actor=OPERATOR).number
        assert number is not None
        numbers[code] = number
    return numbers
