"""Verification of the chain (Law 4): everything a hash covers is hashed again, from usage and prices up to the last transaction."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, BillingAccount
from billing.assurance import quick_scan, report, streams
from billing.assurance.checks import chains, lines, postings, prices, roots, usage
from billing.assurance.report import Report, Tally
from billing.ledger.tables import LedgerMemo, LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating.tables import RatedLine
from billing.storage import tenancy
from billing.storage.database import Database, DatabaseUrls

_ANCHOR = "anchor"
_OWNED = (LedgerTransaction, UsageRecord, RatedLine)
_FEW = 20_000  # rows under which a second process costs more than it saves


def verify_chain(
    session: Session, account_id: str | None = None, progress: Callable[[int, int | None], None] | None = None
) -> Report:
    """Verify one account's chain, or all of them; the report names the first broken row and those after it.

    Looks at every transaction and entry, and at what they anchor: rated lines, the usage records and the prices under them; and at
    the roots that were signed over the chains. `progress` is told the checks done and how many there are.
    """
    of_account: tuple[tuple[Callable[..., None], str], ...] = (
        (chains.check, chains.NAME),
        (_check_anchors, _ANCHOR),
        (lines.check, lines.NAME),
        (usage.check, usage.NAME),
    )
    of_all = ((prices.check, prices.NAME), (roots.check, roots.NAME))
    tallies: list[Tally] = []
    for check, name in (*of_account, *of_all):
        if progress is not None:
            progress(len(tallies), len(of_account) + len(of_all))
        arguments = (account_id,) if (check, name) in of_account else ()
        tallies.append(report.carry_out(check, name, session, *arguments))
    return report.of(tallies)


def verify_roots(session: Session, folder: Path | None = None) -> Report:
    """Verify the signed roots alone: against the chains and, with `folder`, against their files."""
    return report.of([report.carry_out(roots.check, roots.NAME, session, folder)])


def verify_database(database: Database, *, processes: int = 2) -> Report:
    """Verify all chains as `verify_chain` does, split by account over processes; memory stays flat.

    Each account is read in one snapshot of its own. The first differences are those of the accounts' chains, in order of account.
    This process's idle connections are closed: another process must not inherit them.
    """
    with database.reading("jobs") as session:
        weighed = session.execute(
            select(BillingAccount.id, AccountHead.usage_seq + AccountHead.line_seq + AccountHead.chain_seq).outerjoin(
                AccountHead, AccountHead.billing_account_id == BillingAccount.id
            )
        ).all()
    parts = _parts([(account_id, rows or 0) for account_id, rows in weighed], processes)
    if len(parts) == 1:
        by_account = _verify_accounts(database.urls, parts[0])
    else:
        database.dispose()
        # A process of one thread can be copied in a moment; a copy of several threads could inherit a lock that nobody gives back.
        method = "fork" if threading.active_count() == 1 else "spawn"
        with ProcessPoolExecutor(len(parts) - 1, multiprocessing.get_context(method)) as pool:
            waiting = [pool.submit(_verify_accounts, database.urls, part) for part in parts[1:]]
            by_account = _verify_accounts(database.urls, parts[0])
            for each in waiting:
                by_account |= each.result()
    tallies = [tally for account_id in sorted(by_account) for tally in by_account[account_id]]
    with database.reading("jobs") as session:
        tallies.append(report.carry_out(_check_strays, chains.NAME, session))
        tallies.append(report.carry_out(prices.check, prices.NAME, session))
        tallies.append(report.carry_out(roots.check, roots.NAME, session))
    return report.of(sorted(tallies, key=lambda tally: tally.check != chains.NAME))


def _verify_accounts(urls: DatabaseUrls, account_ids: list[str]) -> dict[str, list[Tally]]:
    database = Database(urls)
    try:
        with tenancy.scope(tenancy.EVERYTHING):
            return {account_id: _verify_account(database, account_id) for account_id in account_ids}
    finally:
        database.dispose()


def _verify_account(database: Database, account_id: str) -> list[Tally]:
    with database.reading("jobs") as session:
        tallies = [report.carry_out(chains.check, chains.NAME, session, account_id)]
        proven = _scan(session, account_id)
        if proven is not None:
            return [*tallies, *proven]
        return [
            *tallies,
            report.carry_out(_check_anchors, _ANCHOR, session, account_id),
            report.carry_out(lines.check, lines.NAME, session, account_id),
            report.carry_out(usage.check, usage.NAME, session, account_id),
        ]


def _scan(session: Session, account_id: str) -> list[Tally] | None:
    """The tallies of an account whose every row is proven; None where the checks must say what is wrong."""
    try:
        proven = quick_scan.prove(session, account_id)
    except (*report.UNREADABLE, AttributeError):
        return None
    if proven is None:
        return None
    return [
        Tally(check=_ANCHOR, looked=proven.postings),
        Tally(check=lines.NAME, looked=proven.lines),
        Tally(check=usage.NAME, looked=proven.usage),
    ]


def _check_anchors(session: Session, tally: Tally, account_id: str | None) -> None:
    for each in streams.account_ids(session, account_id):
        postings.check_anchors(session, tally, each)


def _check_strays(session: Session, tally: Tally) -> None:
    """Rows that belong to no account were looked at by nobody."""
    for table in _OWNED:
        owned = exists().where(BillingAccount.id == table.billing_account_id)
        strays = report.count(session, select(func.count()).select_from(table).where(~owned))
        if strays:
            tally.differ(table.__tablename__, f"{strays} rows belong to no billing account")
    told = exists().where(LedgerTransaction.id == LedgerMemo.transaction_id)
    for transaction_id in session.scalars(select(LedgerMemo.transaction_id).where(~told).limit(100)):
        tally.differ(transaction_id, "has a memo, and there is no such transaction")


def _parts(weighed: list[tuple[str, int]], processes: int) -> list[list[str]]:
    """The accounts in as many parts of about the same weight; one part where there is little to do."""
    if processes < 2 or sum(weight for _, weight in weighed) < _FEW:
        return [sorted(account_id for account_id, _ in weighed)]
    parts: list[list[str]] = [[] for _ in range(processes)]
    weights = [0] * processes
    for account_id, weight in sorted(weighed, key=lambda each: (-each[1], each[0])):
        lightest = weights.index(min(weights))
        parts[lightest].append(account_id)
        weights[lightest] += weight
    return [part for part in parts if part] or [[]]
