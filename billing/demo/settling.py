"""The money side of the demo: top-ups, invoices and their payments, refunds; all through the services that real money uses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from billing.catalog import commitments, reservations
from billing.controls import second_person
from billing.demo import customers
from billing.demo.tenants import TENANTS, Tenant
from billing.invoicing import drafts, invoices, issue, sales
from billing.kernel import periods
from billing.kernel.money import Money
from billing.kernel.periods import Period
from billing.ledger import adjustments
from billing.payments import acts, apply, refund_offers, refunds, sessions, webhooks
from billing.payments.providers.port import Provider
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.storage.database import Database

MAKER, APPROVER = "mia@plumbline.example", "otto@plumbline.example"
# Days after the month's end on which each tenant pays its invoice; whoever is missing has not paid yet.
_PAYS_AFTER_DAYS = {"northwind": 9, "tidewater": 20}
_COMMITTED = timedelta(days=365)
_UNREVIEWED = "tidewater"  # its newest invoice waits in review, so that the workbench has something to show


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What every act of the demo needs: where it happens, who is who, and the present instant, which nothing passes."""

    database: Database
    providers: Mapping[str, Provider]
    account_ids: Mapping[str, str]
    people: Mapping[str, str]
    now: datetime


def acts_of_month(
    cloud: Cloud, month: Period, before: Period | None, *, number: int, is_present: bool
) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act) of all money acts of one month: top-ups, the invoices of the month before, refunds in the present one.

    `number` is the month's place: commitments are sold in the first, reservations begin with the second.
    """
    for tenant in TENANTS:
        for day, amount_minor in tenant.top_ups:
            at = month.start_at + timedelta(days=day - 1, hours=10)
            yield at, partial(_top_up, cloud, tenant, amount_minor, at)
    for tenant in TENANTS:
        if before is None:
            saved_at = month.start_at + timedelta(hours=8)
            yield saved_at, partial(_save_methods, cloud, tenant, saved_at)
        if before is None and tenant.commitment is not None:
            sold_at = month.start_at + timedelta(hours=9)
            yield sold_at, partial(_commit, cloud, tenant, month.start_at, sold_at)
        if number == 1 and tenant.reserved is not None:
            yield month.start_at, partial(_reserve, cloud, tenant, month.start_at)
    if before is not None:
        label = periods.label_of(before.start_at, "month", "UTC")
        for place, tenant in enumerate(TENANTS):
            issued_at = month.start_at + timedelta(days=2, hours=8, minutes=place)
            is_reviewed = not (is_present and tenant.code == _UNREVIEWED)
            yield issued_at, partial(_bill, cloud, tenant, label, issued_at, is_reviewed)
            if tenant.code in _PAYS_AFTER_DAYS:
                paid_at = month.start_at + timedelta(days=_PAYS_AFTER_DAYS[tenant.code], hours=15)
                yield paid_at, partial(_pay_invoice, cloud, tenant, label, paid_at)
    if is_present:
        yield cloud.now - timedelta(hours=2), partial(_ask_for_refunds, cloud)
        yield cloud.now - timedelta(hours=1), partial(_ask_for_a_gift, cloud)


def _top_up(cloud: Cloud, tenant: Tenant, amount_minor: int, at: datetime) -> None:
    amount = Money(minor=amount_minor, currency="USD")
    pay(cloud, tenant, amount, at=at, key=f"demo-top-up-{at:%Y-%m-%d}")


def _save_methods(cloud: Cloud, tenant: Tenant, at: datetime) -> None:
    customers.save(
        cloud.database,
        cloud.providers["sandbox"],
        tenant=tenant.code,
        account_id=cloud.account_ids[tenant.code],
        actor=cloud.people[tenant.owner],
        at=at,
    )


def _commit(cloud: Cloud, tenant: Tenant, starts_at: datetime, at: datetime) -> None:
    """Sell the tenant its commitment, by an invoice that it pays at once by card."""
    wanted, account_id, approver = tenant.commitment, cloud.account_ids[tenant.code], cloud.people[APPROVER]
    if wanted is None:
        return
    with cloud.database.transaction("jobs") as session:
        contract = commitments.create(
            session,
            now=at,
            account_id=account_id,
            name=wanted.name,
            amount=Money(minor=wanted.amount_minor, currency="USD"),
            starts_at=starts_at,
            ends_at=starts_at + _COMMITTED,
            families=wanted.families,
            actor=cloud.people[MAKER],
        )
        draft_id = sales.draft(session, now=at, contract_id=contract.id, actor=cloud.people[MAKER])
    with cloud.database.transaction("jobs") as session:
        if invoices.get_invoice(session, now=at, key=draft_id).row.state == "draft":
            drafts.approve(session, now=at, draft_id=draft_id, actor=approver)
        due_minor = issue.issue(session, now=at, draft_id=draft_id, actor=approver).total_minor
    amount = Money(minor=due_minor, currency="USD")
    pay(cloud, tenant, amount, at=at + timedelta(hours=2), key="demo-commitment", invoice_id=draft_id)


def _reserve(cloud: Cloud, tenant: Tenant, at: datetime) -> None:
    """Reserve the tenant's GPUs from the instant on."""
    wanted = tenant.reserved
    if wanted is None:
        return
    with cloud.database.transaction("jobs") as session:
        reservations.create(
            session,
            now=at,
            account_id=cloud.account_ids[tenant.code],
            wanted=reservations.Wanted(
                name=wanted.name, meter_code="gpu_hour", variant=wanted.variant, capacity=wanted.gpus, starts_at=at
            ),
            actor=cloud.people[MAKER],
        )


def _bill(cloud: Cloud, tenant: Tenant, label: str, at: datetime, is_reviewed: bool) -> None:
    """Draft, approve and issue one invoice; a tenant without charges gets none, one without review stays a draft."""
    account_id, approver = cloud.account_ids[tenant.code], cloud.people[APPROVER]
    with cloud.database.transaction("jobs") as session:
        draft_id = drafts.generate(session, now=at, period_label=label, account_id=account_id)
    if draft_id is None or not is_reviewed:
        return
    with cloud.database.transaction("jobs") as session:
        drafts.approve(session, now=at, draft_id=draft_id, actor=approver)
    with cloud.database.transaction("jobs") as session:
        issue.issue(session, now=at, draft_id=draft_id, actor=approver)


def _pay_invoice(cloud: Cloud, tenant: Tenant, label: str, at: datetime) -> None:
    """Pay what is open of the month's invoice by card."""
    account_id = cloud.account_ids[tenant.code]
    with cloud.database.reading("jobs") as session:
        rows = invoices.list_invoices(session, now=at, account_id=account_id, kind="invoice", period_label=label)
    for row in rows:
        if row.number is not None and row.due_minor > 0:
            amount = Money(minor=row.due_minor, currency=row.currency)
            pay(cloud, tenant, amount, at=at, key=f"demo-invoice-{label}", invoice_id=row.id)


def _ask_for_refunds(cloud: Cloud) -> None:
    """One refund to a card that is done, one that waits for a second person."""
    account_id, owner = cloud.account_ids["heliograph"], cloud.people["jonas@heliograph.example"]
    now = cloud.now
    with cloud.database.reading("jobs") as session:
        if refunds.list_requests(session, account_id=account_id):
            return
        payments = sessions.list_payments(session, account_id=account_id)
    wanted = ((12_000, "Paid from the wrong cost centre"), (4_500, "Trial project ended early"))
    for turn, (payment, (minor, reason)) in enumerate(zip(payments, wanted, strict=False)):
        with cloud.database.transaction("jobs") as session:
            refundable = refund_offers.refundable(session, now=now, account_id=account_id, payment_id=payment.id)
            if refundable.minor < minor:
                return
            asked = refunds.request(
                session,
                now=now - timedelta(hours=2 - turn),
                account_id=account_id,
                mode="card",
                amount=Money(minor=minor, currency=refundable.currency),
                reason=reason,
                form_key=f"demo-refund-{turn}",
                actor=owner,
                payment_id=payment.id,
            )
            if turn == 0:
                second_person.approve(
                    session,
                    now=now - timedelta(hours=2),
                    approval_id=str(asked.approval_id),
                    content_hash=str(asked.content_hash),
                    checker=cloud.people[APPROVER],
                )
        if turn == 0:
            acts.send_refund(
                cloud.database, cloud.providers, now=now - timedelta(hours=2), refund_id=asked.id, role="jobs"
            )


def _ask_for_a_gift(cloud: Cloud) -> None:
    """A credit that an operator asked for and that waits for a second one."""
    with cloud.database.transaction("jobs") as session:
        adjustments.request(
            session,
            now=cloud.now - timedelta(hours=1),
            account_id=cloud.account_ids["tidewater"],
            pair_code="gift",
            amount=Money(minor=15_000, currency="USD"),
            maker=cloud.people[MAKER],
            reason="Storage was slow for six hours on two days",
            form_key="demo-gift",
        )


def pay(cloud: Cloud, tenant: Tenant, amount: Money, *, at: datetime, key: str, invoice_id: str | None = None) -> None:
    """One payment through the sandbox's checkout and its signed webhook. Done before under this key: nothing happens."""
    account_id = cloud.account_ids[tenant.code]
    sandbox = cloud.providers["sandbox"]
    if not isinstance(sandbox, SandboxProvider):
        raise TypeError("the demo pays through the sandbox provider")
    row = acts.start_checkout(
        cloud.database,
        sandbox,
        now=at,
        account_id=account_id,
        purpose="invoice" if invoice_id else "top_up",
        amount=amount,
        form_key=key,
        actor=cloud.people[tenant.owner],
        return_url_of=lambda session_id: f"http://127.0.0.1:8000/add-funds/{session_id}",
        invoice_id=invoice_id,
        role="jobs",
    )
    if row.state == "paid":
        return
    event = sandbox.pay(str(row.provider_session_id), now=at)
    with cloud.database.transaction("jobs") as session:
        stored = webhooks.receive(session, now=at, provider=sandbox, raw_body=event.body, headers=event.headers)
    apply.apply_event(cloud.database, cloud.providers, stored.id, now=at)
