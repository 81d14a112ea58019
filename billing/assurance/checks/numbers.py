"""Number series: each counts 1, 2, 3, ... up to its last number, over invoices, credit notes and receipts (IV3)."""

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.invoicing.documents.receipt_tables import Receipt
from billing.invoicing.tables import InvoiceHeader, NumberSeries

NAME = "number"


def check(session: Session, tally: Tally) -> None:
    """Every number is given once, none is left out, and every number belongs to a series."""
    numbered = 0
    for series in session.execute(select(NumberSeries.__table__).order_by(NumberSeries.series)).all():
        tally.look()
        given = union_all(
            *(
                select(table.id, table.number).where(
                    table.seller_id == series.seller_id, table.number.startswith(series.series, autoescape=True)
                )
                for table in (InvoiceHeader, Receipt)
            )
        ).subquery()
        statement = select(given.c.id, given.c.number).order_by(func.length(given.c.number), given.c.number)
        last = 0
        for document_id, number in streams.stream(session, statement):
            numbered += 1
            digits = number.removeprefix(series.series)
            if not digits.isascii() or not digits.isdigit() or int(digits) != last + 1:
                tally.differ(
                    document_id, f"has number {number}, where number {last + 1} of {series.series} was expected"
                )
            last = int(digits) if digits.isascii() and digits.isdigit() else last + 1
        if last != series.last_number:
            tally.differ(series.series, f"has given {series.last_number} numbers, the last document has number {last}")
    there = count(session, select(func.count()).select_from(InvoiceHeader).where(InvoiceHeader.number.is_not(None)))
    there += count(session, select(func.count()).select_from(Receipt))
    tally.expect("numbered documents", numbered, there)
