"""Write-off of what is open on an invoice, by two people, and its undoing when money comes after all (money.md)."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import AccountHead
from billing.invoicing import events, settlement
from billing.invoicing.tables import InvoiceHeader, InvoiceTax
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.money import Money
from billing.ledger import book, write_offs
from billing.ledger.book import Posted
from billing.ledger.errors import AboveHeld

ACT, SUBJECT, KIND = "invoice.write_off", "invoice", "write_off"


def request(
    session: Session,
    *,
    now: datetime,
    invoice_id: str,
    amount_minor: int,
    with_tax: bool,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for the write-off of a gross amount of what is open on an invoice; `with_tax` where relief of its tax is claimed.

    Locks the account's head. Raises as `content_of`, and as `approvals.request`.
    """
    header = _get(session, invoice_id)
    heads.lock_one(session, header.billing_account_id)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=header.id,
        content=content_of(session, header.id, amount_minor=amount_minor, with_tax=with_tax),
        maker=maker,
        reason=reason,
        billing_account_id=header.billing_account_id,
        form_key=form_key,
    )


def content_of(session: Session, invoice_id: str, *, amount_minor: int, with_tax: bool) -> dict[str, Any]:
    """What approval would post: bad debt, and of each jurisdiction the tax in the share it has of the document.

    Raises NotFound for anything but an issued invoice, Invalid for an amount that is not above zero, AboveHeld above what is open.
    """
    header = _get(session, invoice_id)
    open_minor = settlement.open_minor(session, header.id)
    if amount_minor <= 0:
        raise Invalid(field="amount", amount_minor=amount_minor, currency=header.currency, reason="not_positive")
    if amount_minor > open_minor:
        raise AboveHeld(
            ledger_account="receivable", limit_minor=open_minor, amount_minor=amount_minor, currency=header.currency
        )
    parts = _parts(session, header, amount_minor, with_tax=with_tax)
    return {
        "invoice_id": header.id,
        "number": header.number,
        "with_tax": with_tax,
        "entries": [["write_off", place, "receivable", minor, header.currency] for place, minor in parts.items()],
        "amount_minor": amount_minor,
        "currency": header.currency,
    }


def write_off(
    session: Session,
    *,
    now: datetime,
    invoice_id: str,
    amount_minor: int,
    with_tax: bool,
    reason: str,
    allowed: Allowed,
) -> Posted:
    """Post the write-off that a second person allowed and settle the invoice by it. Locks the account's head.

    Raises NotAllowed, AboveHeld.
    """
    header = _get(session, invoice_id)
    head = heads.lock_one(session, header.billing_account_id)
    content = content_of(session, header.id, amount_minor=amount_minor, with_tax=with_tax)
    approvals.spend(session, allowed, act=ACT, subject_id=header.id, content=content)
    posted = write_offs.post(
        session,
        now=now,
        head=head,
        source_id=allowed.approval_id,
        moved=write_offs.entries_of(
            header.id,
            target="receivable",
            parts=_parts(session, header, amount_minor, with_tax=with_tax),
            currency=header.currency,
            detail={"approval_id": allowed.approval_id, "invoice": header.id},
        ),
        actor=allowed.checker,
        memo=reason,
    )
    _settle(session, now, header, posted, amount_minor, allowed.checker, "written_off")
    return posted


def standing_minor(session: Session, header: InvoiceHeader) -> tuple[int, bool]:
    """What of an invoice's write-off still stands, and whether relief of its tax was claimed with it."""
    left = write_offs.standing(session, header.billing_account_id, key=header.id, currency=header.currency)
    return max(0, sum(left.values())), any(place.startswith("tax:") for place in left)


def carry_over(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    invoice_id: str,
    amount_minor: int,
    with_tax: bool,
    actor: str,
) -> int:
    """What two people wrote off of an invoice stays written off of the one that took its place, up to what is open there.

    The caller holds the head; the invoice was issued in this act. How much, in minor units.
    """
    header = _get(session, invoice_id)
    amount_minor = min(amount_minor, settlement.open_minor(session, header.id))
    if amount_minor <= 0:
        return 0
    moved = write_offs.entries_of(
        header.id,
        target="receivable",
        parts=_parts(session, header, amount_minor, with_tax=with_tax),
        currency=header.currency,
        detail={"invoice": header.id, "replaces": str(header.replaces_id)},
    )
    posted = book.post(
        session,
        now=now,
        head=head,
        type="write_off",
        source_type=SUBJECT,
        source_id=header.id,
        entries=moved,
        occurred_at=now,
        actor=actor,
    )
    _settle(session, now, header, posted, amount_minor, actor, "written_off")
    return amount_minor


def undo_for_payment(
    session: Session, *, now: datetime, head: AccountHead, invoice_id: str, amount: Money, actor: str, source_id: str
) -> int:
    """What a payment of an invoice first undoes of its write-off, beyond what is open: that much is open again afterwards.

    The caller holds the head, and settles the payment itself next; `source_id` names the payment: a repeat changes nothing.
    """
    header = _get(session, invoice_id)
    if amount.currency != header.currency:
        return 0
    beyond = Money(minor=max(0, amount.minor - settlement.open_minor(session, header.id)), currency=amount.currency)
    moved = write_offs.undoing_entries(
        session,
        header.billing_account_id,
        key=header.id,
        target="receivable",
        amount=beyond,
        detail={"payment": source_id, "invoice": header.id},
    )
    if not moved:
        return 0
    posted = write_offs.post(
        session, now=now, head=head, source_id=source_id, moved=moved, actor=actor, memo="", is_undone=True
    )
    undone_minor = sum(entry.amount.minor for entry in moved)
    _settle(session, now, header, posted, -undone_minor, actor, "write_off_undone")
    return undone_minor


def _settle(
    session: Session, now: datetime, header: InvoiceHeader, posted: Posted, minor: int, actor: str, event: str
) -> None:
    settlement.record(
        session,
        now=now,
        invoice_id=header.id,
        transaction_id=posted.transaction_id,
        kind=KIND,
        amount_minor=minor,
        actor=actor,
    )
    facts = {"amount_minor": abs(minor), "currency": header.currency, "transaction": posted.transaction_id}
    events.record(session, header, now=now, type=event, actor=actor, facts=facts)


def _parts(session: Session, header: InvoiceHeader, amount_minor: int, *, with_tax: bool) -> dict[str, int]:
    taxes: dict[str, int] = {}
    rows = session.execute(
        select(InvoiceTax.jurisdiction, InvoiceTax.tax_minor).where(InvoiceTax.invoice_id == header.id)
    )
    for jurisdiction, tax_minor in rows:
        taxes[jurisdiction] = taxes.get(jurisdiction, 0) + tax_minor
    return write_offs.split(amount_minor, net_minor=header.net_minor, taxes=taxes, with_tax=with_tax)


def _get(session: Session, invoice_id: str) -> InvoiceHeader:
    header = session.get(InvoiceHeader, invoice_id) if names.is_safe(invoice_id) else None
    if header is None or header.kind != "invoice" or header.state != "issued":
        raise NotFound(invoice_id=names.shown(invoice_id))
    return header
