"""Law 4: every signed root holds over the heads that were signed, and every signed head still stands in its chain."""

from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance.report import Tally, count
from billing.ledger import root_checks
from billing.ledger.root_checks import Broken
from billing.ledger.tables import RootHead, SignedRoot
from billing.storage.tables import SigningKey

NAME = "root"


def check(session: Session, tally: Tally, folder: Path | None = None) -> None:
    """Look at every signing key, root and head, and with `folder` at every root's file."""
    broken = 0
    for found in root_checks.verify(session, folder):
        if isinstance(found, Broken):
            broken += 1
            tally.look()
            tally.differ(found.subject_id, found.sentence, **found.facts)
        else:
            tally.look(found)
    if not broken:
        there = sum(
            count(session, select(func.count()).select_from(each)) for each in (SigningKey, SignedRoot, RootHead)
        )
        tally.expect("signed_roots", tally.looked, there)
