"""What a seller declares: sums of its issued documents by jurisdiction, scheme, category and rate, credit notes in their own period.

The figures come from the documents alone; `tie` compares them with what the ledger moved on `tax:{jurisdiction}` in the same time.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import Seller
from billing.invoicing.tables import InvoiceHeader, InvoiceTax
from billing.kernel import periods
from billing.kernel.money import exponent
from billing.kernel.rounding import half_up_fraction, split_fractions
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.metering.usage import tag_of
from billing.reference import exchange

_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
RELIEF, CORRECTION = "bad_debt_relief", "correction"
_DOCUMENTS = ("issue", "credit_note")


@dataclass(frozen=True, kw_only=True)
class Key:
    """One line of a declaration. Scheme says on which form: oss has its own."""

    jurisdiction: str
    scheme: str
    registration: str
    category: str
    rate_bp: int
    currency: str
    tax_currency: str


@dataclass(kw_only=True)
class Figures:
    """Sums of one line in minor units; credit notes count below zero. Tax in the tax office's currency where documents state it."""

    taxable_minor: int = 0
    tax_minor: int = 0
    in_tax_currency_minor: int | None = None
    invoices: int = 0
    credit_notes: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where documents and ledger disagree: tax of one jurisdiction and currency, in minor units."""

    jurisdiction: str
    currency: str
    filed_minor: int
    ledger_minor: int


@dataclass(frozen=True, kw_only=True)
class Filing:
    """A seller's declaration of a month or quarter, and what of it does not tie to the ledger."""

    seller_code: str
    period: str
    start_at: datetime
    end_at: datetime
    rows: list[tuple[Key, Figures]]
    differences: list[Difference] = field(default_factory=list)


def window(period: str, zone: str) -> tuple[datetime, datetime]:
    """First and end instant of a month ("2026-10") or quarter ("2026-Q4") in a zone. Raises Invalid for anything else."""
    quarter = _QUARTER.fullmatch(period)
    if quarter is None:
        found = periods.month(period, zone)
        return found.start_at, found.end_at
    year, first = quarter[1], 3 * int(quarter[2]) - 2
    begins, ends = periods.month(f"{year}-{first:02}", zone), periods.month(f"{year}-{first + 2:02}", zone)
    return begins.start_at, ends.end_at


def file(session: Session, seller: Seller, period: str) -> Filing:
    """The declaration of a month or quarter in the seller's zone, with the proof against the ledger. Raises Invalid."""
    start_at, end_at = window(period, seller.zone)
    lines: dict[Key, Figures] = {}
    for header, groups in _documents(session, seller, start_at, end_at):
        _add(lines, header, groups)
    _add_relief(session, seller, start_at, end_at, lines)
    rows = sorted(lines.items(), key=lambda item: tuple(str(value) for value in vars(item[0]).values()))
    return Filing(
        seller_code=seller.code,
        period=period,
        start_at=start_at,
        end_at=end_at,
        rows=rows,
        differences=_differences(rows, _ledger(session, seller, start_at, end_at)),
    )


def _documents(
    session: Session, seller: Seller, start_at: datetime, end_at: datetime
) -> Iterator[tuple[Any, list[InvoiceTax]]]:
    of_period = (
        InvoiceHeader.seller_id == seller.id,
        InvoiceHeader.state == "issued",
        InvoiceHeader.issued_at >= start_at,
        InvoiceHeader.issued_at < end_at,
    )
    groups: dict[str, list[InvoiceTax]] = {}
    for group in session.scalars(
        select(InvoiceTax)
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceTax.invoice_id)
        .where(*of_period)
        .order_by(InvoiceTax.category, InvoiceTax.rate_bp)
    ):
        groups.setdefault(group.invoice_id, []).append(group)
    # One member of the document: whole ones would be hundreds of megabytes in a month of many accounts.
    stated = tag_of(session, InvoiceHeader.snapshot, "tax_currency").label("stated")
    headers = select(InvoiceHeader.id, InvoiceHeader.kind, InvoiceHeader.currency, stated)
    for header in session.execute(headers.where(*of_period).order_by(InvoiceHeader.id)):
        yield header, groups.get(header.id, [])


def _add(lines: dict[Key, Figures], header: Any, groups: list[InvoiceTax]) -> None:
    sign = -1 if header.kind == "credit_note" else 1
    stated = json.loads(header.stated) if header.stated else None
    shares = _shares(stated, header.currency, groups) if stated else [None] * len(groups)
    for group, share in zip(groups, shares, strict=True):
        key = Key(
            jurisdiction=group.jurisdiction,
            scheme=group.scheme or _scheme_before(group.category),
            registration=group.registration or "",
            category=group.category,
            rate_bp=group.rate_bp,
            currency=header.currency,
            tax_currency=stated["currency"] if stated else header.currency,
        )
        own = lines.setdefault(key, Figures())
        own.taxable_minor += sign * group.taxable_minor
        own.tax_minor += sign * group.tax_minor
        if share is not None:
            own.in_tax_currency_minor = (own.in_tax_currency_minor or 0) + sign * share
        own.invoices += sign > 0
        own.credit_notes += sign < 0


def _shares(stated: dict[str, Any], currency: str, groups: list[InvoiceTax]) -> list[int | None]:
    """A document states its whole tax in the tax office's currency: each group has its share, below zero too, and they sum to it."""
    if not groups:
        return []
    scale = Fraction(10 ** exponent(stated["currency"]), 10 ** exponent(currency))
    rate = exchange.from_text(stated["rate_text"]) * scale
    exact = [group.tax_minor * rate for group in groups]
    rounded = half_up_fraction(sum(exact, Fraction(0)))
    shares = split_fractions(rounded, exact)
    # A credit note's tax is a difference of two rounded sums: its largest share bears the cent between.
    largest = max(range(len(shares)), key=lambda index: abs(shares[index]))
    shares[largest] += int(stated["tax_minor"]) - rounded
    return list(shares)


def _scheme_before(category: str) -> str:
    """How a document from before schemes were kept was taxed, as far as its category says."""
    return {"AE": "reverse_charge", "O": "not_subject", "E": "exempt", "Z": "zero_rated"}.get(category, "domestic")


def _moves(session: Session, seller: Seller, start_at: datetime, end_at: datetime, *, of_documents: bool) -> Any:
    """Entries that moved tax of the seller in that time: (kind, jurisdiction, currency, credits - debits)."""
    debit, credit = aliased(LedgerAccount), aliased(LedgerAccount)
    is_document = LedgerTransaction.type.in_(_DOCUMENTS)
    rows = session.execute(
        select(LedgerEntry.kind, LedgerEntry.currency, LedgerEntry.amount_minor, debit.name, credit.name)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(debit, debit.id == LedgerEntry.debit_account_id)
        .join(credit, credit.id == LedgerEntry.credit_account_id)
        .where(
            LedgerTransaction.occurred_at >= start_at,
            LedgerTransaction.occurred_at < end_at,
            or_(
                debit.name.startswith("tax:") & (debit.seller_id == seller.id),
                credit.name.startswith("tax:") & (credit.seller_id == seller.id),
            ),
            is_document if of_documents else ~is_document,
        )
    )
    for kind, currency, minor, debited, credited in rows:
        for name, sign in ((credited, 1), (debited, -1)):
            if name.startswith("tax:"):
                yield kind, name.removeprefix("tax:"), currency, sign * minor


def _add_relief(
    session: Session, seller: Seller, start_at: datetime, end_at: datetime, lines: dict[Key, Figures]
) -> None:
    """Tax that moved without a document: relief for bad debt and its undoing, corrections by finance. Their own lines."""
    for kind, jurisdiction, currency, minor in _moves(session, seller, start_at, end_at, of_documents=False):
        scheme = RELIEF if kind.startswith("write_off") else CORRECTION
        key = Key(
            jurisdiction=jurisdiction,
            scheme=scheme,
            registration="",
            category="",
            rate_bp=0,
            currency=currency,
            tax_currency=currency,
        )
        lines.setdefault(key, Figures()).tax_minor += minor


def _ledger(session: Session, seller: Seller, start_at: datetime, end_at: datetime) -> dict[tuple[str, str], int]:
    moved: dict[tuple[str, str], int] = {}
    for of_documents in (True, False):
        for _, jurisdiction, currency, minor in _moves(session, seller, start_at, end_at, of_documents=of_documents):
            moved[jurisdiction, currency] = moved.get((jurisdiction, currency), 0) + minor
    return moved


def _differences(rows: list[tuple[Key, Figures]], ledger: dict[tuple[str, str], int]) -> list[Difference]:
    filed: dict[tuple[str, str], int] = {}
    for key, figures in rows:
        place = (key.jurisdiction, key.currency)
        filed[place] = filed.get(place, 0) + figures.tax_minor
    return [
        Difference(
            jurisdiction=place[0],
            currency=place[1],
            filed_minor=filed.get(place, 0),
            ledger_minor=ledger.get(place, 0),
        )
        for place in sorted(filed.keys() | ledger.keys())
        if filed.get(place, 0) != ledger.get(place, 0)
    ]
