"""What our own books say against a dispute: who paid, what they used, what it cost, what they were told, and the proof of it all."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory, profiles
from billing.accounts.access_tables import UserSession
from billing.accounts.tables import ApiKey, BillingAccount, Membership, User
from billing.invoicing import invoices
from billing.kernel.money import Money
from billing.ledger.tables import LedgerTransaction, SignedRoot
from billing.metering import summaries
from billing.payments import receipt_files
from billing.payments.disputes import evidence, fields
from billing.payments.disputes.tables import Dispute
from billing.payments.tables import Payment
from billing.rating.tables import RatedLine
from billing.storage.tables import AuditRecord, Delivery, OutboxMessage

_BEFORE_PAYMENT, _MOST_ROWS = timedelta(days=60), 200


@dataclass(frozen=True, kw_only=True)
class Collected:
    """A whole answer, put together: texts by field, and files as (field, name, bytes)."""

    texts: dict[str, str]
    files: tuple[tuple[str, str, bytes], ...]


def collect(session: Session, *, now: datetime, dispute_id: str) -> Collected:
    """What can be said about a dispute of a payment that we know; nothing of one that we do not. Reads only."""
    item = evidence.get_dispute(session, dispute_id)
    if item.payment_id is None or item.billing_account_id is None:
        return Collected(texts={}, files=())
    payment = session.get_one(Payment, item.payment_id)
    account = directory.get_account(session, item.billing_account_id)
    profile = profiles.get_profile(session, account.id)
    people = _people(session, account)
    texts = {
        "customer_name": profile.legal_name,
        "customer_email_address": profile.email or (people[0].login if people else ""),
        "customer_purchase_ip": _address_at(session, people, payment.received_at),
        "billing_address": "\n".join(
            (profile.legal_name, profile.street, f"{profile.postcode} {profile.city}", profile.country)
        ),
        "product_description": _sold(session, account),
        "service_date": _service_date(session, now, item, payment),
        "access_activity_log": _access(session, account, people, payment.received_at),
        "uncategorized_text": _story(session, now, item, payment, account),
    }
    return Collected(
        texts={name: fields.shorten(text) for name, text in texts.items() if text},
        files=tuple(_documents(session, item, payment)),
    )


def _people(session: Session, account: BillingAccount) -> list[User]:
    query = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.tenant_id == (account.tenant_id or ""))
        .order_by(Membership.created_at, User.id)
    )
    return list(session.scalars(query))


def _address_at(session: Session, people: list[User], at: datetime) -> str:
    query = (
        select(UserSession.address)
        .where(UserSession.user_id.in_([user.id for user in people]), UserSession.created_at <= at)
        .order_by(UserSession.created_at.desc())
        .limit(1)
    )
    return session.execute(query).scalar_one_or_none() or ""


def _sold(session: Session, account: BillingAccount) -> str:
    seller = directory.get_seller(session, account.seller_id)
    return (
        f"Cloud computing by {seller.legal_name}, billed by metered use: processors, memory, GPUs, storage and tokens, provided to "
        f"the account {account.code} from the moment it asked for them. Nothing is shipped."
    )


def _service_date(session: Session, now: datetime, item: Dispute, payment: Payment) -> str:
    if item.invoice_id is None:
        return f"from {payment.received_at:%Y-%m-%d}"
    detail = invoices.get_invoice(session, now=now, key=item.invoice_id)
    return detail.row.period or str(detail.row.issued_on)


def _access(session: Session, account: BillingAccount, people: list[User], paid_at: datetime) -> str:
    since = paid_at - _BEFORE_PAYMENT
    names = {user.id: user.login for user in people}
    lines = [f"Sign-ins and acts of the people of {account.code} since {since:%Y-%m-%d}, times in UTC"]
    sign_ins = session.execute(
        select(UserSession.created_at, UserSession.user_id, UserSession.address, UserSession.agent)
        .where(UserSession.user_id.in_(list(names)), UserSession.created_at >= since)
        .order_by(UserSession.created_at.desc())
        .limit(_MOST_ROWS)
    )
    for at, user_id, address, agent in sign_ins:
        lines.append(f"{at:%Y-%m-%d %H:%M} sign-in {names[user_id]} from {address}, {' '.join(agent.split())[:80]}")
    acts = session.execute(
        select(AuditRecord.recorded_at, AuditRecord.actor, AuditRecord.act, AuditRecord.subject_id)
        .where(
            AuditRecord.billing_account_id == account.id,
            AuditRecord.actor.in_(list(names)),
            AuditRecord.recorded_at >= since,
        )
        .order_by(AuditRecord.recorded_at.desc())
        .limit(_MOST_ROWS)
    )
    lines += [f"{at:%Y-%m-%d %H:%M} {act} {subject} by {names[actor]}" for at, actor, act, subject in acts]
    keys = session.execute(
        select(ApiKey.prefix, ApiKey.created_at, ApiKey.last_used_at).where(
            ApiKey.tenant_id == (account.tenant_id or "")
        )
    )
    for prefix, created_at, used_at in keys:
        used = f"last used {used_at:%Y-%m-%d %H:%M}" if used_at else "never used"
        lines.append(f"{created_at:%Y-%m-%d %H:%M} API key {prefix} made, {used}")
    return "\n".join(lines)


def _story(session: Session, now: datetime, item: Dispute, payment: Payment, account: BillingAccount) -> str:
    amount = Money(minor=payment.amount_minor, currency=payment.currency)
    how = f", {payment.method_label}" if payment.method_label else ""
    parts = [
        f"Payment {payment.provider_payment_id} of {amount.to_decimal()} {payment.currency} received {_at(payment.received_at)}{how}.",
        *_invoiced(session, now, item),
        *_used(session, account, payment.received_at, now),
        *_proof(session, account, payment),
        *_told(session, account, payment.received_at),
    ]
    return "\n".join(parts)


def _invoiced(session: Session, now: datetime, item: Dispute) -> list[str]:
    if item.invoice_id is None:
        return ["It was added to the account's balance, from which what it used was paid."]
    detail = invoices.get_invoice(session, now=now, key=item.invoice_id)
    lines = [
        f"It paid invoice {detail.row.number} of {detail.row.issued_on}, document hash SHA-256 {detail.pdf_sha256}:"
    ]
    for line in list(detail.document.lines)[:_MOST_ROWS]:
        amount = Money(minor=line.amount_minor, currency=detail.row.currency).to_decimal()
        lines.append(f"  {line.description}: {line.quantity_text} {line.unit}, {amount} {detail.row.currency}")
    return lines


def _used(session: Session, account: BillingAccount, paid_at: datetime, now: datetime) -> list[str]:
    since = paid_at - _BEFORE_PAYMENT
    rows = summaries.summarize(
        session, by="month", account_id=account.id, per_account=True, from_at=since, to_at=now, zone="UTC"
    )
    lines = [f"Usage of the account from {since:%Y-%m-%d}, by month:"]
    lines += [f"  {row.period} {row.meter}: {float(row.quantity):,.3f} {row.unit}" for row in rows[:_MOST_ROWS]]
    count, first, last = session.execute(
        select(func.count(RatedLine.id), func.min(RatedLine.line_seq), func.max(RatedLine.line_seq)).where(
            RatedLine.billing_account_id == account.id, RatedLine.rated_at >= since
        )
    ).one()
    if not rows and not count:
        return ["The account has used nothing yet."]
    if count:
        digest = session.execute(
            select(RatedLine.line_hash).where(RatedLine.billing_account_id == account.id, RatedLine.line_seq == last)
        ).scalar_one()
        lines.append(
            f"Each use was priced on its own: {count} rated lines, {first} to {last}; the last hashes to {digest}."
        )
    return lines


def _proof(session: Session, account: BillingAccount, payment: Payment) -> list[str]:
    posted = session.get_one(LedgerTransaction, payment.transaction_id)
    lines = [
        f"In the ledger: transaction {posted.id}, number {posted.chain_seq} of the account's chain, SHA-256 {posted.hash}."
    ]
    root = session.execute(
        select(SignedRoot).where(SignedRoot.signed_at >= posted.recorded_at).order_by(SignedRoot.seq).limit(1)
    ).scalar_one_or_none()
    if root is not None:
        lines.append(f"Under the signed root {root.seq} of {_at(root.signed_at)}, SHA-256 {root.hash}.")
    return lines


def _told(session: Session, account: BillingAccount, paid_at: datetime) -> list[str]:
    rows = session.execute(
        select(Delivery.ended_at, OutboxMessage.topic, Delivery.recipient)
        .join(OutboxMessage, OutboxMessage.id == Delivery.message_id)
        .where(
            Delivery.billing_account_id == account.id,
            Delivery.state == "sent",
            Delivery.channel == "email",
            Delivery.created_at >= paid_at - _BEFORE_PAYMENT,
        )
        .order_by(Delivery.ended_at)
        .limit(_MOST_ROWS)
    ).all()
    if not rows:
        return []
    return ["E-mails sent to the customer:", *(f"  {_at(at)} {topic} to {to}" for at, topic, to in rows if at)]


def _documents(session: Session, item: Dispute, payment: Payment) -> list[tuple[str, str, bytes]]:
    found: list[tuple[str, str, bytes]] = []
    number = receipt_files.numbers_of(session, [payment.transaction_id]).get(payment.transaction_id)
    receipt = receipt_files.find_pdf(session, number) if number else None
    if receipt is not None:
        found.append(("receipt", receipt.file_name, receipt.content))
    invoice = invoices.find_pdf(session, invoice_id=item.invoice_id) if item.invoice_id else None
    if invoice is not None:
        found.append(("service_documentation", invoice.file_name, invoice.content))
    return found


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
