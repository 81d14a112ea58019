"""Drafting, approving and issuing a month against one set-based statement that only copies the rows that come out."""

import time
from dataclasses import dataclass

from sqlalchemy import func, select

from billing.invoicing import drafts, issue
from billing.invoicing.tables import InvoiceHeader, InvoiceLine
from billing.rating.tables import Charge
from billing.storage.database import Database, owner_engine
from tests.bench import posting, twin, world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "invoice-run"
UNIT = "invoices/s"
GOAL = Goal(at_least=0.60)
SIZE = 100
LINES = 200
_TWINS = ("invoice_headers", "invoice_lines", "invoice_taxes", "charges")
_LABEL = "2026-09"
_ACTOR = "usr_bench"


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What a run must come to: invoices, lines, and the sum of their totals in minor units."""

    invoices: int
    lines: int
    total_minor: int


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Issue `size` invoices of 200 lines, one transaction each for drafting and for issuing; the limit copies their rows at once.

    Run at three sizes (`--sizes`) it shows what an invoice costs as accounts grow.
    """
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
        accounts = world.open_accounts(database, size)
        for account_id in accounts:
            world.add_charges(database, account_id, LINES)
        world.rate_all(database, accounts)
        posting.post_all(database, accounts)
    issued = scratch.copy(fresh)
    with scratch.opened(issued) as database:
        _issue_all(database, accounts)
        wanted = _made(database)
    require("invoices issued", wanted.invoices, size)
    owner = owner_engine(scratch.urls_of(issued))

    def limit() -> float:
        with owner.begin() as connection:
            twin.create(connection, _TWINS)
            twin.fill(connection, "charges")
        start = time.perf_counter()
        with owner.begin() as connection:
            twin.fill(connection, "invoice_headers")
            lines = twin.fill(connection, "invoice_lines")
            twin.fill(connection, "invoice_taxes")
            connection.exec_driver_sql(
                "UPDATE bench_charges SET draft_id = l.invoice_id FROM invoice_lines l WHERE l.charge_id = bench_charges.id"
            )
        elapsed_s = time.perf_counter() - start
        require("lines copied", lines, wanted.lines)
        return size / elapsed_s

    def figure() -> float:
        with scratch.copied(fresh) as database:
            start = time.perf_counter()
            _issue_all(database, accounts)
            elapsed_s = time.perf_counter() - start
            require("what was issued", _made(database), wanted)
        return size / elapsed_s

    try:
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=GOAL,
            limit=limit,
            figure=figure,
            rounds=rounds,
        )
    finally:
        owner.dispose()


def _issue_all(database: Database, accounts: list[str]) -> None:
    for account_id in accounts:
        with database.transaction("jobs") as session:
            draft_id = drafts.generate(session, now=world.NOW, period_label=_LABEL, account_id=account_id)
        if draft_id is None:
            continue
        with database.transaction("jobs") as session:
            drafts.approve(session, now=world.NOW, draft_id=draft_id, actor=_ACTOR)
            issue.issue(session, now=world.NOW, draft_id=draft_id, actor=_ACTOR)


def _made(database: Database) -> _Made:
    with database.reading("jobs") as session:
        headers, total = session.execute(
            select(func.count(), func.sum(InvoiceHeader.total_minor)).where(InvoiceHeader.state == "issued")
        ).one()
        lines = session.scalar(select(func.count()).select_from(InvoiceLine))
        charged = session.scalar(select(func.count()).select_from(Charge).where(Charge.draft_id.is_not(None)))
    require("charges on lines", charged, lines)
    return _Made(invoices=headers, lines=int(lines or 0), total_minor=int(total or 0))
