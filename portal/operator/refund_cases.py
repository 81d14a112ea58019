"""One refund as a decision about it needs it: its limits, its effect on the ledger, its history, the provider's object beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import g, url_for

from billing.accounts import approval_list, listing, people
from billing.controls import second_person
from billing.invoicing import settlement
from billing.ledger import balances
from billing.ledger.balances import Balance
from billing.payments import refund_methods, refund_offers, sessions
from billing.payments import refunds as room
from billing.payments.refund_offers import RefundLimits
from billing.payments.refunds import RefundRow, RefundStep
from billing.payments.sessions import PaymentRow
from billing.storage.database import Session
from portal import access, filters, refund_words, sentences, services
from portal.operator import words

_MANY = 10_000
_BESIDE = ("Id", "Our reference", "Payment", "State", "Amount")


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One entry that the decision leads to: when, from which book account to which, how much."""

    when: str
    debit: str
    credit: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One figure of ours beside the provider's, and whether they agree."""

    label: str
    ours: str
    theirs: str
    is_same: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything about one request that a decision stands on."""

    row: RefundRow
    mode: str
    limits: RefundLimits | None
    movements: tuple[Movement, ...]
    held: Balance
    wallet_after_minor: int
    balance_after_minor: int
    payment: PaymentRow | None
    requested_by: str
    decided_by: str | None
    stands_until: datetime | None
    fault: str | None  # why it can no longer be approved, in a sentence
    is_own: bool
    is_late: bool
    history: list[dict[str, Any]]
    beside: tuple[Beside, ...]
    policy: str | None
    failure: str | None


def find(session: Session, refund_id: str) -> Case:
    """The case of one request. Raises NotFound."""
    row = room.get_request(session, refund_id=refund_id)
    now = services.now()
    account = listing.get_account(session, row.billing_account_id)
    g.zone = account.zone
    held = balances.of_account(session, account.id, currency=row.currency)[0]
    steps = room.history(session, refund_id=row.id)
    names = people.names_of(session, [row.requested_by, row.decided_by, *(step.actor for step in steps)])
    approval = approval_list.get_approval(session, row.approval_id) if row.approval_id else None
    fault = second_person.find_fault(session, approval) if approval and row.state == "requested" else None
    movements = _movements(session, row)
    payment = _find_payment(session, row)
    return Case(
        row=row,
        mode=refund_words.mode(row),
        limits=refund_offers.limits_of(session, now=now, refund_id=row.id) if row.state == "requested" else None,
        movements=movements,
        held=held,
        wallet_after_minor=held.wallet_minor + _moved(movements, "Wallet"),
        balance_after_minor=held.balance_minor + _moved(movements, "Wallet") + _moved(movements, "Receivable"),
        payment=payment,
        requested_by=words.actor(row.requested_by, names),
        decided_by=words.actor(row.decided_by, names) if row.decided_by else None,
        stands_until=approval.expires_at if approval and row.state == "requested" else None,
        fault=sentences.of(fault) if fault else None,
        is_own=row.requested_by == access.current_principal().id,
        is_late=refund_methods.is_late(row.mode, state=row.state, sent_at=row.sent_at, now=now),
        history=_history(row, steps, names),
        beside=_beside(row, payment),
        policy=refund_words.policy(row),
        failure=refund_words.failure(row.failure),
    )


def _moved(movements: Sequence[Movement], name: str) -> int:
    """What the movements put into a book account, less what they take out."""
    into = sum(movement.amount_minor for movement in movements if movement.credit == name)
    return into - sum(movement.amount_minor for movement in movements if movement.debit == name)


def _history(row: RefundRow, steps: Sequence[RefundStep], names: dict[str, str]) -> list[dict[str, Any]]:
    """Every step, newest first, by whom, leading to what it posted."""
    found = []
    for step in reversed(steps):
        shown = refund_words.step(step, row)
        by = words.actor(step.actor, names)
        shown["detail"] = f"{shown['detail']} · {by}" if shown["detail"] else by
        if step.transaction_id is not None:
            shown["href"] = url_for(
                "operator.accounts_transaction",
                account_id=row.billing_account_id,
                transaction_id=step.transaction_id,
            )
        found.append(shown)
    return found


def _beside(row: RefundRow, payment: PaymentRow | None) -> tuple[Beside, ...]:
    """What we hold beside what the provider's object said when it was last seen."""
    facts = row.provider_facts
    if facts is None or payment is None:
        return ()
    ended = {"succeeded": "succeeded", "failed": "failed"}.get(row.state, "pending")
    ours = (
        row.provider_refund_id or "",
        row.id,
        payment.provider_payment_id,
        ended,
        _money(row.amount_minor, row.currency),
    )
    theirs = (
        facts["id"],
        facts["reference"] or "None",
        facts["payment_id"],
        facts["state"],
        _money(facts["amount_minor"], facts["currency"]),
    )
    return tuple(
        Beside(
            label=label,
            ours=our,
            theirs=f"{their} ({facts['status']})" if label == "State" and facts["status"] != their else their,
            is_same=our == their or (label == "Our reference" and row.origin == "provider"),
        )
        for label, our, their in zip(_BESIDE, ours, theirs, strict=True)
    )


def _money(minor: int, currency: str) -> str:
    return filters.money(minor, currency)


def _movements(session: Session, row: RefundRow) -> tuple[Movement, ...]:
    """What approval posts, in the order in which it happens."""
    found: list[Movement] = []
    if row.invoice_id is not None:
        opened = min(row.amount_minor, settlement.open_minor(session, row.invoice_id))
        parts = (("Receivable", opened), ("Wallet", row.amount_minor - opened))
        found += [
            Movement(when="On approval", debit="Revenue and VAT", credit=credit, amount_minor=minor)
            for credit, minor in parts
            if minor
        ]
    if row.mode == "credit":
        return tuple(found)
    when, cash = (
        ("When the transfer has left", "Cash at the bank")
        if row.mode == "bank"
        else ("When the provider has sent it", "Cash at the provider")
    )
    if row.origin == "provider":
        when = "On approval: it has left already"
    found.append(Movement(when="On approval", debit="Wallet", credit="Refunds held", amount_minor=row.amount_minor))
    found.append(Movement(when=when, debit="Refunds held", credit=cash, amount_minor=row.amount_minor))
    return tuple(found)


def _find_payment(session: Session, row: RefundRow) -> PaymentRow | None:
    if row.payment_id is None:
        return None
    found = sessions.list_payments(session, account_id=row.billing_account_id, limit=_MANY)
    return next((payment for payment in found if payment.id == row.payment_id), None)
