"""POST /payments/checkout-session: begin a payment. The intent is stored before the provider is asked; the key makes it one."""

from flask import Response, url_for

from billing.accounts.listing import AccountRow
from billing.invoicing import invoices, settlement
from billing.kernel import money as kernel_money
from billing.kernel.errors import NotFound
from billing.payments import acts
from billing.payments.sessions import SessionRow
from billing.storage.database import Session
from portal import errors, services
from portal.api import answers, bodies, keys
from portal.api.schemas import CheckoutAnswer, CheckoutRequest
from portal.api.values import Money


@keys.needs("billing.write")
def start_checkout() -> Response:
    """201 with a page to send the person to, 202 while the provider has not answered, 502 when it refused."""
    asked = bodies.read(CheckoutRequest)
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        row, account = _start(asked)
        if row.state == "failed":
            answers.release(claim)
            return errors.problem(
                502,
                code="provider_refused",
                title="The payment provider refused",
                detail="No payment was begun. Try again with a new Idempotency-Key, or later.",
            )
        response = answers.of(_session(row, account), 202 if row.state == "unknown" else 201)
        if row.state == "unknown":
            answers.release(claim)  # not the last word: a repeat with the same key asks again
            return response
        with services.database().transaction() as session:
            return answers.keep(session, claim, response)


def _start(asked: CheckoutRequest) -> tuple[SessionRow, AccountRow]:
    with services.database().reading() as session:
        account = keys.account_of(session, asked.account)
        amount = _amount(session, account, asked)

    def return_url(session_id: str) -> str:
        return services.config().base_url + url_for("tenant.add_funds_session", session_id=session_id)

    row = acts.start_checkout(
        services.database(),
        services.default_provider(),
        now=services.now(),
        account_id=account.id,
        purpose=asked.purpose,
        amount=amount,
        form_key=answers.form_key(),
        actor=keys.actor(),
        return_url_of=return_url,
        invoice_id=asked.invoice_id,
    )
    return row, account


def _amount(session: Session, account: AccountRow, asked: CheckoutRequest) -> kernel_money.Money:
    """What is to be paid: as asked, else what is left of the invoice. Raises NotFound for another account's invoice."""
    if asked.amount is not None:
        return kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency)
    found = invoices.get_invoice(session, now=services.now(), key=asked.invoice_id or "", account_id=account.id)
    if found.row.number is None or found.row.id != asked.invoice_id:
        raise NotFound(invoice_id=asked.invoice_id)
    return kernel_money.Money(minor=settlement.open_minor(session, found.row.id), currency=found.row.currency)


def _session(row: SessionRow, account: AccountRow) -> CheckoutAnswer:
    return CheckoutAnswer(
        id=row.id,
        account=account.code,
        purpose=row.purpose,
        invoice_id=row.invoice_id,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        state=row.state,
        redirect_url=row.redirect_url,
        created_at=row.created_at,
    )
