"""What a refund may be about: a payment, an invoice, and where the money goes. Checked before anything is stored."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import banks, names
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.money import Money
from billing.payments import refund_methods
from billing.payments.tables import Payment, RefundRequest
from billing.reference import provider_currencies

_PAYEE_MAX = 70  # as a SEPA transfer takes it


@dataclass(frozen=True, kw_only=True)
class Payee:
    """Whose bank account a transfer goes to."""

    name: str
    iban: str


def require_payee(mode: str, payee: Payee | None) -> Payee | None:
    """The payee in the one spelling that is kept: mode bank has one, others have none. Raises Invalid."""
    if (mode == "bank") != (payee is not None):
        raise Invalid(field="iban", value=None, reason="payee_needed" if payee is None else "payee_not_needed")
    if payee is None:
        return None
    iban = banks.find_iban(payee.iban, "iban")
    if iban is None:
        raise Invalid(field="iban", value=None, reason="payee_needed")
    return Payee(name=names.require_name(" ".join(payee.name.split()), "payee", max_length=_PAYEE_MAX), iban=iban)


def check(
    session: Session, account_id: str, mode: str, amount: Money, payment_id: str | None, invoice_id: str | None
) -> None:
    """Refuse what is not of this account, has another currency, or cannot go that way. Raises NotFound, Invalid."""
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    if mode not in refund_methods.MODES:
        raise Invalid(field="mode", value=mode, reason="unknown_refund_mode")
    if mode == "credit" and (payment_id or not invoice_id):
        raise Invalid(field="invoice_id", value=invoice_id, reason="unknown_refund_mode")
    if mode != "credit" and not payment_id:
        raise Invalid(field="payment_id", value=None, reason="unknown_refund_mode")
    wanted = set()
    if payment_id:
        payment = require_payment(session, account_id, payment_id)
        _check_way(session, mode, payment)
        wanted.add(payment.currency)
    if invoice_id:
        wanted.add(require_invoice(session, account_id, invoice_id).currency)
    if mode == "card":
        provider_currencies.require_payable(amount)
    for currency in sorted(wanted - {amount.currency}):
        raise Invalid(field="currency", value=amount.currency, expected=currency, reason="currency_mismatch")


def _check_way(session: Session, mode: str, payment: Payment) -> None:
    """Money goes back the way it came; what came by card goes by transfer only once its card has not taken it."""
    if mode == "card" and payment.provider == "bank":
        raise Invalid(field="mode", value=mode, reason="not_paid_by_card")
    if mode == "bank" and payment.provider != "bank" and not may_go_by_transfer(session, payment.id):
        raise Invalid(field="mode", value=mode, reason="card_first")


def may_go_by_transfer(session: Session, payment_id: str) -> bool:
    """Whether a refund of that payment to its card has failed before."""
    query = select(RefundRequest.id).where(
        RefundRequest.payment_id == payment_id, RefundRequest.mode == "card", RefundRequest.state == "failed"
    )
    return session.execute(query.limit(1)).first() is not None


def require_invoice(session: Session, account_id: str, invoice_id: str) -> InvoiceHeader:
    """The account's issued invoice that may be credited. Raises NotFound, Invalid(not_an_invoice)."""
    invoice = session.get(InvoiceHeader, invoice_id)
    if invoice is None or invoice.billing_account_id != account_id or invoice.state != "issued":
        raise NotFound(invoice_id=invoice_id[:60])
    if invoice.kind != "invoice":
        raise Invalid(field="invoice_id", value=invoice_id, reason="not_an_invoice")
    return invoice


def require_payment(session: Session, account_id: str, payment_id: str) -> Payment:
    """The account's payment. Raises NotFound."""
    payment = session.get(Payment, payment_id)
    if payment is None or payment.billing_account_id != account_id:
        raise NotFound(payment_id=payment_id)
    return payment
