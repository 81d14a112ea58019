"""Self-check: the books proven against themselves, every law by every row it speaks of."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from billing.assurance import report
from billing.assurance.checks import (
    agreements,
    audit,
    balances,
    chains,
    commitments,
    conversions,
    days,
    disputes,
    exchanges,
    guarding,
    invoice_lines,
    invoices,
    lines,
    numbers,
    payments,
    postings,
    prices,
    promos,
    receipts,
    roots,
    terms,
    usage,
)
from billing.assurance.report import Report
from billing.kernel import clock


def run(
    session: Session, *, now: datetime | None = None, progress: Callable[[int, int | None], None] | None = None
) -> Report:
    """Run every check; the report names each row that contradicts another. Reads only, rows are streamed.

    The session must read one snapshot (`database.reading`), or rows written meanwhile look like contradictions. `now` (by default
    the clock's) says which audit rows are too old to be without a seal. `progress` is told the checks done and how many there are.
    """
    checks = (
        (guarding.check, guarding.NAME),
        (chains.check_accounts, chains.NAME),
        (chains.check, chains.NAME),
        (roots.check, roots.NAME),
        (balances.check, balances.NAME),
        (prices.check, prices.NAME),
        (usage.check, usage.NAME),
        (lines.check, lines.NAME),
        (days.check, days.NAME),
        (postings.check, postings.NAME),
        (invoices.check, invoices.NAME),
        (numbers.check, numbers.NAME),
        (invoice_lines.check, invoice_lines.NAME),
        (conversions.check, conversions.NAME),
        (exchanges.check, exchanges.NAME),
        (commitments.check, commitments.NAME),
        (agreements.check, agreements.NAME),
        (promos.check, promos.NAME),
        (terms.check, terms.NAME),
        (payments.check, payments.NAME),
        (disputes.check, disputes.NAME),
        (receipts.check, receipts.NAME),
    )
    tallies = []
    for done, (check, name) in enumerate(checks):
        if progress is not None:
            progress(done, len(checks) + 1)
        tallies.append(report.carry_out(check, name, session))
    tallies.append(report.carry_out(audit.check, audit.NAME, session, now or clock.utc_now()))
    return report.of(tallies)


def run_audit(session: Session, *, now: datetime) -> Report:
    """The audit log's chain alone (AS5). Reads one snapshot, streamed."""
    return report.of([report.carry_out(audit.check, audit.NAME, session, now)])
