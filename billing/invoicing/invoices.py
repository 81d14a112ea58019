"""Invoices as pages, API and command line read them: rows with their derived state, and one document with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import BillingAccount, Seller
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceEvent, InvoiceHeader, InvoiceSettlement
from billing.kernel.clock import get_zone
from billing.kernel.errors import NotFound
from billing.rating.tables import BillingPeriod
from billing.storage.columns import Code, Day, Minor

STATES = (
    "draft",
    "in_review",
    "approved",
    "issued",
    "part_paid",
    "overdue",
    "disputed",
    "paid",
    "credited",
    "uncollectible",
    "void",
)

Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class InvoiceRow:
    """One invoice or credit note. `due_minor` is what is left to pay; `period` a label such as "2016-12"."""

    id: str
    kind: str
    number: str | None
    account_id: str
    account: str
    period: str | None
    state: str
    currency: str
    allowance_minor: int  # taken off before tax: lines - allowances = net
    net_minor: int
    tax_minor: int
    rounding_minor: int  # of prices that include tax, and of a credit by amount: the cents that are neither net nor VAT
    total_minor: int  # what it asks for or gives back: net + tax + rounding
    due_minor: int
    issued_on: date | None
    due_on: date | None
    drafted_at: datetime
    corrects_id: str | None
    corrects_number: str | None


@dataclass(frozen=True, kw_only=True)
class InvoiceSum:
    """Documents of one kind in one currency, added up: with tax, and what is left to pay."""

    currency: str
    kind: str
    count: int
    payable_minor: int
    due_minor: int


@dataclass(frozen=True, kw_only=True)
class SettlementRow:
    """What settled a part of an invoice: wallet, payment or credit_note; negative where it was undone."""

    kind: str
    amount_minor: int
    transaction_id: str
    settled_at: datetime


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """What happened to a document."""

    type: str
    happened_at: datetime
    actor: str
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InvoiceDetail:
    """One document, what it says, and what happened to it since."""

    row: InvoiceRow
    document: InvoiceDocument
    snapshot_hash: str | None
    transaction_id: str | None
    approved_by: str | None
    settlements: Sequence[SettlementRow]
    credit_notes: Sequence[InvoiceRow]  # issued ones: a draft has corrected nothing
    events: Sequence[EventRow]
    pdf_sha256: str | None
    file_hashes: Mapping[str, str]  # format -> SHA-256 of every stored file


@dataclass(frozen=True, kw_only=True)
class StoredPdf:
    """The rendered bytes, the same for ever."""

    content: bytes
    sha256: str
    file_name: str


def list_invoices(
    session: Session,
    *,
    now: datetime,
    account_id: str | None = None,
    states: Sequence[str] = (),
    kind: str | None = None,
    period_label: str | None = None,
    sort: str = "-issued",
    limit: int = 50,
    offset: int = 0,
) -> list[InvoiceRow]:
    """Invoices and credit notes. `sort`: issued, due, total, number, account, each also with a leading minus.

    One row per document: (id, number, account, period, state, sums in minor units, what is left to pay, dates).
    """
    statement = _filtered(_rows(session, now), session, now, account_id, states, kind, period_label)
    ordered = statement.order_by(*_order(sort)).limit(limit).offset(offset)
    return [_row(found) for found in session.execute(ordered).all()]


def list_issued(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    after: tuple[date, str] | None = None,
    states: Sequence[str] = (),
    period_label: str | None = None,
    limit: int = 50,
) -> list[InvoiceRow]:
    """The account's issued documents in the order of issue, behind `after` (issued_on, id) of the last one that was read."""
    statement = _filtered(_rows(session, now), session, now, account_id, states, None, period_label)
    statement = statement.where(InvoiceHeader.state == "issued")
    if after is not None:
        issued_on, last_id = after
        statement = statement.where(
            (InvoiceHeader.issued_on > issued_on)
            | ((InvoiceHeader.issued_on == issued_on) & (InvoiceHeader.id > last_id))
        )
    ordered = statement.order_by(InvoiceHeader.issued_on, InvoiceHeader.id).limit(limit)
    return [_row(found) for found in session.execute(ordered).all()]


def count_invoices(
    session: Session,
    *,
    now: datetime,
    account_id: str | None = None,
    states: Sequence[str] = (),
    kind: str | None = None,
    period_label: str | None = None,
) -> int:
    """How many `list_invoices` would give without a limit."""
    statement = _filtered(_rows(session, now), session, now, account_id, states, kind, period_label)
    return session.execute(select(func.count()).select_from(statement.subquery())).scalar_one()


def sum_invoices(
    session: Session,
    *,
    now: datetime,
    account_id: str | None = None,
    states: Sequence[str] = (),
    kind: str | None = None,
) -> list[InvoiceSum]:
    """What `list_invoices` would give without a limit, added up per currency and kind: never across currencies."""
    found = _filtered(_rows(session, now), session, now, account_id, states, kind, None).subquery()
    payable = found.c.total_minor + found.c.rounding_minor
    grouped = (
        select(found.c.currency, found.c.kind, func.count(), func.sum(payable), func.sum(found.c.due_minor))
        .group_by(found.c.currency, found.c.kind)
        .order_by(found.c.currency, found.c.kind.desc())
    )
    return [
        InvoiceSum(currency=currency, kind=kind_of, count=count, payable_minor=int(minor), due_minor=int(due))
        for currency, kind_of, count, minor, due in session.execute(grouped)
    ]


def get_invoice(session: Session, *, now: datetime, key: str, account_id: str | None = None) -> InvoiceDetail:
    """One document by id or number, narrowed to an account where one is named. Raises NotFound."""
    header = _header(session, key, account_id)
    rows = _rows(session, now)
    found = session.execute(rows.where(InvoiceHeader.id == header.id)).one()
    issued_notes = (InvoiceHeader.corrects_id == header.id) & (InvoiceHeader.state == "issued")
    notes = session.execute(rows.where(issued_notes).order_by(InvoiceHeader.id)).all()
    settlements = session.scalars(
        select(InvoiceSettlement).where(InvoiceSettlement.invoice_id == header.id).order_by(InvoiceSettlement.id)
    )
    of_document = select(InvoiceEvent).where(InvoiceEvent.invoice_id == header.id)
    happened = session.scalars(of_document.order_by(InvoiceEvent.happened_at, InvoiceEvent.id))
    stored = select(DocumentRow.format, DocumentRow.sha256).where(DocumentRow.invoice_id == header.id)
    hashes = {row.format: row.sha256 for row in session.execute(stored)}
    return InvoiceDetail(
        row=_row(found),
        document=model.from_snapshot(header.snapshot or {}),
        snapshot_hash=header.snapshot_hash,
        transaction_id=header.transaction_id,
        approved_by=header.approved_by,
        settlements=[
            SettlementRow(
                kind=one.kind,
                amount_minor=one.amount_minor,
                transaction_id=one.transaction_id,
                settled_at=one.settled_at,
            )
            for one in settlements
        ],
        credit_notes=[_row(note) for note in notes],
        events=[
            EventRow(type=one.type, happened_at=one.happened_at, actor=one.actor, facts=one.facts) for one in happened
        ],
        pdf_sha256=hashes.get("pdf"),
        file_hashes=hashes,
    )


def find_pdf(session: Session, *, invoice_id: str, account_id: str | None = None) -> StoredPdf | None:
    """The rendered document by id or number; None while it waits for the renderer. Raises NotFound."""
    header = _header(session, invoice_id, account_id)
    row = session.get(DocumentRow, (header.id, "pdf"))
    if row is None:
        return None
    return StoredPdf(content=row.content, sha256=row.sha256, file_name=f"{header.number}.pdf")


def find_id(session: Session, key: str) -> str | None:
    """The id of the document with that id or number, or None."""
    return session.scalars(
        select(InvoiceHeader.id).where((InvoiceHeader.id == key) | (InvoiceHeader.number == key))
    ).first()


def _header(session: Session, key: str, account_id: str | None) -> InvoiceHeader:
    header_id = find_id(session, key)
    header = session.get(InvoiceHeader, header_id) if header_id else None
    if header is None or account_id not in (None, header.billing_account_id):
        raise NotFound(invoice=key[:60])
    return header


def _settled() -> ColumnElement[int]:
    return func.coalesce(
        select(func.sum(InvoiceSettlement.amount_minor))
        .where(InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .correlate(InvoiceHeader)
        .scalar_subquery(),
        literal(0, Minor),
    )


def _credited(*, own_lines: bool = True) -> ColumnElement[int]:
    """What was taken back of its own lines, or by all credit notes that name it; one of other charges alone settles as a payment does."""
    note = aliased(InvoiceHeader)
    found = select(func.sum(note.total_minor + note.rounding_minor)).where(
        note.corrects_id == InvoiceHeader.id, note.state == "issued"
    )
    return func.coalesce(
        (found.where(~note.takes_charges) if own_lines else found).correlate(InvoiceHeader).scalar_subquery(),
        literal(0, Minor),
    )


def _written_off() -> ColumnElement[int]:
    return func.coalesce(
        select(func.sum(InvoiceSettlement.amount_minor))
        .where(InvoiceSettlement.invoice_id == InvoiceHeader.id, InvoiceSettlement.kind == "write_off")
        .correlate(InvoiceHeader)
        .scalar_subquery(),
        literal(0, Minor),
    )


def _is_disputed() -> ColumnElement[bool]:
    """Whether a bank has taken back a payment of it, and that is not decided: more disputes have begun than ended."""
    counted = case((InvoiceEvent.type == "disputed", 1), (InvoiceEvent.type == "dispute_ended", -1), else_=0)
    standing = (
        select(func.sum(counted))
        .where(InvoiceEvent.invoice_id == InvoiceHeader.id, InvoiceEvent.type.in_(("disputed", "dispute_ended")))
        .correlate(InvoiceHeader)
        .scalar_subquery()
    )
    return func.coalesce(standing, literal(0, Minor)) > 0


def _due() -> ColumnElement[int]:
    is_open = (InvoiceHeader.kind == "invoice") & (InvoiceHeader.state == "issued")
    return case((is_open, InvoiceHeader.payable_minor - _settled()), else_=literal(0, Minor))


def _state(session: Session, now: datetime) -> ColumnElement[str]:
    """The state of a document today, from header, settlements, credit notes and due date. A day begins in the seller's zone."""
    zones = session.execute(select(Seller.id, Seller.zone)).all()
    days = [
        (InvoiceHeader.seller_id == id, literal(now.astimezone(get_zone(zone)).date(), Day())) for id, zone in zones
    ]
    today: ColumnElement[Any] = case(*days, else_=literal(now.date(), Day())) if days else literal(now.date(), Day())
    return case(
        (
            (InvoiceHeader.state == "draft") & InvoiceHeader.review_started_at.is_not(None),
            literal("in_review", Code),
        ),
        (InvoiceHeader.state != "issued", InvoiceHeader.state),
        (InvoiceHeader.kind == "credit_note", literal("issued", Code)),
        (_is_disputed(), literal("disputed", Code)),
        (
            (_credited() > 0) & (_credited(own_lines=False) >= InvoiceHeader.payable_minor),
            literal("credited", Code),
        ),
        ((_due() <= 0) & (_written_off() > 0), literal("uncollectible", Code)),
        (_due() <= 0, literal("paid", Code)),
        (InvoiceHeader.due_on < today, literal("overdue", Code)),
        (_settled() > 0, literal("part_paid", Code)),
        else_=literal("issued", Code),
    )


def _rows(session: Session, now: datetime) -> Rows:
    corrected = aliased(InvoiceHeader)
    rows: Rows = (
        select(
            InvoiceHeader,
            BillingAccount.code.label("account"),
            BillingPeriod.label.label("period"),
            corrected.number.label("corrects_number"),
            _due().label("due_minor"),
            _state(session, now).label("derived_state"),
        )
        .join(BillingAccount, BillingAccount.id == InvoiceHeader.billing_account_id)
        .outerjoin(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .outerjoin(corrected, corrected.id == InvoiceHeader.corrects_id)
    )
    return rows


def _filtered(
    statement: Rows,
    session: Session,
    now: datetime,
    account_id: str | None,
    states: Sequence[str],
    kind: str | None,
    period_label: str | None,
) -> Rows:
    if account_id is not None:
        statement = statement.where(InvoiceHeader.billing_account_id == account_id)
    if kind is not None:
        statement = statement.where(InvoiceHeader.kind == kind)
    if period_label is not None:
        statement = statement.where(BillingPeriod.label == period_label)
    if states:
        statement = statement.where(_state(session, now).in_(states))
    return statement


_SORTS: dict[str, Any] = {
    "issued": InvoiceHeader.issued_on,
    "due": InvoiceHeader.due_on,
    "total": InvoiceHeader.payable_minor,
    "number": InvoiceHeader.number,
    "account": BillingAccount.code,
}


def _order(sort: str) -> tuple[ColumnElement[Any], ...]:
    """Enumerated columns only. Drafts, which have no dates yet, stand first among the newest."""
    column = _SORTS.get(sort.removeprefix("-"), InvoiceHeader.issued_on)
    if sort.startswith("-"):
        return column.desc().nulls_first(), InvoiceHeader.id.desc()
    return column.asc().nulls_last(), InvoiceHeader.id.asc()


def _row(found: Any) -> InvoiceRow:
    header: InvoiceHeader = found.InvoiceHeader
    return InvoiceRow(
        id=header.id,
        kind=header.kind,
        number=header.number,
        account_id=header.billing_account_id,
        account=found.account,
        period=found.period,
        state=found.derived_state,
        currency=header.currency,
        allowance_minor=header.allowance_minor,
        net_minor=header.net_minor,
        tax_minor=header.tax_minor,
        rounding_minor=header.rounding_minor,
        total_minor=header.payable_minor,
        due_minor=int(found.due_minor),
        issued_on=header.issued_on,
        due_on=header.due_on,
        drafted_at=header.drafted_at,
        corrects_id=header.corrects_id,
        corrects_number=found.corrects_number,
    )
