"""A document whose total would be below zero: the credit note of its charges, naming the earlier invoice of their period (money.md).

Late and corrected charges may outweigh what else a month bills. One document of the net sign says so: all its charges with their
signs turned, so that what is given back stands above zero.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing import assembling, lines
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.tables import InvoiceHeader
from billing.rating.periods import ChargeToInvoice

REASON = "Usage that was corrected after it had been billed"


def find_corrected(session: Session, charges: Sequence[ChargeToInvoice], *, currency: str) -> InvoiceHeader | None:
    """The issued invoice that a credit note of these charges names: of the period with the most taken back, the later of two alike.

    Where that period was settled by a credit note itself, the invoice that it named. None where no invoice was ever issued.
    """
    sums: dict[str, tuple[int, str]] = {}
    for charge in charges:
        if charge.is_late:
            before = sums.get(charge.billing_period_id, (0, charge.period_label))[0]
            sums[charge.billing_period_id] = (before + charge.amount_minor, charge.period_label)
    below = [(minor, label, period_id) for period_id, (minor, label) in sums.items() if minor < 0]
    least = min((minor for minor, _, _ in below), default=0)
    for _, period_id in sorted(
        ((label, period_id) for minor, label, period_id in below if minor == least), reverse=True
    ):
        found = session.scalars(
            select(InvoiceHeader)
            .where(
                InvoiceHeader.billing_period_id == period_id,
                InvoiceHeader.state == "issued",
                InvoiceHeader.currency == currency,
                (InvoiceHeader.kind == "invoice") | InvoiceHeader.takes_charges,
            )
            .order_by(InvoiceHeader.kind.desc(), InvoiceHeader.issued_at.desc(), InvoiceHeader.id.desc())
        ).first()
        if found is not None:
            return found if found.corrects_id is None else session.get_one(InvoiceHeader, found.corrects_id)
    return None


def turned(document: InvoiceDocument, corrected: InvoiceHeader) -> InvoiceDocument:
    """The draft as a credit note that names `corrected`: every line with its sign turned, VAT worked out anew, nothing taken off.

    What it gives back is shown as going to the wallet until issue says what is open.
    """
    charged = [_turned(line) for line in document.lines if line.charge_id is not None]
    made = assembling.with_lines(document, charged, (), [lines.treatment_of(group) for group in document.taxes])
    return replace(
        made,
        kind="credit_note",
        bank_account=None,
        corrects_number=corrected.number,
        corrects_on=corrected.issued_on,
        reason=REASON,
        to_receivable_minor=0,
        to_wallet_minor=made.total_minor + made.rounding_minor,
    )


def _turned(line: Line) -> Line:
    quantity = line.quantity_text
    if quantity.strip("-0.") != "":
        quantity = quantity[1:] if quantity.startswith("-") else f"-{quantity}"
    beside = line.beside_text
    if beside.strip("-0.") != "":
        beside = beside[1:] if beside.startswith("-") else f"-{beside}"
    gross_minor = None if line.gross_minor is None else -line.gross_minor
    return replace(
        line, quantity_text=quantity, beside_text=beside, amount_minor=-line.amount_minor, gross_minor=gross_minor
    )
