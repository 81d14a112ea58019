"""GET /billing/receipts: what was received, each receipt with the PDF that was made for it once."""

from flask import Response

from billing.accounts import names
from billing.invoicing.errors import NotReady
from billing.kernel.errors import NotFound
from billing.payments import receipt_files
from billing.payments.receipt_files import ReceiptLine
from portal import errors, services
from portal.api import answers, cursors, keys, parameters
from portal.api.values import Money, Out


class Receipt(Out):
    """One receipt. `ledger_transaction` is the payment that it is for; `pdf_ready` says whether its PDF is made."""

    id: str
    number: str
    account: str
    issued_on: str
    received: Money
    ledger_transaction: str
    pdf_ready: bool


class ReceiptPage(Out):
    """Receipts in the order in which they were issued."""

    data: list[Receipt]
    next_cursor: str | None


@keys.needs("billing.read")
def list_receipts() -> Response:
    """In the order of issue."""
    parameters.refuse_unknown("account", "limit", "cursor")
    limit = cursors.limit()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        after = cursors.read(account.id)
        rows = receipt_files.list_after(
            session, account_id=account.id, after=str(after) if after is not None else None, limit=limit + 1
        )
    page = rows[:limit]
    return answers.of(
        ReceiptPage(
            data=[_row(row) for row in page],
            next_cursor=cursors.write(account.id, page[-1].id) if len(rows) > limit else None,
        )
    )


@keys.needs("billing.read")
def download_receipt(receipt_id: str) -> Response:
    """The stored bytes; 409 with Retry-After while the renderer has not made them."""
    parameters.refuse_unknown("account")
    if len(receipt_id) > 100 or not names.is_safe(receipt_id):
        raise NotFound(receipt=names.shown(receipt_id))
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        pdf = receipt_files.find_pdf(session, receipt_id, account_id=account.id)
    if pdf is None:
        answer = errors.of_refusal(NotReady(invoice_id=receipt_id))
        answer.headers["Retry-After"] = "5"
        return answer
    response = Response(pdf.content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "attachment", filename=pdf.file_name)
    response.set_etag(pdf.sha256)
    return answers.conditional(response)


def _row(row: ReceiptLine) -> Receipt:
    return Receipt(
        id=row.id,
        number=row.number,
        account=row.account,
        issued_on=str(row.issued_on),
        received=Money(amount_minor=row.amount_minor, currency=row.currency),
        ledger_transaction=row.transaction_id,
        pdf_ready=row.is_rendered,
    )
