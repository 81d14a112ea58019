"""Receipts: each says what its ledger transaction brought in, and neither it nor its file was altered."""

import hashlib

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.invoicing.documents import receipts
from billing.invoicing.documents.receipt_tables import Receipt, ReceiptDocument
from billing.ledger.tables import LedgerEntry
from billing.payments import receipt_issue

NAME = "receipt"


def check(session: Session, tally: Tally) -> None:
    """Look at every receipt and its file."""
    _check_receipts(session, tally)
    _check_files(session, tally)


def _check_receipts(session: Session, tally: Tally) -> None:
    credited = (
        select(func.sum(LedgerEntry.amount_minor))
        .where(
            LedgerEntry.transaction_id == Receipt.transaction_id,
            LedgerEntry.kind.in_(receipt_issue.KINDS),
            LedgerEntry.currency == Receipt.currency,
        )
        .scalar_subquery()
    )
    table, looked = Receipt.__table__.c, 0
    statement = select(
        table.id, table.number, table.amount_minor, table.currency, table.issued_on, table.snapshot, table.snapshot_hash, credited
    )  # fmt: skip
    for row in streams.stream(session, statement.order_by(table.id)):
        looked += 1
        tally.look()
        receipt_id, number, amount_minor, currency, issued_on, snapshot, digest, brought_minor = row
        if receipts.snapshot_hash(snapshot) != digest:
            tally.differ(receipt_id, "its content is not what was issued: the snapshot or its hash was altered")
            continue
        said = receipts.from_snapshot(snapshot)
        if (said.number, said.amount_minor, said.currency, said.issued_on) != (
            number,
            amount_minor,
            currency,
            issued_on,
        ):
            tally.differ(receipt_id, "its row says something else than its content")
        if int(brought_minor or 0) != amount_minor:
            tally.differ(receipt_id, f"says {amount_minor} and its transaction brought in {int(brought_minor or 0)}")
    tally.expect("receipts", looked, count(session, select(func.count()).select_from(Receipt)))


def _check_files(session: Session, tally: Tally) -> None:
    looked = 0
    for receipt_id, form, sha256 in session.execute(
        select(ReceiptDocument.receipt_id, ReceiptDocument.format, ReceiptDocument.sha256)
    ).all():
        looked += 1
        tally.look()
        content = session.execute(  # one file at a time
            select(ReceiptDocument.content).where(
                ReceiptDocument.receipt_id == receipt_id, ReceiptDocument.format == form
            )
        ).scalar_one()
        if hashlib.sha256(content).hexdigest() != sha256:
            tally.differ(receipt_id, f"its {form} is not the file that was stored: its bytes were altered")
    tally.expect("receipt_documents", looked, count(session, select(func.count()).select_from(ReceiptDocument)))
