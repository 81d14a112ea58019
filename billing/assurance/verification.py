"""Verification of the chain (Law 4): everything a hash covers is hashed again, from usage and prices up to the last transaction."""

from pathlib import Path

from sqlalchemy.orm import Session

from billing.assurance import report, streams
from billing.assurance.checks import chains, lines, postings, prices, roots, usage
from billing.assurance.report import Report, Tally


def verify_chain(session: Session, account_id: str | None = None) -> Report:
    """Verify one account's chain, or all of them; the report names the first broken row and those after it.

    Looks at every transaction and entry, and at what they anchor: rated lines, the usage records and the prices under them.
    """
    return report.of(
        [
            report.carry_out(chains.check, chains.NAME, session, account_id),
            report.carry_out(_check_anchors, "anchor", session, account_id),
            report.carry_out(lines.check, lines.NAME, session, account_id),
            report.carry_out(usage.check, usage.NAME, session, account_id),
            report.carry_out(prices.check, prices.NAME, session),
            report.carry_out(roots.check, roots.NAME, session),
        ]
    )


def verify_roots(session: Session, folder: Path | None = None) -> Report:
    """Verify the signed roots alone: against the chains and, with `folder`, against their files."""
    return report.of([report.carry_out(roots.check, roots.NAME, session, folder)])


def _check_anchors(session: Session, tally: Tally, account_id: str | None) -> None:
    for each in streams.account_ids(session, account_id):
        postings.check_anchors(session, tally, each)
