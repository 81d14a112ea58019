"""Exchange results: each follows from its invoice's rates, stands in the ledger, and a settled invoice carries nothing any more."""

from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import Seller
from billing.assurance.report import Tally, count
from billing.invoicing import exchange_results, exchange_values
from billing.invoicing.exchange_values import Event, Standing, Terms
from billing.invoicing.tables import InvoiceFxResult, InvoiceHeader, InvoiceRate, InvoiceSettlement
from billing.ledger.tables import LedgerEntry
from billing.reference import exchange

NAME = "exchange"


def check(session: Session, tally: Tally) -> None:
    """Look at every row of an exchange result, every settlement that must have one, and every entry of kind fx_result."""
    looked = 0
    for invoice_id in session.scalars(
        select(InvoiceFxResult.invoice_id).distinct().order_by(InvoiceFxResult.invoice_id)
    ).all():
        looked += _check_invoice(session, tally, invoice_id)
    tally.expect("invoice_fx_results", looked, count(session, select(func.count()).select_from(InvoiceFxResult)))
    _check_noted(session, tally)
    _check_entries(session, tally)


def _check_invoice(session: Session, tally: Tally, invoice_id: str) -> int:
    """Its events in the order of the chain give what was booked; what was carried ends at nothing when nothing is open."""
    header = session.get_one(InvoiceHeader, invoice_id)
    found = exchange_results.rows_of(session, invoice_id)
    tally.look(len(found))
    stored = session.scalars(
        select(InvoiceRate).where(InvoiceRate.invoice_id == invoice_id, InvoiceRate.purpose == "functional")
    ).first()
    if stored is None:
        for row, _ in found:
            if row.state == "booked":
                tally.differ(row.id, f"is booked, but {invoice_id} has no value in its seller's currency")
        return len(found)
    terms = Terms(payable_minor=header.payable_minor, value_minor=stored.to_minor)
    standing, carried_minor = Standing(open_minor=header.payable_minor), 0
    for row, _ in found:
        if row.state != "booked":
            return len(found)
        worth = row.value_minor if exchange_results.is_money(row) else None
        done = exchange_values.step(
            terms, standing, Event(kind=row.kind, amount_minor=row.amount_minor, value_minor=worth)
        )
        standing, carried_minor = done.after, carried_minor + done.carried_minor
        said = (row.currency, row.carried_minor, row.value_minor, row.result_minor)
        if said != (stored.to_currency, done.carried_minor, done.worth_minor, done.result_minor):
            tally.differ(row.id, f"says {said}, its invoice {header.number} makes {done}")
        if exchange_results.is_money(row) and _worth(row, header.currency) != row.value_minor:
            tally.differ(row.id, f"says {row.value_minor} where its rate {row.rate_text} makes another amount")
    if standing.open_minor == 0 and carried_minor != stored.to_minor:
        tally.differ(invoice_id, f"is settled and still carries {stored.to_minor - carried_minor} {stored.to_currency}")
    return len(found)


def _worth(row: InvoiceFxResult, currency: str) -> int | None:
    if row.rate_text is None or row.currency is None:
        return None
    return exchange.convert(Fraction(row.amount_minor), currency, row.currency, exchange.from_text(row.rate_text))


def _check_noted(session: Session, tally: Tally) -> None:
    """Whatever settled an invoice in another currency than its seller's has its row, for the same amount."""
    statement = (
        select(InvoiceSettlement.id, InvoiceSettlement.amount_minor, InvoiceFxResult.amount_minor.label("noted_minor"))
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceSettlement.invoice_id)
        .join(Seller, Seller.id == InvoiceHeader.seller_id)
        .outerjoin(
            InvoiceFxResult,
            (InvoiceFxResult.invoice_id == InvoiceSettlement.invoice_id)
            & (InvoiceFxResult.transaction_id == InvoiceSettlement.transaction_id)
            & (InvoiceFxResult.kind == InvoiceSettlement.kind),
        )
        .where(InvoiceHeader.currency != Seller.functional_currency)
    )
    for row in session.execute(statement):
        tally.look()
        if row.amount_minor != row.noted_minor:
            tally.differ(row.id, f"settles {row.amount_minor} in another currency, noted are {row.noted_minor}")


def _check_entries(session: Session, tally: Tally) -> None:
    """Each booked result other than zero is one entry in the house's chain, and each entry of that kind is one result."""
    entries = (
        select(LedgerEntry.transaction_id, LedgerEntry.amount_minor, LedgerEntry.currency, LedgerEntry.debit_account_id)
        .where(LedgerEntry.kind == "fx_result")
        .order_by(LedgerEntry.transaction_id)
    )
    posted = {
        row.transaction_id: (
            row.amount_minor if "/fx_clearing/" in row.debit_account_id else -row.amount_minor,
            row.currency,
        )
        for row in session.execute(entries)
    }
    tally.look(len(posted))
    booked = select(InvoiceFxResult).where(InvoiceFxResult.result_transaction_id.is_not(None))
    for row in session.scalars(booked):
        found = posted.pop(str(row.result_transaction_id), None)
        if found != (row.result_minor, row.currency):
            tally.differ(row.id, f"books {row.result_minor} {row.currency}, the ledger has {found}")
    for transaction_id, (minor, currency) in posted.items():
        tally.differ(transaction_id, f"books an exchange result of {minor} {currency} that belongs to no payment")
