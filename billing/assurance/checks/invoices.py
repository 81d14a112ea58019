"""Issued documents: header = lines + taxes = ledger, bytes and snapshots unaltered, settled as booked."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.invoicing.documents import model
from billing.invoicing.tables import (
    InvoiceAllowance,
    InvoiceDocument,
    InvoiceHeader,
    InvoiceLine,
    InvoiceSettlement,
    InvoiceTax,
)
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.rating.tables import Charge

NAME = "invoice"

_SOURCES = {"invoice": ("issue", "invoice"), "credit_note": ("credit_note", "credit_note")}
_HEADER_FIELDS = (
    *("id", "kind", "number", "issued_on", "due_on", "currency", "reason"),
    *("allowance_minor", "net_minor", "tax_minor", "total_minor", "prepaid_minor", "rounding_minor"),
    "prices_include_tax",
)
# Said since there are allowances, and prices that include tax; a document from before them had neither.
_SINCE = {"allowance_minor": 0, "prices_include_tax": False}
# Entries that name what they move: kind -> the field of their detail.
_NAMING = {
    "commit_drawdown": "contract_id",
    "commit_return": "contract_id",
    "promo_apply": "grant_id",
    "promo_return": "grant_id",
}
_SETTLING = {
    "wallet": ("wallet_apply",),
    "payment": ("stripe_credit", "bank_credit", "adjustment"),  # an adjustment: a booking that two people took back
    "credit_note": ("credit_note",),
    "write_off": ("write_off", "write_off_reversal", "adjustment"),
    "dispute": ("chargeback_final",),
}


def check(session: Session, tally: Tally) -> None:
    """Look at every issued document, its file, every settlement, and what accounts have open."""
    _check_headers(session, tally)
    _check_reissued(session, tally)
    _check_documents(session, tally)
    _check_settlements(session, tally)
    _check_figures(session, tally)


def _check_headers(session: Session, tally: Tally) -> None:
    looked = 0
    statement = select(InvoiceHeader.__table__).where(InvoiceHeader.number.is_not(None)).order_by(InvoiceHeader.id)
    for header in streams.stream(session, statement):
        looked += 1
        tally.look()
        lines_minor = _sum(
            session, select(func.sum(InvoiceLine.amount_minor)).where(InvoiceLine.invoice_id == header.id)
        )
        tax_minor = _sum(session, select(func.sum(InvoiceTax.tax_minor)).where(InvoiceTax.invoice_id == header.id))
        allowed = select(func.sum(InvoiceAllowance.amount_minor)).where(InvoiceAllowance.invoice_id == header.id)
        allowance_minor = _sum(session, allowed)
        found = (lines_minor - allowance_minor, allowance_minor, tax_minor)
        if found != (header.net_minor, header.allowance_minor, header.tax_minor):
            sentence = (
                f"says net {header.net_minor} after allowances of {header.allowance_minor}, tax {header.tax_minor}; its lines "
                f"sum to {lines_minor}, its allowances to {allowance_minor}, its taxes to {tax_minor}"
            )
            tally.differ(header.id, sentence, number=header.number)
        _check_snapshot(tally, header)
        _check_transaction(session, tally, header)
    tally.expect(
        "invoice_headers",
        looked,
        count(session, select(func.count()).select_from(InvoiceHeader).where(InvoiceHeader.state == "issued")),
    )


def _check_snapshot(tally: Tally, header: Any) -> None:
    """The header says, field by field, what the document said when it was issued."""
    snapshot = header.snapshot or {}
    if model.snapshot_hash(snapshot) != header.snapshot_hash:
        tally.differ(header.id, "its snapshot does not hash to what it says: it was altered", number=header.number)
        return
    for name in _HEADER_FIELDS:
        value = getattr(header, name)
        shown = value.isoformat() if isinstance(value, date) else value
        said = snapshot.get(name, _SINCE[name]) if name in _SINCE else snapshot[name]
        if shown != said:
            tally.differ(header.id, f"its {name} is {shown}, the document says {said}", number=header.number)


def _check_transaction(session: Session, tally: Tally, header: Any) -> None:
    """The document's own ledger transaction anchors its snapshot and moved its net, its tax and what was prepaid."""
    posted = session.execute(
        select(
            LedgerTransaction.type,
            LedgerTransaction.source_type,
            LedgerTransaction.source_id,
            LedgerTransaction.anchor_hash,
            LedgerTransaction.billing_account_id,
        ).where(LedgerTransaction.id == header.transaction_id)
    ).one_or_none()
    expected = (*_SOURCES[header.kind], header.id, header.snapshot_hash, header.billing_account_id)
    if posted is None or tuple(posted) != expected:
        sentence = f"its ledger transaction {header.transaction_id} does not anchor it"
        tally.differ(header.id, sentence, number=header.number)
        return
    sides: dict[str, int] = {}
    named: dict[tuple[str, str], int] = {}
    for row in session.execute(
        select(LedgerEntry.__table__).where(LedgerEntry.transaction_id == header.transaction_id)
    ):
        if row.kind == "fx_conversion":
            continue  # looked at by checks.conversions
        if row.currency != header.currency:
            tally.differ(row.id, f"is in {row.currency}, document {header.number} in {header.currency}")
        for ledger_account_id, sign in ((row.credit_account_id, 1), (row.debit_account_id, -1)):
            name = ledger_account_id.rsplit("/", 2)[1]
            base = name.partition(":")[0]
            sides[base] = sides.get(base, 0) + sign * row.amount_minor
        if row.kind in _NAMING:
            key = (row.kind, str(row.detail.get(_NAMING[row.kind])))
            named[key] = named.get(key, 0) + row.amount_minor
    taken = _taken_off(session, header)
    if header.kind == "invoice":
        wanted = {
            "unbilled": taken.charged_minor,
            "deferred": taken.sold_minor - taken.drawn_minor,
            "promo": -taken.promo_minor,
            "discount": -taken.discount_minor,
            "tax": header.tax_minor,
            "wallet": -header.prepaid_minor,
            "receivable": header.prepaid_minor - header.total_minor - header.rounding_minor,
        }
        found = {name: sides.get(name, 0) for name in wanted}
    else:
        wanted = {
            "unbilled": -_given_back(session, header, taken),
            "deferred": taken.drawn_minor - taken.sold_minor,
            "promo": taken.promo_minor,
            "discount": taken.discount_minor,
            "tax": -header.tax_minor,
            "to the tenant": header.total_minor + header.rounding_minor,
        }
        found = {name: sides.get(name, 0) for name in wanted}
        found["to the tenant"] = sides.get("receivable", 0) + sides.get("wallet", 0)
    if found != wanted:
        sentence = f"document {header.number} says {wanted}, its ledger transaction moved {found}"
        tally.differ(header.id, sentence, number=header.number, transaction=header.transaction_id)
    elif named != taken.named(header.kind):
        sentence = f"document {header.number} takes off {taken.named(header.kind)}, its ledger transaction {named}"
        tally.differ(header.id, sentence, number=header.number, transaction=header.transaction_id)


def _given_back(session: Session, header: Any, taken: "_Taken") -> int:
    """What a credit note takes from `unbilled`: charges of its own, or those of an invoice that are billed again."""
    if header.takes_charges:
        return taken.charged_minor
    again = select(func.count()).select_from(InvoiceHeader).where(InvoiceHeader.replaces_id == header.corrects_id)
    return taken.charged_minor if count(session, again) else 0


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What a document's rows charge, sell and take off, in minor units; of a credit note, what it gives back of each."""

    charged_minor: int
    sold_minor: int
    drawn: dict[str, int]
    gifts: dict[str, int]
    discount_minor: int

    @property
    def drawn_minor(self) -> int:
        return sum(self.drawn.values())

    @property
    def promo_minor(self) -> int:
        return sum(self.gifts.values())

    def named(self, kind: str) -> dict[tuple[str, str], int]:
        """What entries must name: contracts drawn down and grants used, or given back."""
        drawing, using = ("commit_drawdown", "promo_apply") if kind == "invoice" else ("commit_return", "promo_return")
        drawn = {(drawing, contract_id): minor for contract_id, minor in self.drawn.items()}
        return drawn | {(using, grant_id): minor for grant_id, minor in self.gifts.items()}


def _taken_off(session: Session, header: Any) -> _Taken:
    """From the rows: a line with a charge charges, one of a sale's document sells, one with a contract alone draws it down."""
    charged = sold = discount = 0
    drawn: dict[str, int] = {}
    gifts: dict[str, int] = {}
    booked = func.coalesce(InvoiceLine.gross_minor, InvoiceLine.amount_minor)
    lines = select(InvoiceLine.charge_id, InvoiceLine.contract_id, booked)
    for charge_id, contract_id, amount in session.execute(lines.where(InvoiceLine.invoice_id == header.id)):
        if charge_id is not None or contract_id is None:
            charged += amount
        elif header.billing_period_id is None:
            sold += amount
        else:
            drawn[contract_id] = drawn.get(contract_id, 0) - amount
    allowed = func.coalesce(InvoiceAllowance.gross_minor, InvoiceAllowance.amount_minor)
    allowances = select(InvoiceAllowance.grant_id, allowed)
    for grant_id, amount in session.execute(allowances.where(InvoiceAllowance.invoice_id == header.id)):
        if grant_id is None:
            discount += amount
        else:
            gifts[grant_id] = gifts.get(grant_id, 0) + amount
    return _Taken(charged_minor=charged, sold_minor=sold, drawn=drawn, gifts=gifts, discount_minor=discount)


def _check_reissued(session: Session, tally: Tally) -> None:
    """An invoice whose charges were billed again is credited whole, once, by one credit note."""
    made = aliased(InvoiceHeader)
    credited = (
        select(func.coalesce(func.sum(InvoiceHeader.total_minor + InvoiceHeader.rounding_minor), 0))
        .where(InvoiceHeader.corrects_id == made.replaces_id, ~InvoiceHeader.takes_charges)
        .scalar_subquery()
    )
    old = aliased(InvoiceHeader)
    statement = (
        select(old.id, old.number, old.total_minor, old.rounding_minor, made.state, credited)
        .join(made, made.replaces_id == old.id)
        .order_by(old.id)
    )
    for header_id, number, total_minor, rounding_minor, state, credited_minor in session.execute(statement).all():
        tally.look()
        if (int(credited_minor), state) != (total_minor + rounding_minor, "issued"):
            sentence = f"was billed again and credited by {credited_minor} of {total_minor + rounding_minor} only"
            tally.differ(header_id, sentence, number=number)


def _check_documents(session: Session, tally: Tally) -> None:
    looked = 0
    statement = select(
        InvoiceDocument.invoice_id, InvoiceDocument.format, InvoiceDocument.sha256, InvoiceHeader.number
    ).outerjoin(InvoiceHeader, InvoiceHeader.id == InvoiceDocument.invoice_id)
    for invoice_id, form, sha256, number in session.execute(statement).all():
        looked += 1
        tally.look()
        if number is None:
            tally.differ(invoice_id, f"has a {form} and was never issued")
        content = session.execute(  # one file at a time
            select(InvoiceDocument.content).where(
                InvoiceDocument.invoice_id == invoice_id, InvoiceDocument.format == form
            )
        ).scalar_one()
        if hashlib.sha256(content).hexdigest() != sha256:
            tally.differ(invoice_id, f"its {form} is not the file that was stored: its bytes were altered")
    tally.expect("invoice_documents", looked, count(session, select(func.count()).select_from(InvoiceDocument)))


def _check_settlements(session: Session, tally: Tally) -> None:
    """What each ledger transaction put on receivables is what its settlements say, kind by kind."""
    statement = (
        select(
            InvoiceSettlement.transaction_id,
            InvoiceSettlement.kind,
            func.sum(InvoiceSettlement.amount_minor),
            func.count(),
        )
        .group_by(InvoiceSettlement.transaction_id, InvoiceSettlement.kind)
        .order_by(InvoiceSettlement.transaction_id)
    )
    looked = 0
    for transaction_id, kind, settled_minor, rows in session.execute(statement).all():
        looked += rows
        tally.look(rows)
        entries = session.execute(
            select(LedgerEntry.credit_account_id, LedgerEntry.debit_account_id, LedgerEntry.amount_minor).where(
                LedgerEntry.transaction_id == transaction_id, LedgerEntry.kind.in_(_SETTLING.get(kind, ()))
            )
        )
        booked = sum(
            minor * (("/receivable/" in credit) - ("/receivable/" in debit)) for credit, debit, minor in entries
        )
        if booked != int(settled_minor):
            sentence = f"settles {settled_minor} minor units by {kind}, the ledger put {booked} on receivables"
            tally.differ(transaction_id, sentence, settled_minor=int(settled_minor), ledger_minor=booked)
    astray = (
        select(InvoiceSettlement.id, InvoiceSettlement.invoice_id)
        .outerjoin(InvoiceHeader, InvoiceHeader.id == InvoiceSettlement.invoice_id)
        .where(InvoiceHeader.number.is_(None))
    )
    for settlement_id, invoice_id in session.execute(astray).all():
        tally.differ(settlement_id, f"settles {invoice_id}, which was never issued")
    there = count(session, select(func.count()).select_from(InvoiceSettlement))
    tally.expect("invoice_settlements", looked, there)


def _check_figures(session: Session, tally: Tally) -> None:
    """What an account owes on invoices is what its invoices have open; what is unbilled is what its open charges hold."""
    issued = (InvoiceHeader.kind == "invoice", InvoiceHeader.state == "issued")
    owed = _by_account(
        session,
        select(InvoiceHeader.billing_account_id, InvoiceHeader.currency, func.sum(InvoiceHeader.payable_minor))
        .where(*issued)
        .group_by(InvoiceHeader.billing_account_id, InvoiceHeader.currency),
    )
    settled = _by_account(
        session,
        select(InvoiceHeader.billing_account_id, InvoiceHeader.currency, func.sum(InvoiceSettlement.amount_minor))
        .join(InvoiceSettlement, InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .where(*issued)
        .group_by(InvoiceHeader.billing_account_id, InvoiceHeader.currency),
    )
    unbilled = _by_account(
        session,
        select(Charge.billing_account_id, Charge.currency, func.sum(Charge.posted_minor))
        .outerjoin(InvoiceHeader, (InvoiceHeader.id == Charge.draft_id) & (InvoiceHeader.state == "issued"))
        .where(InvoiceHeader.id.is_(None))
        .group_by(Charge.billing_account_id, Charge.currency),
    )
    for account_id in streams.account_ids(session):
        figures = {balance.currency: balance for balance in balances.of_account(session, account_id)}
        for currency in sorted(figures.keys() | {key[1] for key in (*owed, *unbilled) if key[0] == account_id}):
            balance = figures.get(currency)
            key = (account_id, currency)
            tally.look()
            for what, ledger_minor, rows_minor in (
                ("receivable", balance.receivable_minor if balance else 0, settled.get(key, 0) - owed.get(key, 0)),
                ("unbilled", balance.unbilled_minor if balance else 0, -unbilled.get(key, 0)),
            ):
                if ledger_minor != rows_minor:
                    sentence = f"its {what} stands at {ledger_minor} {currency}, invoices and charges make {rows_minor}"
                    tally.differ(account_id, sentence, ledger_minor=ledger_minor, rows_minor=rows_minor)


def _by_account(session: Session, statement: Any) -> dict[tuple[str, str], int]:
    return {(account_id, currency): int(minor) for account_id, currency, minor in session.execute(statement)}


def _sum(session: Session, statement: Any) -> int:
    return int(session.execute(statement).scalar() or 0)
