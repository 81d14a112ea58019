"""A payment without an owner here becomes an account's, when one person says whose it is and another agrees."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, currencies, directory, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.approvals import Allowed
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments import crediting
from billing.payments.crediting import Received
from billing.payments.errors import NotPayable
from billing.payments.receipts import CASH
from billing.payments.recovery import unmatched
from billing.payments.recovery.unmatched import UnmatchedRow
from billing.payments.tables import Payment, PaymentSession
from billing.storage import audit, correlation

ACT, SUBJECT = "payment.link", "unmatched_payment"


def request(
    session: Session,
    *,
    now: datetime,
    unmatched_id: str,
    account_id: str,
    invoice_number: str | None,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for a payment to be credited to that account, or to one of its invoices. Locks the account's head.

    Raises what `content_of` and `approvals.request` raise.
    """
    heads.lock_one(session, account_id)
    invoice_id = None if not invoice_number else _invoice(session, account_id, invoice_number).id
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=unmatched_id,
        content=content_of(session, unmatched_id, account_id=account_id, invoice_id=invoice_id),
        maker=maker,
        reason=reason,
        billing_account_id=account_id,
        form_key=form_key,
    )


def content_of(session: Session, unmatched_id: str, *, account_id: str, invoice_id: str | None) -> dict[str, Any]:
    """What approval would post now.

    Raises NotFound, Conflict (reason already_ended; given_back for money that the provider has refunded or that is disputed),
    Invalid for another currency than that of the account's invoices, NotPayable for an invoice on which nothing is open.
    """
    row = unmatched.get_row(session, unmatched_id)
    account = directory.get_account(session, account_id)
    if row.state != "open":
        raise Conflict(unmatched_payment_id=row.id, state=row.state, reason="already_ended")
    if row.is_given_back:
        raise Conflict(unmatched_payment_id=row.id, reason="given_back")
    expected = currencies.invoice_currency_of(account)
    if row.currency != expected:
        raise Invalid(field="currency", value=row.currency, expected=expected, reason="currency_mismatch")
    to_invoice = 0
    if invoice_id is not None:
        open_minor = settlement.open_minor(session, invoice_id)
        if open_minor <= 0:
            raise NotPayable(invoice_id=invoice_id, reason="nothing_open")
        to_invoice = min(row.amount_minor, open_minor)
    parts = (("receivable", to_invoice), ("wallet", row.amount_minor - to_invoice))
    return {
        "account_id": account_id,
        "provider": row.provider,
        "provider_payment_id": row.provider_payment_id,
        "invoice_id": invoice_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "entries": [["stripe_credit", CASH, name, minor, row.currency] for name, minor in parts if minor],
    }


def content_of_request(session: Session, row: ApprovalRow) -> dict[str, Any]:
    """The same, of a request that waits."""
    return content_of(
        session, row.subject_id, account_id=row.content["account_id"], invoice_id=row.content.get("invoice_id")
    )


def link(session: Session, *, now: datetime, row: ApprovalRow, allowed: Allowed) -> Payment:
    """Credit the payment as two people decided, with a session of its own: a payment of a provider always has one.

    Locks the account's head, then the finding. Raises NotAllowed and what `content_of` raises; the fee follows from the balance
    transaction.
    """
    account_id, invoice_id = str(row.content["account_id"]), row.content.get("invoice_id")
    locked = heads.lock(session, [account_id])
    item = unmatched.lock(session, row.subject_id)
    content = content_of(session, item.id, account_id=account_id, invoice_id=invoice_id)
    approvals.spend(session, allowed, act=ACT, subject_id=item.id, content=content)
    amount = Money(minor=item.amount_minor, currency=item.currency)
    made = PaymentSession(
        id=new_id("pay"),
        billing_account_id=account_id,
        provider=item.provider,
        purpose="invoice" if invoice_id else "top_up",
        invoice_id=invoice_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        state="paid",
        form_key=f"link:{item.id}",
        created_by=allowed.maker,
        created_at=now,
        updated_at=now,
        correlation_id=correlation.current(),
    )
    session.add(made)
    session.flush()
    payment = crediting.credit(
        session,
        now=now,
        locked=locked,
        received=Received(
            account_id=account_id,
            provider=item.provider,
            provider_payment_id=item.provider_payment_id,
            amount=amount,
            kind="stripe_credit",
            cash=CASH,
            source=(
                "balance_transaction" if item.source_id else "provider_payment",
                f"{item.provider}:{item.source_id or item.provider_payment_id}",
            ),
            received_at=min(now, item.paid_at),
            actor=allowed.checker,
            session_id=made.id,
            shares=crediting.for_invoice(invoice_id, amount),
            method_label=item.method_label,
        ),
    )
    _end_contradicted(session, now, item.session_id, payment.id)
    unmatched.end_linked(session, now=now, item=item, payment_id=payment.id, actor=allowed.checker)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act="payment.link",
        subject_type="payment_session",
        subject_id=made.id,
        billing_account_id=account_id,
        facts={"approval_id": allowed.approval_id, "unmatched_payment_id": item.id, "payment_id": payment.id},
    )
    return payment


def find_posted(session: Session, unmatched_id: str) -> str | None:
    """The ledger transaction that a linked payment has made, or None."""
    row: UnmatchedRow = unmatched.get_row(session, unmatched_id)
    return session.scalar(select(Payment.transaction_id).where(Payment.id == (row.payment_id or "")))


def _end_contradicted(session: Session, now: datetime, session_id: str | None, payment_id: str) -> None:
    """The session that the payment could not be credited to is not asked about any more: its money has been credited."""
    item = session.get(PaymentSession, session_id or "", populate_existing=True)
    if item is not None and item.state not in ("paid", "failed", "expired"):
        item.state, item.failure, item.updated_at = "failed", f"credited_as:{payment_id}", now


def _invoice(session: Session, account_id: str, number: str) -> InvoiceHeader:
    found = session.execute(
        select(InvoiceHeader).where(
            InvoiceHeader.number == number,
            InvoiceHeader.billing_account_id == account_id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state == "issued",
        )
    ).scalar_one_or_none()
    if found is None:
        raise Invalid(field="invoice", value=names.shown(number), reason="unknown_invoice_of_account")
    return found
