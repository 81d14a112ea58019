"""Money received becomes a credit, once: on the receivable as far as invoices are open, the rest in the wallet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.invoicing import settlement, write_offs
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger import write_offs as ledger_write_offs
from billing.ledger.entries import Entry
from billing.payments.tables import Payment
from billing.storage import audit, outbox


@dataclass(frozen=True, kw_only=True)
class Share:
    """At most so much of a payment, in minor units of its currency, is for this invoice."""

    invoice_id: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Received:
    """Confirmed money of one billing account.

    `kind` is stripe_credit or bank_credit, `cash` the ledger account it came to, `source` (type, id) the key under which the ledger
    holds it once. `shares` are filled in their order, each up to what is open of its invoice. `session_id` is None for bank money only.
    """

    account_id: str
    provider: str
    provider_payment_id: str
    amount: Money
    kind: str
    cash: str
    source: tuple[str, str]
    received_at: datetime
    actor: str
    session_id: str | None = None
    shares: tuple[Share, ...] = ()
    method_label: str | None = None
    memo: str = ""


def for_invoice(invoice_id: str | None, amount: Money) -> tuple[Share, ...]:
    """The shares of a payment that is for one invoice, or for none."""
    return () if invoice_id is None else (Share(invoice_id=invoice_id, amount_minor=amount.minor),)


def credit(session: Session, *, now: datetime, locked: Mapping[str, AccountHead], received: Received) -> Payment:
    """Credit the money in one ledger transaction and return its Payment row; the caller commits, and has looked that it is new.

    A write-off of what it pays is undone first, for the amount received. Settles the invoices, leaves an audit row and a notice.
    `locked` are the heads the caller holds, the account's among them. A payment that is there already fails on its unique keys.
    """
    head = locked[received.account_id]
    payment_id = new_id("pmt")
    parts = _parts(session, now, head, received, payment_id)
    posted = book.post(
        session,
        now=now,
        head=head,
        type="payment",
        source_type=received.source[0],
        source_id=received.source[1],
        entries=_entries(received, payment_id, parts),
        occurred_at=received.received_at,
        actor=received.actor,
        memo=received.memo or f"payment {payment_id}",
    )
    payment = Payment(
        id=payment_id,
        billing_account_id=received.account_id,
        session_id=received.session_id,
        provider=received.provider,
        provider_payment_id=received.provider_payment_id,
        amount_minor=received.amount.minor,
        currency=received.amount.currency,
        refunded_minor=0,
        transaction_id=posted.transaction_id,
        method_label=received.method_label,
        received_at=received.received_at,
    )
    session.add(payment)
    session.flush()  # unique on the provider's payment: a second credit fails here
    for share in parts:
        settlement.apply_payment(
            session,
            now=now,
            invoice_id=share.invoice_id,
            transaction_id=posted.transaction_id,
            amount_minor=share.amount_minor,
            actor=received.actor,
        )
    ledger_write_offs.undo_for_payment(
        session,
        now=now,
        head=head,
        amount=Money(minor=_rest_minor(received, parts), currency=received.amount.currency),
        actor=received.actor,
        source_id=f"{payment_id}/wallet",
    )
    _tell(session, now, received, payment_id)
    return payment


def _parts(session: Session, now: datetime, head: AccountHead, received: Received, payment_id: str) -> list[Share]:
    """What of it each invoice takes, its write-off undone first; shares that find nothing open are left out."""
    parts: list[Share] = []
    left = received.amount.minor
    for place, share in enumerate(received.shares):
        asked = min(left, share.amount_minor)
        if asked <= 0:
            continue
        write_offs.undo_for_payment(
            session,
            now=now,
            head=head,
            invoice_id=share.invoice_id,
            amount=Money(minor=asked, currency=received.amount.currency),
            actor=received.actor,
            source_id=payment_id if place == 0 else f"{payment_id}/{share.invoice_id}",
        )
        taken = min(asked, settlement.open_minor(session, share.invoice_id))
        if taken > 0:
            parts.append(Share(invoice_id=share.invoice_id, amount_minor=taken))
            left -= taken
    return parts


def _rest_minor(received: Received, parts: Sequence[Share]) -> int:
    return received.amount.minor - sum(part.amount_minor for part in parts)


def _entries(received: Received, payment_id: str, parts: Sequence[Share]) -> list[Entry]:
    named = {"payment_id": payment_id, "provider_payment_id": received.provider_payment_id}
    to_wallet = named | ({"invoice_id": received.shares[0].invoice_id} if len(received.shares) == 1 else {})
    wanted: list[tuple[str, int, dict[str, Any]]] = [
        ("receivable", part.amount_minor, named | {"invoice_id": part.invoice_id}) for part in parts
    ]
    wanted.append(("wallet", _rest_minor(received, parts), to_wallet))
    return [
        Entry(
            kind=received.kind,
            debit=received.cash,
            credit=name,
            amount=Money(minor=minor, currency=received.amount.currency),
            detail=detail,
        )
        for name, minor, detail in wanted
        if minor > 0
    ]


def _tell(session: Session, now: datetime, received: Received, payment_id: str) -> None:
    facts = {
        "amount_minor": received.amount.minor,
        "currency": received.amount.currency,
        "invoice_id": received.shares[0].invoice_id if received.shares else None,
    }
    audit.record(
        session,
        now=now,
        actor=received.actor,
        act="payment.receive",
        subject_type="payment",
        subject_id=payment_id,
        billing_account_id=received.account_id,
        facts=facts,
    )
    outbox.enqueue(
        session,
        now=now,
        topic="payment.received",
        dedup_key=f"payment.received:{payment_id}",
        payload=facts | {"payment_id": payment_id, "payment_session_id": received.session_id},
        billing_account_id=received.account_id,
    )
