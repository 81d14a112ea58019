"""GET /billing/invoices: issued documents, one of them whole, and its files. Drafts are the operators' until they are issued."""

from datetime import date
from typing import Any

from flask import Response

from billing.accounts import names
from billing.invoicing import invoices as documents
from billing.invoicing.documents import files
from billing.invoicing.errors import NotReady
from billing.invoicing.invoices import InvoiceDetail as Detail
from billing.invoicing.invoices import InvoiceRow
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Session
from portal import errors, services
from portal.api import answers, cursors, keys, parameters
from portal.api.evidence import InvoiceDetail, Settlement
from portal.api.schemas import Invoice, InvoicePage
from portal.api.values import Money

STATES = ("issued", "part_paid", "overdue", "disputed", "paid", "credited")


@keys.needs("billing.read")
def list_invoices() -> Response:
    """In the order of issue."""
    parameters.refuse_unknown("account", "limit", "cursor", "state", "period")
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        rows = documents.list_issued(
            session,
            now=services.now(),
            account_id=account.id,
            after=_position(cursors.read(account.id)),
            states=(state,) if state else (),
            period_label=parameters.month("period"),
            limit=limit + 1,
        )
    page = rows[:limit]
    position = [str(page[-1].issued_on), page[-1].id] if len(rows) > limit else None
    return answers.of(
        InvoicePage(
            data=[_row(row) for row in page],
            next_cursor=cursors.write(account.id, position) if position is not None else None,
        )
    )


@keys.needs("billing.read")
def show_invoice(invoice_id: str) -> Response:
    """One document, by id or number."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        found = _issued(session, invoice_id)
    return answers.of(
        InvoiceDetail(
            invoice=_row(found.row),
            document=found.document.to_snapshot(),
            content_hash=found.snapshot_hash or "",
            ledger_transaction=found.transaction_id or "",
            settlements=[
                Settlement(
                    kind=one.kind,
                    amount=Money(amount_minor=one.amount_minor, currency=found.row.currency),
                    transaction=one.transaction_id,
                    settled_at=one.settled_at,
                )
                for one in found.settlements
            ],
            credit_notes=[note.number for note in found.credit_notes if note.number],
            pdf_sha256=found.pdf_sha256,
        )
    )


@keys.needs("billing.read")
def download_invoice(invoice_id: str) -> Response:
    """The stored PDF; 409 with Retry-After while the renderer has not made it."""
    return _download(invoice_id, "pdf")


@keys.needs("billing.read")
def download_xml(invoice_id: str) -> Response:
    """The stored CII, the same that the PDF carries."""
    return _download(invoice_id, "xml")


@keys.needs("billing.read")
def download_ubl(invoice_id: str) -> Response:
    """The stored UBL."""
    return _download(invoice_id, "ubl")


@keys.needs("billing.read")
def download_csv(invoice_id: str) -> Response:
    """The stored CSV."""
    return _download(invoice_id, "csv")


def _download(invoice_id: str, format: str) -> Response:
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        found = _issued(session, invoice_id)
        stored = files.find(session, key=found.row.id, format=format, account_id=found.row.account_id)
    if stored is None:
        answer = errors.of_refusal(NotReady(invoice_id=found.row.id))
        answer.headers["Retry-After"] = "5"
        return answer
    response = Response(stored.content, mimetype=stored.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=stored.file_name)
    response.set_etag(stored.sha256)
    return answers.conditional(response)


def _issued(session: Session, key: str) -> Detail:
    """The issued document of the call's account. Raises NotFound for a draft and for another account's too."""
    account = keys.account_of(session, parameters.text("account"))
    if len(key) > 100 or not names.is_safe(key):
        raise NotFound(invoice=names.shown(key))
    found = documents.get_invoice(session, now=services.now(), key=key, account_id=account.id)
    if found.row.number is None:
        raise NotFound(invoice=names.shown(key))
    return found


def _position(cursor: Any | None) -> tuple[date, str] | None:
    if cursor is None:
        return None
    try:
        issued_on, last_id = cursor
        return date.fromisoformat(issued_on), str(last_id)
    except (TypeError, ValueError):
        raise Invalid(field="cursor", reason="bad_cursor") from None


def _row(row: InvoiceRow) -> Invoice:
    def money(minor: int) -> Money:
        return Money(amount_minor=minor, currency=row.currency)

    return Invoice(
        id=row.id,
        number=row.number or "",
        kind="credit_note" if row.kind == "credit_note" else "invoice",
        account=row.account,
        period=row.period,
        state=row.state,
        issued_on=str(row.issued_on),
        due_on=str(row.due_on) if row.due_on else None,
        allowance=money(row.allowance_minor),
        net=money(row.net_minor),
        tax=money(row.tax_minor),
        rounding=money(row.rounding_minor),
        total=money(row.total_minor),
        due=money(row.due_minor),
        corrects=row.corrects_number,
    )
