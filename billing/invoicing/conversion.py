"""Invoices in another currency than the charges, and VAT in the currency of the seller's tax office (FX1).

The rate is the last one that was published up to the tax point (Directive 2006/112 article 91(2)): the last day of the period billed,
for the sale of a commitment the day of issue. A charge's exact amount is converted and rounded once, in the document's currency;
what its ledger account holds in its own currency leaves through `fx_clearing` (docs/decisions say why).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from billing.accounts.tables import Seller
from billing.invoicing.documents.model import Conversion, InvoiceDocument, Line, TaxCurrency
from billing.invoicing.errors import DraftOutdated
from billing.invoicing.tables import InvoiceHeader, InvoiceRate
from billing.kernel.money import Money, exponent
from billing.kernel.rounding import half_up_fraction
from billing.ledger.entries import Entry
from billing.rating import exact
from billing.rating.periods import ChargeToInvoice
from billing.reference import exchange, fx_rates
from billing.reference.exchange import Rate


def of_charges(
    session: Session, charges: Sequence[ChargeToInvoice], *, currency: str, on: date
) -> tuple[list[ChargeToInvoice], dict[str, Conversion]]:
    """The charges as they are billed in `currency` with the rates of a day, and by charge where a converted amount comes from.

    Charges of that currency stay as they are. The caller holds the account's lock. Raises MissingRate, StaleRate.
    """
    others = [charge for charge in charges if charge.currency != currency]
    if not others:
        return list(charges), {}
    rates = {
        code: fx_rates.get_rate(session, from_currency=code, to_currency=currency, on=on)
        for code in sorted({charge.currency for charge in others})
    }
    amounts = exact.of_charges(session, [charge.charge_id for charge in others])
    made: dict[str, Conversion] = {}
    billed = []
    for charge in charges:
        if charge.currency == currency:
            billed.append(charge)
            continue
        rate, exact_minor = rates[charge.currency], amounts[charge.charge_id]
        made[charge.charge_id] = Conversion(
            currency=charge.currency,
            amount_text=exchange.to_text(exact_minor / 10 ** exponent(charge.currency)),
            rate_text=exchange.to_text(rate.value),
            rate_on=rate.published_on.isoformat(),
            snapshot_id=" ".join(rate.snapshot_ids),
        )
        billed.append(replace(charge, amount_minor=rate.convert(exact_minor), currency=currency))
    return billed, made


def charged_minor(converted: Conversion) -> int:
    """What the ledger holds of the charge in its own currency: its exact amount rounded once."""
    return half_up_fraction(exchange.from_text(converted.amount_text) * 10 ** exponent(converted.currency))


def billed_minor(converted: Conversion, currency: str) -> int:
    """What the line bills of it, in minor units of the document's currency, worked out from the evidence alone."""
    exact_minor = exchange.from_text(converted.amount_text) * 10 ** exponent(converted.currency)
    rate = exchange.from_text(converted.rate_text)
    return exchange.convert(exact_minor, converted.currency, currency, rate)


def entries(document: InvoiceDocument, *, is_returned: bool = False) -> list[Entry]:
    """fx_conversion: what converted lines hold leaves `unbilled` in its currency and comes back to it in the document's.

    Two legs through `fx_clearing`, each balanced in its own currency; a sum below zero swaps its sides. `is_returned` gives the
    charges back, so that they can be billed again.
    """
    made: list[Entry] = []
    for code, lines in _by_currency(document.lines).items():
        charged = sum(charged_minor(line.converted) for line in lines if line.converted)
        billed = _sign(document) * sum(held_minor(line) for line in lines)
        sign = -1 if is_returned else 1
        for amount_minor, currency, debit, credit in (
            (sign * charged, code, "fx_clearing", "unbilled"),
            (sign * billed, document.currency, "unbilled", "fx_clearing"),
        ):
            if amount_minor:
                made.append(
                    Entry(
                        kind="fx_conversion",
                        debit=debit if amount_minor > 0 else credit,
                        credit=credit if amount_minor > 0 else debit,
                        amount=Money(minor=abs(amount_minor), currency=currency),
                        detail={"invoice": document.id, "from": code, "to": document.currency},
                    )
                )
    return made


def held_minor(line: Line) -> int:
    """What the books hold of a line: its gross amount where prices include tax."""
    return line.amount_minor if line.gross_minor is None else line.gross_minor


def with_tax_currency(session: Session, document: InvoiceDocument, seller: Seller, *, on: date) -> InvoiceDocument:
    """The document with its VAT in the seller's tax currency (BT-6, BT-111), at the rate of a day.

    Without VAT, or where the document is in that currency, it says nothing of it. Raises MissingRate, StaleRate.
    """
    wanted = tax_currency_of(seller)
    if wanted == document.currency or not any(group.tax_minor for group in document.taxes):
        return replace(document, tax_currency=None)
    rate = fx_rates.get_rate(session, from_currency=document.currency, to_currency=wanted, on=on)
    return replace(document, tax_currency=_in_tax_currency(document.tax_minor, rate))


def with_tax_currency_if_known(
    session: Session, document: InvoiceDocument, seller: Seller, *, on: date
) -> InvoiceDocument:
    """The same for a draft or preview: without a rate it says nothing yet, and issue refuses it."""
    if fx_rates.find_rate(session, from_currency=document.currency, to_currency=tax_currency_of(seller), on=on) is None:
        return replace(document, tax_currency=None)
    return with_tax_currency(session, document, seller, on=on)


def tax_currency_of(seller: Seller) -> str:
    """The currency of the seller's tax office."""
    return seller.tax_currency or seller.functional_currency


def tax_minor_in(of: TaxCurrency, tax_minor: int, currency: str) -> int:
    """VAT of `tax_minor` minor units of `currency` at the rate of `of`, rounded once on the sum (BT-111)."""
    return exchange.convert(tax_minor, currency, of.currency, exchange.from_text(of.rate_text))


def check_rates(session: Session, header: InvoiceHeader, document: InvoiceDocument, *, on: date) -> None:
    """Before issue: the lines were converted with the rates that are the day's now, or the draft is outdated.

    A rate that was published late or imported since changes what was approved: nothing rises silently. What bills an invoice again
    keeps the rates of that one, whatever was imported since: it corrects the parties, not the supply.
    """
    for code, lines in _by_currency(document.lines).items():
        now_said = None if header.replaces_id else _said(session, code, document.currency, on)
        for line in lines:
            said = (line.converted.rate_text, line.converted.rate_on) if line.converted else ("", "")
            billed = billed_minor(line.converted, document.currency) if line.converted else held_minor(line)
            if now_said not in (None, said) or _sign(document) * held_minor(line) != billed:
                books = now_said or said
                raise DraftOutdated(
                    invoice_id=header.id, what="exchange rate", draft=" of ".join(said), books=" of ".join(books)
                )


def _said(session: Session, code: str, currency: str, on: date) -> tuple[str, str]:
    """The rate of a day and the day it was published, as a line says them. Raises MissingRate, StaleRate."""
    rate = fx_rates.get_rate(session, from_currency=code, to_currency=currency, on=on)
    return exchange.to_text(rate.value), rate.published_on.isoformat()


def record(
    session: Session,
    document: InvoiceDocument,
    seller: Seller,
    *,
    now: datetime,
    on: date,
    issued_at: datetime | None = None,
) -> None:
    """Store the rates that a draft was made with, in place of those before; at issue for ever. Flushes.

    With them what is asked for in the seller's functional currency, at the rate of the day of issue, where there is one: a payment's
    gain or loss is worked out from it.
    """
    session.execute(delete(InvoiceRate).where(InvoiceRate.invoice_id == document.id))
    made = [_of_lines(document, code, lines) for code, lines in _by_currency(document.lines).items()]
    if document.tax_currency is not None:
        of = document.tax_currency
        made.append(
            _row(
                document.id,
                "tax",
                (document.currency, document.tax_minor),
                (of.currency, of.tax_minor),
                (of.rate_text, of.rate_on, of.snapshot_id),
            )
        )
    rate = fx_rates.find_rate(
        session, from_currency=document.currency, to_currency=seller.functional_currency, on=document.issued_on or on
    )
    if rate is not None and rate.legs:
        made.append(
            _row(
                document.id,
                "functional",
                (document.currency, document.payable_minor),
                (seller.functional_currency, rate.convert(document.payable_minor)),
                (exchange.to_text(rate.value), rate.published_on.isoformat(), " ".join(rate.snapshot_ids)),
            )
        )
    for row in made:
        row.taken_at, row.issued_at = now, issued_at
    session.add_all(made)
    session.flush()


def list_rates(session: Session, invoice_id: str) -> Sequence[InvoiceRate]:
    """The rates that a document was made with."""
    return session.scalars(
        select(InvoiceRate)
        .where(InvoiceRate.invoice_id == invoice_id)
        .order_by(InvoiceRate.purpose, InvoiceRate.from_currency)
    ).all()


@dataclass(frozen=True, kw_only=True)
class Use:
    """A document that a snapshot was used for; `number` is None for a draft."""

    invoice_id: str
    number: str | None
    state: str
    purpose: str
    from_currency: str
    to_currency: str
    from_minor: int
    to_minor: int


def list_documents(session: Session, snapshot_id: str, *, limit: int) -> list[Use]:
    """The documents that were made with a snapshot, the newest first."""
    rows = session.execute(
        select(InvoiceRate, InvoiceHeader.number, InvoiceHeader.state)
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceRate.invoice_id)
        .where((InvoiceRate.snapshot_id == snapshot_id) | (InvoiceRate.second_snapshot_id == snapshot_id))
        .order_by(InvoiceRate.taken_at.desc(), InvoiceRate.invoice_id, InvoiceRate.purpose)
        .limit(limit)
    ).all()
    return [
        Use(
            invoice_id=rate.invoice_id,
            number=number,
            state=state,
            purpose=rate.purpose,
            from_currency=rate.from_currency,
            to_currency=rate.to_currency,
            from_minor=rate.from_minor,
            to_minor=rate.to_minor,
        )
        for rate, number, state in rows
    ]


def freeze(session: Session, invoice_id: str, *, now: datetime) -> None:
    """From now on the rates of an issued document cannot be changed."""
    session.execute(update(InvoiceRate).where(InvoiceRate.invoice_id == invoice_id).values(issued_at=now))


def _by_currency(lines: Iterable[Line]) -> Mapping[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        if line.converted is not None and line.charge_id is not None:
            found.setdefault(line.converted.currency, []).append(line)
    return dict(sorted(found.items()))


def _sign(document: InvoiceDocument) -> int:
    """A credit note of charges that sum below zero says of each what is given back: its lines have their signs turned."""
    return -1 if document.kind == "credit_note" else 1


def _in_tax_currency(tax_minor: int, rate: Rate) -> TaxCurrency:
    return TaxCurrency(
        currency=rate.to_currency,
        tax_minor=rate.convert(Fraction(tax_minor)),
        rate_text=exchange.to_text(rate.value),
        rate_on=rate.published_on.isoformat(),
        snapshot_id=" ".join(rate.snapshot_ids),
    )


def _of_lines(document: InvoiceDocument, code: str, lines: Sequence[Line]) -> InvoiceRate:
    conversions = [line.converted for line in lines if line.converted is not None]
    charged, billed = sum(map(charged_minor, conversions)), _sign(document) * sum(map(held_minor, lines))
    evidence = (conversions[0].rate_text, conversions[0].rate_on, conversions[0].snapshot_id)
    return _row(document.id, "lines", (code, charged), (document.currency, billed), evidence)


def _row(
    invoice_id: str, purpose: str, source: tuple[str, int], target: tuple[str, int], evidence: tuple[str, str, str]
) -> InvoiceRate:
    rate_text, rate_on, snapshot_ids = evidence
    first, _, second = snapshot_ids.partition(" ")
    return InvoiceRate(
        invoice_id=invoice_id,
        purpose=purpose,
        from_currency=source[0],
        to_currency=target[0],
        rate_text=rate_text,
        rate_on=date.fromisoformat(rate_on),
        snapshot_id=first,
        second_snapshot_id=second or None,
        from_minor=source[1],
        to_minor=target[1],
    )
