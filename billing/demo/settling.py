"""The money side of the demo: top-ups, invoices and their payments, refunds; all through the services that real money uses."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from billing.demo.tenants import Tenant
from billing.invoicing import drafts, invoices, issue
from billing.kernel import periods
from billing.kernel.money import Money
from billing.kernel.periods import Period
from billing.payments import acts, apply, refunds, sessions, webhooks
from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox import SandboxProvider
from billing.payments.tables import PaymentSession, RefundRequest
from billing.storage.database import Database

_MAKER, _APPROVER = "mia@plumbline.example", "otto@plumbline.example"
# Days after the month's end on which each tenant pays its invoice; whoever is missing has not paid yet.
_PAYS_AFTER_DAYS = {"northwind": 9, "tidewater": 20}
_UNREVIEWED = "tidewater"  # its newest invoice waits in review, so that the workbench has something to show


def top_up(
    database: Database,
    providers: Mapping[str, Provider],
    tenant: Tenant,
    account_id: str,
    month: Period,
    *,
    now: datetime,
    actor: str,
) -> None:
    """The tenant's top-ups of a month that lie before `now`."""
    for day, amount_minor in tenant.top_ups:
        at = month.start_at + timedelta(days=day - 1, hours=10)
        if at <= now:
            pay(
                database,
                providers,
                account_id,
                Money(minor=amount_minor, currency="USD"),
                at=at,
                actor=actor,
                key=f"demo-top-up-{at:%Y-%m-%d}",
            )


def bill(
    database: Database,
    providers: Mapping[str, Provider],
    account_ids: Mapping[str, str],
    month: Period,
    people: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """Draft, approve and issue a month's invoices two days after its end; whoever pays by card pays later."""
    label = periods.label_of(month.start_at, "month", "UTC")
    is_newest = month.end_at == periods.month_of(now, "UTC").start_at
    issued_at = month.end_at + timedelta(days=2, hours=8)
    if issued_at > now:
        return
    for code, account_id in account_ids.items():
        with database.transaction("jobs") as session:
            draft_id = drafts.generate(session, now=issued_at, period_label=label, account_id=account_id)
        if draft_id is None or (is_newest and code == _UNREVIEWED):
            continue
        with database.transaction("jobs") as session:
            drafts.approve(session, now=issued_at, draft_id=draft_id, actor=people[_APPROVER])
        with database.transaction("jobs") as session:
            header = issue.issue(
                session, now=issued_at + timedelta(minutes=5), draft_id=draft_id, actor=people[_APPROVER]
            )
            due_minor = invoices.get_invoice(session, now=issued_at, key=header.id).row.due_minor
            money = Money(minor=due_minor, currency=header.currency)
        paid_at = month.end_at + timedelta(days=_PAYS_AFTER_DAYS.get(code, 10_000), hours=15)
        if due_minor > 0 and paid_at <= now:
            owner = next(person for login, person in people.items() if code.split("-")[0] in login)
            pay(
                database,
                providers,
                account_id,
                money,
                at=paid_at,
                actor=owner,
                key=f"demo-invoice-{label}",
                invoice_id=draft_id,
            )


def ask_for_refunds(
    database: Database,
    providers: Mapping[str, Provider],
    account_ids: Mapping[str, str],
    people: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """One refund to a card, done; one that waits for a second person."""
    account_id, owner = account_ids["heliograph"], people["jonas@heliograph.example"]
    with database.reading("jobs") as session:
        if session.scalars(select(RefundRequest.id).where(RefundRequest.billing_account_id == account_id)).first():
            return
        payments = sessions.list_payments(session, account_id=account_id)
    if len(payments) < 2:
        return
    for turn, (payment, minor, reason) in enumerate(
        ((payments[-1], 12_000, "Paid from the wrong cost centre"), (payments[-2], 4_500, "Trial project ended early"))
    ):
        with database.transaction("jobs") as session:
            refundable = refunds.refundable(session, account_id=account_id, payment_id=payment.id)
            amount = Money(minor=min(minor, refundable.minor), currency=refundable.currency)
            if amount.minor <= 0:
                continue
            asked = refunds.request(
                session,
                now=now - timedelta(days=2 - turn),
                account_id=account_id,
                mode="card",
                amount=amount,
                reason=reason,
                form_key=f"demo-refund-{turn}",
                actor=owner,
                payment_id=payment.id,
            )
            if turn == 0:
                refunds.approve(session, now=now - timedelta(days=1), refund_id=asked.id, actor=people[_APPROVER])
        if turn == 0:
            acts.send_refund(database, providers, now=now - timedelta(days=1), refund_id=asked.id, role="jobs")
    apply.apply_pending(database, providers, now=now)


def pay(
    database: Database,
    providers: Mapping[str, Provider],
    account_id: str,
    amount: Money,
    *,
    at: datetime,
    actor: str,
    key: str,
    invoice_id: str | None = None,
) -> None:
    """One payment through the sandbox's checkout and its signed webhook. Done before under this key: nothing happens."""
    sandbox = providers["sandbox"]
    if not isinstance(sandbox, SandboxProvider):
        raise TypeError("the demo pays through the sandbox provider")
    with database.reading("jobs") as session:
        paid = select(PaymentSession.id).where(
            PaymentSession.billing_account_id == account_id,
            PaymentSession.form_key == key,
            PaymentSession.state == "paid",
        )
        if session.scalars(paid).first():
            return
    row = acts.start_checkout(
        database,
        sandbox,
        now=at,
        account_id=account_id,
        purpose="invoice" if invoice_id else "top_up",
        amount=amount,
        form_key=key,
        actor=actor,
        return_url_of=lambda session_id: f"http://127.0.0.1:8000/add-funds/{session_id}",
        invoice_id=invoice_id,
        role="jobs",
    )
    event = sandbox.pay(str(row.provider_session_id), now=at)
    with database.transaction("jobs") as session:
        stored = webhooks.receive(session, now=at, provider=sandbox, raw_body=event.body, headers=event.headers)
    apply.apply_event(database, providers, stored.id, now=at)
