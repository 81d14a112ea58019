"""Receipts as people read them: the list, one of them, and its PDF, rendered once after issue and the same for ever."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Exists, Select, exists, func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import BillingAccount
from billing.invoicing import seller_profiles
from billing.invoicing.documents import fingerprints, receipts, worker
from billing.invoicing.documents.receipt_tables import Receipt as ReceiptRow
from billing.invoicing.documents.receipt_tables import ReceiptDocument
from billing.invoicing.documents.receipts import Receipt
from billing.invoicing.errors import RenderingFailed
from billing.invoicing.invoices import StoredPdf
from billing.kernel.errors import NotFound, Refusal
from billing.storage import audit
from billing.storage.database import Database

_ACTOR = "job:receipts"


@dataclass(frozen=True, kw_only=True)
class ReceiptLine:
    """One receipt in a list."""

    id: str
    number: str
    account_id: str
    account: str
    issued_on: date
    issued_at: datetime
    amount_minor: int
    currency: str
    transaction_id: str
    is_rendered: bool


def list_receipts(
    session: Session, *, account_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[ReceiptLine]:
    """Receipts, newest first: (id, number, account, day, amount in minor units, its ledger transaction, whether it has a PDF)."""
    statement = _lines().order_by(ReceiptRow.id.desc()).limit(limit).offset(offset)
    if account_id is not None:
        statement = statement.where(ReceiptRow.billing_account_id == account_id)
    return [_line(row, code, is_rendered) for row, code, is_rendered in session.execute(statement)]


def list_after(session: Session, *, account_id: str, after: str | None, limit: int) -> list[ReceiptLine]:
    """The account's receipts in the order of issue, behind the one of id `after`."""
    statement = _lines().where(ReceiptRow.billing_account_id == account_id).order_by(ReceiptRow.id).limit(limit)
    if after is not None:
        statement = statement.where(ReceiptRow.id > after)
    return [_line(row, code, is_rendered) for row, code, is_rendered in session.execute(statement)]


def count_receipts(session: Session, *, account_id: str | None = None) -> int:
    """How many `list_receipts` would give without a limit."""
    statement = select(func.count()).select_from(ReceiptRow)
    if account_id is not None:
        statement = statement.where(ReceiptRow.billing_account_id == account_id)
    return session.scalars(statement).one()


def numbers_of(session: Session, transaction_ids: list[str]) -> dict[str, str]:
    """Ledger transaction -> number of its receipt, for those that have one."""
    rows = session.execute(
        select(ReceiptRow.transaction_id, ReceiptRow.number).where(ReceiptRow.transaction_id.in_(transaction_ids))
    )
    return {row.transaction_id: row.number for row in rows}


def get_receipt(session: Session, key: str, *, account_id: str | None = None) -> tuple[ReceiptLine, Receipt, str]:
    """A receipt by id or number with what it says and the hash of that. Raises NotFound, for another account's too."""
    found = _row(session, key, account_id)
    code, is_rendered = session.execute(
        select(BillingAccount.code, _is_rendered())
        .join(ReceiptRow, ReceiptRow.billing_account_id == BillingAccount.id)
        .where(ReceiptRow.id == found.id)
    ).one()
    return _line(found, code, is_rendered), receipts.from_snapshot(found.snapshot), found.snapshot_hash


def find_pdf(session: Session, key: str, *, account_id: str | None = None) -> StoredPdf | None:
    """The rendered receipt by id or number; None while it waits for the renderer. Raises NotFound."""
    found = _row(session, key, account_id)
    row = session.get(ReceiptDocument, (found.id, "pdf"))
    if row is None:
        return None
    return StoredPdf(content=row.content, sha256=row.sha256, file_name=f"{found.number}.pdf")


def render_pending(
    database: Database,
    *,
    now: datetime,
    limit: int = 500,
    timeout_s: int = worker.TIMEOUT_S,
    verify_url: str | None = None,
) -> int:
    """Render up to `limit` receipts that have no PDF; how many were stored. Without any no process is started.

    `verify_url` is the public page's address, to which the number is added. A worker that dies holds up only the receipt it
    died on; then RenderingFailed names those that wait for the next run.
    """
    with database.reading("jobs") as session:
        waiting = session.scalars(
            select(ReceiptRow.id).where(~_is_rendered()).order_by(ReceiptRow.id).limit(limit)
        ).all()
    if not waiting:
        return 0
    done, failed, cause = 0, [], ""
    with worker.Printer(timeout_s=timeout_s) as printer:
        for receipt_id in waiting:
            try:
                done += _render(database, printer, receipt_id, now=now, verify_url=verify_url)
            except (worker.PrinterDied, Refusal) as error:
                failed.append(receipt_id)
                cause = cause or str(error)
    if failed:
        raise RenderingFailed(invoice_ids=", ".join(failed[:5]), rendered_count=done, cause=cause)
    return done


def _render(
    database: Database, printer: worker.Printer, receipt_id: str, *, now: datetime, verify_url: str | None
) -> int:
    with database.reading("jobs") as session:
        row = session.get_one(ReceiptRow, receipt_id)
        receipt, digest, account_id = receipts.from_snapshot(row.snapshot), row.snapshot_hash, row.billing_account_id
        logo = seller_profiles.logo_bytes(session, receipt.logo_sha256)
    html = receipts.to_html(
        receipt, snapshot_hash=digest, verify_url=f"{verify_url}?number={receipt.number}" if verify_url else None
    )
    content = printer.to_pdf(html, made_on=receipt.issued_on, assets=receipts.assets_of(receipt, logo=logo))
    with database.transaction("jobs") as session:
        heads.lock_one(session, account_id)
        if session.get(ReceiptDocument, (receipt_id, "pdf")) is not None:
            return 0  # another process was quicker; its bytes are the same
        sha256 = hashlib.sha256(content).hexdigest()
        session.add(
            ReceiptDocument(receipt_id=receipt_id, format="pdf", sha256=sha256, content=content, rendered_at=now)
        )
        fingerprints.record(session, number=receipt.number, sha256=sha256)
        audit.record(
            session,
            now=now,
            actor=_ACTOR,
            act="receipt.render",
            subject_type="receipt",
            subject_id=receipt_id,
            billing_account_id=account_id,
            facts={"sha256": sha256},
        )
    return 1


def _lines() -> Select[ReceiptRow, str, bool]:
    return select(ReceiptRow, BillingAccount.code, _is_rendered().label("is_rendered")).join(
        BillingAccount, BillingAccount.id == ReceiptRow.billing_account_id
    )


def _row(session: Session, key: str, account_id: str | None) -> ReceiptRow:
    found = session.scalars(select(ReceiptRow).where((ReceiptRow.id == key) | (ReceiptRow.number == key))).first()
    if found is None or account_id not in (None, found.billing_account_id):
        raise NotFound(receipt=key[:60])
    return found


def _line(row: ReceiptRow, code: str, is_rendered: bool) -> ReceiptLine:
    return ReceiptLine(
        id=row.id,
        number=row.number,
        account_id=row.billing_account_id,
        account=code,
        issued_on=row.issued_on,
        issued_at=row.issued_at,
        amount_minor=row.amount_minor,
        currency=row.currency,
        transaction_id=row.transaction_id,
        is_rendered=is_rendered,
    )


def _is_rendered() -> Exists:
    return exists().where(ReceiptDocument.receipt_id == ReceiptRow.id, ReceiptDocument.format == "pdf")
