"""Verification of the chain (Law 4): everything a hash covers is hashed again, from usage and prices up to the last transaction."""

from sqlalchemy.orm import Session

from billing.assurance import report, streams
from billing.assurance.checks import chains, lines, postings, prices, usage
from billing.assurance.report import Report, Tally


def verify_chain(session: Session, account_id: str | None = None) -> Report:
    """Verify one account's chain, or all of them; the report names the first broken row and those after it.

    Looks at every transaction and entry, and at what they anchor: rated lines, the usage records and the prices under them.
    """
    chain, line, used, price, anchor = (
        Tally(check=name) for name in (chains.NAME, lines.NAME, usage.NAME, prices.NAME, "anchor")
    )
    chains.check(session, chain, account_id)
    for each in streams.account_ids(session, account_id):
        postings.check_anchors(session, anchor, each)
    lines.check(session, line, account_id)
    usage.check(session, used, account_id)
    prices.check(session, price)
    return report.of([chain, anchor, line, used, price])
