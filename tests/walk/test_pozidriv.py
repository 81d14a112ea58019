"""One real log walks the whole way on both engines; its invoices are computed again from the raw log without our code."""

import hashlib
import subprocess
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.assurance import reconciliation, replay, selfcheck, verification
from billing.invoicing import drafts, invoices, issue, settlement
from billing.invoicing.documents import render
from billing.invoicing.errors import NotADraft
from billing.invoicing.invoices import InvoiceDetail
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, InvoiceTax
from billing.jobs import steps as timetable_steps
from billing.kernel.money import Money
from billing.ledger import balances, book
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.metering import summaries
from billing.metering.imports import ImportCounts
from billing.metering.tables import Allocation, UsageRecord
from billing.rating.tables import Charge, Counter, Posting, RatedLine
from billing.storage.columns import Base
from billing.storage.database import Database
from tests.walk import raw_log, steps
from tests.walk.raw_log import Job

ALL = ImportCounts(read=11_704, accepted=11_704)
AGAIN = ImportCounts(read=11_704, duplicate=11_704)


@pytest.fixture(scope="session")
def jobs(data_dir: Path) -> list[Job]:
    """The log as the test itself reads it."""
    return raw_log.read_jobs(data_dir)


def test_invoices_are_the_raw_logs_hours_times_the_printed_price(
    database: Database, data_dir: Path, jobs: list[Job]
) -> None:
    _import_twice(database, data_dir, jobs)
    _rate_and_post(database)
    numbers = _bill(database)
    _assert_invoices(database, jobs, numbers)
    _assert_ledger(database, jobs)
    _assert_document(database, jobs, numbers)
    _assert_checks_look_at_every_row(database)
    _assert_second_time_changes_nothing(database, data_dir, numbers)
    _assert_stages_agree(database)


def _import_twice(database: Database, data_dir: Path, jobs: list[Job]) -> None:
    log = (data_dir / raw_log.LOG).read_bytes()
    assert steps.take_in(database, log) == ALL
    assert steps.take_in(database, log) == AGAIN
    assert set(steps.account_ids(database)) == set(raw_log.ACCOUNTS)
    with database.reading("jobs") as session:
        zero = select(func.count()).select_from(Allocation).where(Allocation.started_at == Allocation.ended_at)
        assert session.scalar(zero) == sum(job.seconds == 0 for job in jobs) == 1_031
        hours = summaries.summarize(session, by="year", meter_code="cpu_hour", per_account=True, now=steps.NOW)
    stored: dict[str | None, object] = defaultdict(int)
    for row in hours:
        stored[row.account] += row.quantity  # type: ignore[operator]
    own = raw_log.hours(jobs)
    for code in raw_log.ACCOUNTS:
        exact = sum(own.get((code, month, "cpu_hour"), 0) for month in raw_log.MONTHS)
        assert stored[code] == exact
        assert f"{float(exact):.4f}" == raw_log.CPU_HOURS[code]


def _rate_and_post(database: Database) -> None:
    rated, posted = steps.rate_and_post(database)
    with database.reading("jobs") as session:
        records = _count(session, UsageRecord)
        assert rated == posted == records == _count(session, RatedLine)
    assert steps.rate_and_post(database) == (0, 0)


def _bill(database: Database) -> dict[tuple[str, str], str]:
    """(account, month) -> number, issued month by month."""
    return {
        (code, month): number
        for month in raw_log.MONTHS
        for code, number in steps.issue_all(database, steps.draft_all(database, month)).items()
    }


def _assert_invoices(database: Database, jobs: list[Job], numbers: dict[tuple[str, str], str]) -> None:
    nets, lines = raw_log.net_cents(jobs), raw_log.line_cents(jobs)
    assert set(numbers) == set(nets)
    assert list(numbers.values()) == [f"INV-2017-{count:06d}" for count in range(1, len(nets) + 1)]  # no gap
    meters = {"CPU": "cpu_hour", "Memory": "memory_gib_hour"}
    for (code, month), number in numbers.items():
        found = _invoice(database, number)
        net = nets[code, month]
        vat = raw_log.vat_cents(net)
        assert (found.row.account, found.row.period) == (code, month)
        assert (found.row.net_minor, found.row.tax_minor, found.row.total_minor) == (net, vat, net + vat)
        assert found.row.due_minor == net + vat
        assert found.document.net_minor == sum(line.amount_minor for line in found.document.lines) == net
        by_meter = {
            next(meter for word, meter in meters.items() if word in line.description): line
            for line in found.document.lines
        }
        assert {meter: line.amount_minor for meter, line in by_meter.items()} == {
            meter: cents for (owner, label, meter), cents in lines.items() if (owner, label) == (code, month)
        }
        assert {meter: line.unit_price_text for meter, line in by_meter.items()} == raw_log.PRICES
        with database.reading("jobs") as session:
            rows = select(func.sum(InvoiceLine.amount_minor)).where(InvoiceLine.invoice_id == found.row.id)
            assert session.scalar(rows) == net


def _assert_ledger(database: Database, jobs: list[Job]) -> None:
    """Usage came in as exactly the invoices' nets, left `unbilled` again at issue, and what is owed stands in `receivable`."""
    nets = raw_log.net_cents(jobs)
    with database.reading("jobs") as session:
        for code, account_id in steps.account_ids(database).items():
            own = [net for (owner, _), net in nets.items() if owner == code]
            due = sum(net + raw_log.vat_cents(net) for net in own)
            balance = balances.of_account(session, account_id, currency="USD")[0]
            assert (balance.unbilled_minor, balance.receivable_minor, balance.balance_minor) == (0, -due, -due)
            moved = select(LedgerEntry.amount_minor).where(LedgerEntry.billing_account_id == account_id)
            used = session.scalars(moved.where(LedgerEntry.kind == "usage_debit")).all()
            issued = session.scalars(moved.where(LedgerEntry.kind == "invoice_issue")).all()
            taxed = session.scalars(moved.where(LedgerEntry.kind == "tax")).all()
            assert sum(used) == sum(own)
            assert sorted(issued) == sorted(own)
            assert sorted(taxed) == sorted(raw_log.vat_cents(net) for net in own)


def _assert_document(database: Database, jobs: list[Job], numbers: dict[tuple[str, str], str]) -> None:
    """The smallest invoice's PDF says the same figures, and is the same file for ever."""
    code, month = "ibech", "2017-01"
    found = _invoice(database, numbers[code, month])
    render.render_one(database, now=steps.NOW, invoice_id=found.row.id)
    with database.reading() as session:
        pdf = invoices.find_pdf(session, invoice_id=found.row.id)
    assert pdf is not None
    assert hashlib.sha256(pdf.content).hexdigest() == pdf.sha256
    text = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf.content, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    net = raw_log.net_cents(jobs)[code, month]
    vat = raw_log.vat_cents(net)
    assert numbers[code, month] in text
    for cents in (net, vat, net + vat, *_lines_of(jobs, code, month).values()):
        assert raw_log.printed(cents) in text
    for price in raw_log.PRICES.values():
        assert price in text
    render.render_one(database, now=steps.NOW + timedelta(days=1), invoice_id=found.row.id)
    with database.reading() as session:
        again = invoices.find_pdf(session, invoice_id=found.row.id)
    assert again == pdf


def _assert_checks_look_at_every_row(database: Database) -> None:
    with database.reading("jobs") as session:
        transactions, entries = _count(session, LedgerTransaction), _count(session, LedgerEntry)
        lines, records, made = _count(session, RatedLine), _count(session, UsageRecord), _count(session, Posting)
        verified = verification.verify_chain(session)
        assert not verified.differences
        assert verified.by_check["chain"] >= transactions + entries
        assert verified.by_check["usage"] == records
        checked = selfcheck.run(session, now=steps.NOW)
        assert not checked.differences
        assert checked.by_check["chain"] >= transactions + entries
        assert checked.by_check["usage"] == records
        assert checked.by_check["rated_line"] == lines + _count(session, Counter) + _count(session, Charge)
        assert checked.by_check["posting"] >= made
        assert checked.by_check["invoice"] >= _count(session, InvoiceHeader)
        assert checked.by_check["invoice_line"] == _count(session, InvoiceLine) + _count(session, InvoiceTax)
        again = replay.replay(session)
        assert not again.differences
        assert again.by_check == {"rated_line": lines, "posting": made}
        by_month = [replay.replay(session, month) for month in raw_log.MONTHS]
        assert not any(report.differences for report in by_month)
        assert all(report.checked > 0 for report in by_month)
        assert sum(report.checked for report in by_month) == again.checked == lines + made


def _assert_stages_agree(database: Database) -> None:
    """One invoice is paid, so that there is something to compare in every stage; then nothing differs in any."""
    with database.transaction("jobs") as session:
        invoice = session.scalars(
            select(InvoiceHeader).where(InvoiceHeader.state == "issued").order_by(InvoiceHeader.number)
        ).first()
        assert invoice is not None
        open_minor = settlement.open_minor(session, invoice.id)
        amount = Money(minor=open_minor, currency=invoice.currency)
        posted = book.post(
            session,
            now=steps.NOW,
            head=heads.lock_one(session, invoice.billing_account_id),
            type="payment",
            source_type="test",
            source_id="bank-1",
            entries=[Entry(kind="bank_credit", debit="cash:bank", credit="receivable", amount=amount)],
            occurred_at=steps.NOW,
            actor="test",
        )
        settlement.apply_payment(
            session,
            now=steps.NOW,
            invoice_id=invoice.id,
            transaction_id=posted.transaction_id,
            amount_minor=open_minor,
            actor="test",
        )
    with database.reading("jobs") as session:
        found = reconciliation.compare(session, now=steps.NOW + timedelta(days=1))
        assert found.found == []
        looked = {stage.name: stage.looked for stage in found.stages}
        own = {name: number for name, number in looked.items() if not name.startswith("provider_")}
        assert all(own.values()), looked  # no provider took part in this walk
        assert looked["usage_rated"] == _count(session, UsageRecord)
        assert looked["rated_posted"] == _count(session, RatedLine)


def _assert_second_time_changes_nothing(
    database: Database, data_dir: Path, numbers: dict[tuple[str, str], str]
) -> None:
    before = _everything(database)
    later = steps.NOW + timedelta(days=2)
    assert steps.take_in(database, (data_dir / raw_log.LOG).read_bytes(), now=later) == AGAIN
    assert steps.rate_and_post(database, now=later) == (0, 0)
    assert timetable_steps.accrue(steps.context(database, later)) == 0
    assert timetable_steps.invoices(steps.context(database, later)) == 0
    for month in raw_log.MONTHS:
        assert steps.draft_all(database, month, now=later) == {}
    for number in numbers.values():
        with database.transaction() as session:
            header = session.scalars(select(InvoiceHeader).where(InvoiceHeader.number == number)).one()
            assert issue.issue(session, now=later, draft_id=header.id, actor="other").number == number
        with database.transaction() as session, pytest.raises(NotADraft):
            drafts.approve(session, now=later, draft_id=header.id, actor="other")
    after = _everything(database)
    assert {name for name in after if after[name] != before[name]} <= {
        "usage_imports"
    }  # a run of the import, and its counts


def _everything(database: Database) -> dict[str, str]:
    """A digest of all rows of each table."""
    with database.reading("jobs") as session:
        return {
            table.name: hashlib.sha256(
                repr(sorted(map(repr, session.execute(select(table)).all()))).encode()
            ).hexdigest()
            for table in Base.metadata.sorted_tables
        }


def _invoice(database: Database, number: str) -> InvoiceDetail:
    with database.reading() as session:
        return invoices.get_invoice(session, now=steps.NOW, key=number)


def _lines_of(jobs: list[Job], code: str, month: str) -> dict[str, int]:
    return {
        meter: cents
        for (owner, label, meter), cents in raw_log.line_cents(jobs).items()
        if (owner, label) == (code, month)
    }


def _count(session: Session, table: type[Base]) -> int:
    return session.execute(select(func.count()).select_from(table)).scalar_one()
