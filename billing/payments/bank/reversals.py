"""Taking a booked bank transfer back: one person asks, another allows, and the mirror of all that it did is posted."""

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import AccountHead
from billing.invoicing import settlement, write_offs
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import Conflict, NotFound
from billing.kernel.money import Money
from billing.ledger import book, reversal
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerTransaction
from billing.payments.bank import transfers
from billing.payments.bank.tables import BankTransfer
from billing.payments.tables import Payment
from billing.storage import audit

ACT, SUBJECT = "payment.reverse_transfer", transfers.SUBJECT


def request(
    session: Session, *, now: datetime, transfer_id: str, maker: str, reason: str, form_key: str | None = None
) -> Approval:
    """Ask for a booking to be taken back. Locks the account's head. Raises as `content_of`, and as `approvals.request`."""
    item = _get(session, transfer_id)
    heads.lock_one(session, item.billing_account_id)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=item.id,
        content=content_of(session, item.id),
        maker=maker,
        reason=reason,
        billing_account_id=item.billing_account_id,
        form_key=form_key,
    )


def content_of(session: Session, transfer_id: str) -> dict[str, Any]:
    """What approval would post: the mirror of the payment, and of the write-offs that it undid.

    Raises NotFound, and Conflict: transfer_reversed, or transfer_refunded where some of its money was given back.
    """
    item, payment = _reversible(session, transfer_id)
    mirrored = [reversal.mirror_of(session, one) for one in _transactions(session, payment)]
    return {
        "bank_transfer_id": item.id,
        "bank_reference": item.bank_reference,
        "value_on": item.value_on.isoformat(),
        "transaction_id": payment.transaction_id,
        "entries": [
            [entry.kind, entry.debit, entry.credit, entry.amount.minor, entry.amount.currency]
            for moved in mirrored
            for entry in moved
        ],
        "amount_minor": item.amount_minor,
        "currency": item.currency,
    }


def reverse(
    session: Session, *, now: datetime, transfer_id: str, reason: str, allowed: Allowed
) -> transfers.TransferRow:
    """Post the mirror: the invoices are open again, write-offs stand again, the wallet gives back what it got, if need be below zero.

    What a credit note has given back of such an invoice since is owed by the wallet, not by the invoice. The statement line can be
    booked anew. Into a closed month nothing posts (Law 3). Locks the account's head. Raises NotAllowed, and as `content_of`.
    """
    item = _get(session, transfer_id)
    head = heads.lock_one(session, item.billing_account_id)
    session.refresh(item)
    content = content_of(session, item.id)
    approvals.spend(session, allowed, act=ACT, subject_id=item.id, content=content)
    payment = session.get_one(Payment, item.payment_id, populate_existing=True)
    mirrored = [
        _mirror(session, now, head, transaction_id, allowed.checker, reason)
        for transaction_id in _transactions(session, payment)
    ]
    payment.reversed_at = now
    item.reversed_at, item.reversed_by, item.reversal_id = now, allowed.checker, mirrored[0]
    for invoice_id, _, _ in transfers.parts_of(session, payment.transaction_id):
        _owe_credited(session, now, head, item, invoice_id, allowed.checker)
    session.flush()
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act="bank_transfer.reverse",
        subject_type=SUBJECT,
        subject_id=item.id,
        billing_account_id=item.billing_account_id,
        facts={
            "amount_minor": item.amount_minor,
            "currency": item.currency,
            "reversal_id": item.reversal_id,
            "approval_id": allowed.approval_id,
            "maker": allowed.maker,
        },
    )
    return transfers.get_transfer(session, item.id)


def find_posted(session: Session, transfer_id: str) -> str | None:
    """The id of the transaction that took the booking back, or None."""
    return session.scalar(select(BankTransfer.reversal_id).where(BankTransfer.id == transfer_id))


def _mirror(session: Session, now: datetime, head: AccountHead, transaction_id: str, actor: str, reason: str) -> str:
    """The mirror of one transaction, with what it had settled undone; its id."""
    posted = reversal.post_mirror(session, now=now, head=head, transaction_id=transaction_id, actor=actor, memo=reason)
    settled = session.scalars(
        select(InvoiceSettlement)
        .where(InvoiceSettlement.transaction_id == transaction_id)
        .order_by(InvoiceSettlement.id)
    ).all()
    for row in settled:
        settlement.record(
            session,
            now=now,
            invoice_id=row.invoice_id,
            transaction_id=posted.transaction_id,
            kind=row.kind,
            amount_minor=-row.amount_minor,
            actor=actor,
        )
    return posted.transaction_id


def _owe_credited(
    session: Session, now: datetime, head: AccountHead, item: BankTransfer, invoice_id: str, actor: str
) -> None:
    """More is open or written off now than the invoice still asks for: a credit note gave the difference to the wallet, which pays it
    back. As any payment it first undoes what is written off."""
    header = session.get_one(InvoiceHeader, invoice_id)
    written_off_minor, _ = write_offs.standing_minor(session, header)
    unpaid_minor = settlement.open_minor(session, invoice_id) + written_off_minor
    excess_minor = unpaid_minor - settlement.asked_minor(session, invoice_id)
    if excess_minor <= 0:
        return
    amount = Money(minor=excess_minor, currency=item.currency)
    write_offs.undo_for_payment(
        session,
        now=now,
        head=head,
        invoice_id=invoice_id,
        amount=amount,
        actor=actor,
        source_id=f"{item.id}/{invoice_id}",
    )
    detail = {"bank_transfer_id": item.id, "invoice_id": invoice_id}
    posted = book.post(
        session,
        now=now,
        head=head,
        type="wallet_payment",
        source_type=SUBJECT,
        source_id=f"{item.id}/{invoice_id}",
        entries=[Entry(kind="wallet_apply", debit="wallet", credit="receivable", amount=amount, detail=detail)],
        occurred_at=now,
        actor=actor,
    )
    settlement.record(
        session,
        now=now,
        invoice_id=invoice_id,
        transaction_id=posted.transaction_id,
        kind="wallet",
        amount_minor=excess_minor,
        actor=actor,
    )


def _reversible(session: Session, transfer_id: str) -> tuple[BankTransfer, Payment]:
    item = _get(session, transfer_id)
    payment = session.get_one(Payment, item.payment_id, populate_existing=True)
    if item.reversed_at is not None:
        raise Conflict(bank_transfer_id=item.id, reversal_id=item.reversal_id, reason="transfer_reversed")
    if payment.refunded_minor:
        raise Conflict(bank_transfer_id=item.id, refunded_minor=payment.refunded_minor, reason="transfer_refunded")
    return item, payment


def _transactions(session: Session, payment: Payment) -> list[str]:
    """What the payment posted: its credit first, then the write-offs that it undid, in the order of the chain."""
    undone = session.scalars(
        select(LedgerTransaction.id)
        .where(
            LedgerTransaction.billing_account_id == payment.billing_account_id,
            LedgerTransaction.type == "write_off_reversal",
            LedgerTransaction.source_type == "payment",
            or_(
                LedgerTransaction.source_id == payment.id,
                LedgerTransaction.source_id.startswith(f"{payment.id}/", autoescape=True),
            ),
        )
        .order_by(LedgerTransaction.chain_seq)
    )
    return [payment.transaction_id, *undone]


def _get(session: Session, transfer_id: str) -> BankTransfer:
    item = session.get(BankTransfer, transfer_id) if names.is_safe(transfer_id) else None
    if item is None:
        raise NotFound(bank_transfer_id=names.shown(transfer_id))
    return item
