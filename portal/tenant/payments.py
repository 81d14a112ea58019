"""Payments received: the list, and one with its receipt, its refunds, and where it stands in the books."""

from flask import Response, render_template

from billing.invoicing import invoices as documents
from billing.payments import receipt_files, refunds, sessions
from portal import access, htmx, services
from portal.tenant import blueprint, query
from portal.tenant.query import Query

_PAGE_SIZE = 50
_REFUNDS = 200
_PURPOSES = {"top_up": "The wallet", "invoice": "An invoice", "bank_transfer": "Bank transfer"}


@blueprint.get("/payments")
@access.requires("billing.read")
def payments() -> Response:
    """All payments of the account, newest first."""
    account, url = access.current_account(), Query()
    with services.database().reading() as session:
        total = sessions.count_payments(session, account_id=account.id)
        page = query.last_page(url.page(), _PAGE_SIZE, total)
        rows = sessions.list_payments(session, account_id=account.id, limit=_PAGE_SIZE, offset=(page - 1) * _PAGE_SIZE)
        numbers = receipt_files.numbers_of(session, [row.transaction_id for row in rows])
    return htmx.render(
        "tenant/payments/index.html",
        "tenant/payments/_list.html",
        rows=rows,
        numbers=numbers,
        purposes=_PURPOSES,
        total=total,
        page=page,
        page_size=_PAGE_SIZE,
        notices=url.notices,
        may_pay="billing.write" in account.permissions,
        zone=account.zone,
    )


@blueprint.get("/payments/<payment_id>")
@access.requires("billing.read")
def payments_detail(payment_id: str) -> str:
    """One payment with everything that hangs on it."""
    account = access.current_account()
    with services.database().reading() as session:
        row = sessions.get_payment(session, account_id=account.id, payment_id=query.path_key(payment_id))
        number = receipt_files.numbers_of(session, [row.transaction_id]).get(row.transaction_id)
        found = refunds.list_requests(session, account_id=account.id, limit=_REFUNDS)
        invoice = (
            documents.get_invoice(session, now=services.now(), key=row.invoice_id, account_id=account.id).row
            if row.invoice_id
            else None
        )
    return render_template(
        "tenant/payments/detail.html",
        row=row,
        receipt=number,
        invoice=invoice,
        purpose=_PURPOSES.get(row.purpose, row.purpose),
        refunds=[refund for refund in found if refund.payment_id == row.id],
        may_ask="refund.request" in account.permissions and row.rest_minor > 0 and row.session_id is not None,
        zone=account.zone,
    )
