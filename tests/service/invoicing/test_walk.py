"""The real log, from the file to issued invoices: each figure worked out here from raw text with Fraction, without our code."""

import gzip
from collections import defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.accounts import directory
from billing.invoicing import drafts, invoices, issue
from billing.invoicing.documents import render
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.ledger.tables import LedgerEntry
from billing.metering import imports
from billing.storage.database import Database
from tests.service.invoicing import world

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_BORDERS = {
    "2016-12": (datetime(2016, 12, 1, tzinfo=UTC), datetime(2017, 1, 1, tzinfo=UTC)),
    "2017-01": (datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 2, 1, tzinfo=UTC)),
}
_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_PRICES = {"CPU time": Fraction(50), "Memory": Fraction(10)}  # cents an hour, as the default price book prints them


def _expected(log: Path) -> dict[tuple[str, str], dict[str, int]]:
    """{(account, month): {line: cents}} from the raw fields: cores and GiB held, times hours in the month, times the price."""
    hours: defaultdict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    with gzip.open(log, "rt") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("|")
            account, start, end, cores, alloctres = fields[5], fields[12], fields[13], int(fields[18]), fields[22]
            start_at, end_at = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
            held = dict(part.split("=", 1) for part in alloctres.split(",") if part)
            gib = Fraction(held["mem"][:-1]) * _BYTES[held["mem"][-1]] / 2**30 if "mem" in held else Fraction(0)
            for month, (first, last) in _BORDERS.items():
                seconds = int((min(end_at, last) - max(start_at, first)).total_seconds())
                if seconds > 0:
                    hours[account, month, "CPU time"] += Fraction(cores * seconds, 3600)
                    hours[account, month, "Memory"] += gib * seconds / 3600
    cents: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for (account, month, sku), quantity in hours.items():
        if quantity:
            exact = quantity * _PRICES[sku]
            cents[account, month][sku] = int(exact + Fraction(1, 2))
    return dict(cents)


@pytest.mark.slow
def test_each_invoice_of_the_real_log_is_what_the_raw_log_and_the_printed_prices_give(
    database: Database, data_dir: Path
) -> None:
    log = data_dir / "slurm" / "pozidriv.log.gz"
    with log.open("rb") as stream:
        counts = imports.import_file(
            database, stream, source="slurm-sacct", actor="cli:test", now=NOW, create_accounts=True
        )
    assert counts.accepted == 11_704
    job = JobContext(database=database, providers={}, now=NOW)
    with database.reading("jobs") as session:
        accounts = {account.code: account.id for account in directory.list_accounts(session)}
    for month in _BORDERS:
        for account_id in accounts.values():
            with database.transaction("jobs") as session:
                steps.generate_draft(session, job, account_id, month)

    numbers = []
    for month in _BORDERS:
        with database.reading() as session:
            waiting = invoices.list_invoices(session, now=NOW, period_label=month, sort="account")
        for row in waiting:
            with database.transaction() as session:
                drafts.approve(session, now=NOW, draft_id=row.id, actor="usr_ann")
                numbers.append(issue.issue(session, now=NOW, draft_id=row.id, actor="usr_ann").number)

    expected = _expected(log)
    assert len(expected) == 12
    assert numbers == [f"INV-2026-{n:06d}" for n in range(1, 13)]
    with database.reading() as session:
        rows = invoices.list_invoices(session, now=NOW)
        found = {}
        for row in rows:
            detail = invoices.get_invoice(session, now=NOW, key=row.id)
            document = detail.document
            lines = {line.description: line.amount_minor for line in document.lines}
            assert len(lines) == len(document.lines)
            found[row.account, str(row.period)] = lines
            assert row.net_minor == document.net_minor == sum(lines.values())
            assert row.tax_minor == int(Fraction(row.net_minor * 23, 100) + Fraction(1, 2))  # Ireland to Ireland, 23 %
            assert row.total_minor == row.due_minor == row.net_minor + row.tax_minor
            issued = session.execute(
                select(LedgerEntry.kind, func.sum(LedgerEntry.amount_minor))
                .where(LedgerEntry.transaction_id == detail.transaction_id)
                .group_by(LedgerEntry.kind)
            ).all()
            assert {kind: int(amount) for kind, amount in issued} == {
                "invoice_issue": row.net_minor,
                "tax": row.tax_minor,
            }
    assert found == expected
    for code, account_id in accounts.items():
        balance = world.balance(database, account_id)
        assert (balance.unbilled_minor, balance.wallet_minor) == (0, 0)
        assert balance.receivable_minor == -sum(row.total_minor for row in rows if row.account == code)
    assert render.render_pending(database, now=NOW, limit=2) == 2
