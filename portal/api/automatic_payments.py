"""/billing/automatic-payments: what the account agreed to, and its newest charges. Agreeing needs a person who reads the words, so there
is nothing here that turns anything on."""

from flask import Response

from billing.kernel import periods
from billing.kernel.money import Money as Exact
from billing.payments.charges import agreements, declines, history, intents
from billing.payments.charges.agreements import Agreement
from billing.payments.charges.history import AttemptRow
from portal import services
from portal.api import answers, keys, parameters
from portal.api.automatic_payment_schemas import AutomaticCharge, AutomaticPayments, AutomaticTopUp
from portal.api.values import Money

_SHOWN = 50


@keys.needs("billing.read")
def show_automatic_payments() -> Response:
    """The agreement in force, this month's automatic top-ups, and the newest charges, newest first."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        agreement = agreements.get(session, account.id)
        month = periods.label_of(services.now(), "month", account.zone)
        spent_minor = intents.counted_minor(session, account.id, month)
        rows = history.list_attempts(session, account_id=account.id, limit=_SHOWN)
    return answers.of(
        AutomaticPayments(
            account=account.code,
            pays_invoices=agreement.is_paying,
            top_up=_top_up(agreement),
            month=month,
            topped_up=Money(amount_minor=spent_minor, currency=agreement.currency),
            charges=[_charge(row) for row in rows],
        )
    )


def _top_up(agreement: Agreement) -> AutomaticTopUp | None:
    if agreement.top_up is None:
        return None
    return AutomaticTopUp(
        is_on=agreement.is_topping_up,
        threshold=_money(agreement.top_up.threshold),
        amount=_money(agreement.top_up.amount),
        cap=_money(agreement.top_up.cap),
    )


def _charge(row: AttemptRow) -> AutomaticCharge:
    return AutomaticCharge(
        payment_session=row.session_id,
        trigger=row.trigger,
        invoice=row.invoice_number,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        method=row.method_label,
        outcome=row.outcome,
        decline_code=declines.told_as(row.decline_code) if row.decline_code else None,
        next_try_on=None if row.next_try_on is None else row.next_try_on.isoformat(),
        payment=row.payment_id,
        created_at=row.created_at,
    )


def _money(amount: Exact) -> Money:
    return Money(amount_minor=amount.minor, currency=amount.currency)
