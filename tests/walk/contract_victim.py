"""The way of a commitment and of a plan's charges, one small transaction after the other: sold, drawn down, closed, lapsed. It can be
killed anywhere and run again; as a program, it kills itself at a chosen commit.

python -m tests.walk.contract_victim WEB_URL JOBS_URL COMMIT before|after
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import exists, select

from billing.accounts import directory
from billing.catalog import commitments
from billing.invoicing import contracts, drafts, issue, sales
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.metering.tables import UsageRecord
from billing.rating import closing, opening, postings, rater
from billing.storage.database import Database, DatabaseUrls, Session
from tests.service.invoicing import terms_world
from tests.service.invoicing.world import NOW
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use
from tests.walk.victim import MortalDatabase

OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
CODE, PERIOD = "calla", "2026-10"
Given = TypeVar("Given")


def walk(database: Database) -> None:
    """All of it for one account; repeating it goes on where it stopped."""
    account_id = _opened(database)
    contract_id = _act(database, lambda session: _contract(session, account_id))
    sale_id = _act(
        database, lambda session: sales.draft(session, now=OCTOBER, contract_id=contract_id, actor="usr_mia")
    )
    _approve_and_issue(database, sale_id, now=OCTOBER)
    if not _is_used(database):
        rating_world.use(database, account_id, Use(15_000))
    _act(database, lambda session: opening.open_periods(session, now=NOW, account_id=account_id))
    for step in (_rate_and_post, _close, _rate_and_post):
        step(database, account_id)
    draft_id = _act(database, lambda session: _draft(session, account_id))
    _approve_and_issue(database, draft_id, now=NOW)
    _act(database, lambda session: contracts.lapse(session, now=NOW, account_id=account_id))


def _act(database: Database, act: Callable[[Session], Given]) -> Given:
    with database.transaction("jobs") as session:
        return act(session)


def _opened(database: Database) -> str:
    """Its id, from one transaction: a plan with a fee of 25.00 and a minimum of 200.00, a query at 0.01."""
    with database.reading("jobs") as session:
        found = directory.find_account_by_code(session, CODE)
    if found is not None:
        return found.id
    return terms_world.open_on_plan(database, code=CODE, fee="25.00", minimum={"USD": "200.00"}, opened_at=OCTOBER)


def _contract(session: Session, account_id: str) -> str:
    made = commitments.create(
        session,
        now=OCTOBER,
        account_id=account_id,
        name="Queries",
        amount=Money(minor=18_000, currency="USD"),
        starts_at=OCTOBER,
        ends_at=NOVEMBER,
        families=("analytics",),
        actor="usr_mia",
    )
    return made.id


def _is_used(database: Database) -> bool:
    with database.reading("jobs") as session:
        return bool(
            session.execute(select(exists(select(UsageRecord.id).where(UsageRecord.source == "test")))).scalar()
        )


def _rate_and_post(database: Database, account_id: str) -> None:
    _act(database, lambda session: rater.rate_account(session, now=NOW, account_id=account_id, limit=100))
    _act(database, lambda session: postings.post_account(session, now=NOW, account_id=account_id))


def _close(database: Database, account_id: str) -> None:
    _act(database, lambda session: closing.close_periods(session, now=NOW, account_id=account_id))


def _draft(session: Session, account_id: str) -> str:
    """The month's document: the one there is, or a new draft."""
    known = select(InvoiceHeader.id).where(
        InvoiceHeader.billing_period_id.is_not(None), InvoiceHeader.kind == "invoice"
    )
    found = session.scalars(known).first()
    made = found or drafts.generate(session, now=NOW, period_label=PERIOD, account_id=account_id)
    assert made is not None
    return made


def _approve_and_issue(database: Database, draft_id: str, *, now: datetime) -> None:
    with database.reading("jobs") as session:
        state = session.get_one(InvoiceHeader, draft_id).state
    if state == "draft":
        _act(database, lambda session: drafts.approve(session, now=now, draft_id=draft_id, actor="usr_ann"))
    _act(database, lambda session: issue.issue(session, now=now, draft_id=draft_id, actor="usr_ann"))


def main() -> None:
    """Walk until death."""
    web, jobs, die_at, side = sys.argv[1:]
    walk(MortalDatabase(DatabaseUrls(web=web, jobs=jobs), die_at=int(die_at), is_before=side == "before"))


if __name__ == "__main__":
    main()
