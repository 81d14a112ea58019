"""A receipt for each payment that the ledger credited, once, with a number of its own series."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Exists, exists, select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import BillingAccount, Seller
from billing.invoicing import numbers, parties
from billing.invoicing.documents import receipts
from billing.invoicing.documents.receipt_tables import Receipt as ReceiptRow
from billing.invoicing.documents.receipts import Part, Receipt
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.clock import get_zone
from billing.kernel.ids import new_id
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.payments.tables import Payment
from billing.storage import audit, outbox

KINDS = ("stripe_credit", "bank_credit")
_TYPES = ("payment", "bank_payment")  # transactions that hold such entries: the ledger's unique key finds them
_ACTOR = "job:receipts"
# A receipt that comes later, such as for payments from before there were receipts, is there to be read but mailed to nobody.
_TOLD_WITHIN = timedelta(days=30)


def accounts_waiting(session: Session) -> list[str]:
    """Accounts with payments that have no receipt yet, those that wait longest first."""
    statement = (
        select(LedgerTransaction.billing_account_id)
        .where(LedgerTransaction.type.in_(_TYPES), _is_credited(), ~_has_receipt())
        .order_by(LedgerTransaction.recorded_at)
    )
    return list(dict.fromkeys(session.scalars(statement)))


def issue_waiting(session: Session, *, now: datetime, account_id: str) -> int:
    """Issue a receipt for every payment of the account that has none; how many. The same transaction never gets a second one.

    Locks the account's head, then the seller's series. Raises ProfileIncomplete, DocumentInvalid.
    """
    heads.lock_one(session, account_id)
    waiting = session.scalars(
        select(LedgerTransaction)
        .where(
            LedgerTransaction.billing_account_id == account_id,
            LedgerTransaction.type.in_(_TYPES),
            _is_credited(),
            ~_has_receipt(),
        )
        .order_by(LedgerTransaction.chain_seq)
    ).all()
    for transaction in waiting:
        _issue(session, transaction, now=now)
    return len(waiting)


def _issue(session: Session, transaction: LedgerTransaction, *, now: datetime) -> None:
    account = directory.get_account(session, transaction.billing_account_id)
    seller = directory.get_seller(session, account.seller_id)
    tried = _receipt(session, transaction, account, seller, now=now)
    receipts.try_out(tried)
    today = now.astimezone(get_zone(seller.zone)).date()
    taken = numbers.take(session, seller_id=seller.id, prefix=seller.receipt_prefix, today=today)
    receipt = _numbered(tried, taken)
    snapshot = receipt.to_snapshot()
    session.add(
        ReceiptRow(
            id=receipt.id,
            number=receipt.number,
            billing_account_id=account.id,
            seller_id=seller.id,
            transaction_id=transaction.id,
            amount_minor=receipt.amount_minor,
            currency=receipt.currency,
            issued_on=receipt.issued_on,
            issued_at=now,
            snapshot=snapshot,
            snapshot_hash=receipts.snapshot_hash(snapshot),
        )
    )
    session.flush()  # unique on the transaction: a second receipt fails here
    facts = {"number": receipt.number, "amount_minor": receipt.amount_minor, "currency": receipt.currency}
    audit.record(
        session,
        now=now,
        actor=_ACTOR,
        act="receipt.issue",
        subject_type="receipt",
        subject_id=receipt.id,
        billing_account_id=account.id,
        facts={**facts, "transaction_id": transaction.id},
    )
    if now - transaction.recorded_at > _TOLD_WITHIN:
        return
    outbox.enqueue(
        session,
        now=now,
        topic="receipt.issued",
        dedup_key=f"receipt.issued:{receipt.id}",
        payload={
            "receipt_id": receipt.id,
            **facts,
            "invoice_id": next((part.invoice_id for part in receipt.parts if part.invoice_id), None),
        },
        billing_account_id=account.id,
    )


def _numbered(receipt: Receipt, taken: numbers.Taken) -> Receipt:
    return replace(receipt, number=taken.number, issued_on=taken.issued_on)


def _receipt(
    session: Session, transaction: LedgerTransaction, account: BillingAccount, seller: Seller, *, now: datetime
) -> Receipt:
    """The receipt with a dummy number."""
    profile = parties.get_profile(session, account)
    parties.require_complete(account, profile, seller)
    credited = _credited(session, transaction.id)
    payment = session.scalars(select(Payment).where(Payment.transaction_id == transaction.id)).first()
    stated = parties.stated(seller, profile)
    today = now.astimezone(get_zone(seller.zone)).date()
    dummy = numbers.dummy(seller.receipt_prefix, today)
    return Receipt(
        id=new_id("rcp"),
        number=dummy.number,
        issued_on=dummy.issued_on,
        received_at=payment.received_at if payment is not None else transaction.occurred_at,
        currency=credited[0][2],
        amount_minor=sum(minor for _, minor, _, _ in credited),
        account_code=account.code,
        zone=account.zone,
        method=credited[0][3],
        method_label=payment.method_label if payment is not None else None,
        payment_id=payment.id if payment is not None else None,
        transaction_id=transaction.id,
        parts=_parts(session, transaction.id, credited),
        **{name: stated[name] for name in _STATED},
    )


_STATED = ("seller", "buyer", "language", "page_size", "footer", "logo_sha256")


def _credited(session: Session, transaction_id: str) -> list[tuple[str, int, str, str]]:
    """What the transaction brought in: (book account's name, minor units, currency, kind), in the order of the entries."""
    rows = session.execute(
        select(LedgerAccount.name, LedgerEntry.amount_minor, LedgerEntry.currency, LedgerEntry.kind)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.credit_account_id)
        .where(LedgerEntry.transaction_id == transaction_id, LedgerEntry.kind.in_(KINDS))
        .order_by(LedgerEntry.seq)
    )
    return [(row.name, row.amount_minor, row.currency, row.kind) for row in rows]


def _parts(session: Session, transaction_id: str, credited: Sequence[tuple[str, int, str, str]]) -> tuple[Part, ...]:
    """Invoices by their numbers as settled, then what went to the wallet; a receivable that no settlement names stays open."""
    settled = session.execute(
        select(InvoiceHeader.id, InvoiceHeader.number, InvoiceSettlement.amount_minor)
        .join(InvoiceSettlement, InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .where(
            InvoiceSettlement.transaction_id == transaction_id,
            InvoiceSettlement.kind == "payment",
            InvoiceSettlement.amount_minor > 0,
        )
        .order_by(InvoiceHeader.number)
    ).all()
    found = [
        Part(kind="invoice", number=row.number, invoice_id=row.id, amount_minor=row.amount_minor) for row in settled
    ]
    receivable_minor = sum(minor for name, minor, _, _ in credited if name == "receivable")
    wallet_minor = sum(minor for name, minor, _, _ in credited if name != "receivable")
    rest_minor = receivable_minor - sum(part.amount_minor for part in found)
    for kind, minor in (("open", rest_minor), ("wallet", wallet_minor)):
        if minor > 0:
            found.append(Part(kind=kind, number=None, invoice_id=None, amount_minor=minor))
    return tuple(found)


def _is_credited() -> Exists:
    return exists().where(LedgerEntry.transaction_id == LedgerTransaction.id, LedgerEntry.kind.in_(KINDS))


def _has_receipt() -> Exists:
    return exists().where(ReceiptRow.transaction_id == LedgerTransaction.id)
