"""Converted amounts: rates as they were published, lines and VAT as the rates make them, and two legs in the ledger for each."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.invoicing import conversion
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, InvoiceRate
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerEntry
from billing.rating.tables import Charge
from billing.reference import exchange, fx_rates
from billing.reference.tables import FxRate, FxSnapshot

NAME = "conversion"

Leg = tuple[str, str, int, str]
"""Debited and credited name, minor units, currency."""


def check(session: Session, tally: Tally) -> None:
    """Look at every snapshot, every rate that a document was made with, every converted line, and every entry of a conversion."""
    _check_snapshots(session, tally)
    _check_rates(session, tally)
    _check_lines(session, tally)
    _check_entries(session, tally)


def _check_snapshots(session: Session, tally: Tally) -> None:
    looked = 0
    statement = select(FxSnapshot.__table__).order_by(FxSnapshot.source, FxSnapshot.published_on)
    for row in streams.stream(session, statement):
        looked += 1
        tally.look()
        rates = _rates(session, row.source, row.published_on)
        if (fx_rates.content_hash(row.source, row.published_on, rates), len(rates)) != (
            row.content_hash,
            row.rate_count,
        ):
            tally.differ(row.id, f"the rates of {row.source} for {row.published_on} are not those that were imported")
    tally.expect("billing_fx_rate_snapshots", looked, count(session, select(func.count()).select_from(FxSnapshot)))


def _check_rates(session: Session, tally: Tally) -> None:
    """Each rate follows from its snapshots, and a VAT amount in another currency is what its document says."""
    looked = 0
    statement = select(InvoiceRate.__table__).order_by(InvoiceRate.invoice_id, InvoiceRate.purpose)
    for row in streams.stream(session, statement):
        looked += 1
        tally.look()
        per_euro = {exchange.BASE: exchange.from_text("1")}
        for snapshot_id in filter(None, (row.snapshot_id, row.second_snapshot_id)):
            texts = session.execute(select(FxRate.currency, FxRate.rate_text).where(FxRate.snapshot_id == snapshot_id))
            for currency, text in texts:
                per_euro.setdefault(currency, exchange.from_text(text))
        if not {row.from_currency, row.to_currency} <= per_euro.keys():
            tally.differ(row.invoice_id, f"its rate of {row.from_currency} stands in none of its snapshots")
            continue
        made = exchange.to_text(per_euro[row.to_currency] / per_euro[row.from_currency])
        if made != row.rate_text:
            sentence = (
                f"was made with {row.rate_text} {row.to_currency} for one {row.from_currency}, published is {made}"
            )
            tally.differ(row.invoice_id, sentence)
        elif row.purpose != "lines":
            rate = exchange.from_text(row.rate_text)
            to_minor = exchange.convert(row.from_minor, row.from_currency, row.to_currency, rate)
            if to_minor != row.to_minor:
                tally.differ(row.invoice_id, f"says {row.to_minor} {row.to_currency} where the rate makes {to_minor}")
    tally.expect("invoice_rates", looked, count(session, select(func.count()).select_from(InvoiceRate)))


def _check_lines(session: Session, tally: Tally) -> None:
    """A converted line is its exact amount at its rate, rounded once; its charge holds that amount in its own currency."""
    statement = (
        select(
            InvoiceLine.id,
            InvoiceLine.charged_currency,
            InvoiceLine.charged_minor,
            Charge.posted_minor,
            Charge.currency,
            InvoiceHeader.id.label("header_id"),
            InvoiceHeader.snapshot,
        )
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceLine.invoice_id)
        .outerjoin(Charge, Charge.id == InvoiceLine.charge_id)
        .where(InvoiceLine.charged_currency.is_not(None), InvoiceHeader.number.is_not(None))
        .order_by(InvoiceHeader.id, InvoiceLine.seq)
    )
    header_id, document, said = "", None, dict[str, Any]()
    for row in streams.stream(session, statement):
        tally.look()
        if row.header_id != header_id:
            header_id, document = row.header_id, model.from_snapshot(row.snapshot)
            said = {line.id: line for line in document.lines}
        line = said.get(row.id)
        if document is None or line is None or line.converted is None:
            tally.differ(row.id, "is converted, and its document does not say so")
            continue
        sign = -1 if document.kind == "credit_note" else 1
        billed = conversion.billed_minor(line.converted, document.currency)
        if sign * conversion.held_minor(line) != billed:
            sentence = f"bills {conversion.held_minor(line)} {document.currency}, its rate makes {billed}"
            tally.differ(row.id, sentence, number=document.number)
        held = (conversion.charged_minor(line.converted), line.converted.currency)
        if held != (row.charged_minor, row.charged_currency) or held != (row.posted_minor, row.currency):
            sentence = f"was converted from {held[0]} {held[1]}, its charge holds {row.posted_minor} {row.currency}"
            tally.differ(row.id, sentence, number=document.number)


def _check_entries(session: Session, tally: Tally) -> None:
    """Each document with converted lines moved them through `fx_clearing` in its own transaction, and nothing else did."""
    moved: dict[str, list[Leg]] = {}
    statement = select(LedgerEntry.__table__).where(LedgerEntry.kind == "fx_conversion").order_by(LedgerEntry.id)
    for row in streams.stream(session, statement):
        tally.look()
        names = [account_id.rsplit("/", 2)[1] for account_id in (row.debit_account_id, row.credit_account_id)]
        moved.setdefault(row.transaction_id, []).append((names[0], names[1], row.amount_minor, row.currency))
    for transaction_id, header_id, wanted in _wanted(session):
        tally.look()
        found = sorted(moved.pop(transaction_id, []))
        if found != wanted:
            tally.differ(header_id, f"its conversion moved {found} in the ledger, its lines make {wanted}")
    for transaction_id in sorted(moved):
        tally.differ(transaction_id, "converts between currencies for no document")


def _wanted(session: Session) -> list[tuple[str, str, list[Leg]]]:
    """(transaction, document, legs) of each issued document that converts, and of each credit note that gave its charges back."""
    converted = select(InvoiceLine.invoice_id).where(InvoiceLine.charged_currency.is_not(None)).distinct()
    issued = (InvoiceHeader.number.is_not(None), InvoiceHeader.id.in_(converted))
    found = []
    for row in session.execute(select(InvoiceHeader.__table__).where(*issued).order_by(InvoiceHeader.id)).all():
        document = model.from_snapshot(row.snapshot)
        found.append((row.transaction_id, row.id, _legs(conversion.entries(document))))
        again = select(InvoiceHeader.id).where(InvoiceHeader.replaces_id == row.id).limit(1)
        if session.scalar(again) is not None:
            found += _returned(session, row.id, document)
    return found


def _returned(session: Session, invoice_id: str, document: InvoiceDocument) -> list[tuple[str, str, list[Leg]]]:
    """The credit note by which an invoice was taken back whole, so that its charges could be billed again."""
    notes = session.execute(
        select(InvoiceHeader.transaction_id, InvoiceHeader.id)
        .where(InvoiceHeader.corrects_id == invoice_id, InvoiceHeader.state == "issued")
        .order_by(InvoiceHeader.issued_at, InvoiceHeader.id)
    ).all()
    legs = _legs(conversion.entries(document, is_returned=True))
    return [(str(note.transaction_id), note.id, legs) for note in notes[-1:]]


def _legs(entries: list[Entry]) -> list[Leg]:
    return sorted((one.debit, one.credit, one.amount.minor, one.amount.currency) for one in entries)


def _rates(session: Session, source: str, published_on: date) -> Mapping[str, str]:
    rows = session.execute(
        select(FxRate.currency, FxRate.rate_text).where(FxRate.source == source, FxRate.published_on == published_on)
    )
    return {row.currency: row.rate_text for row in rows}
