"""What disputes post, each movement once under its balance transaction: held, given back, lost, and the provider's fee (Law 3)."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.invoicing import settlement, write_offs
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger import write_offs as ledger_write_offs
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.payments.disputes import history, states
from billing.payments.disputes.tables import Dispute, DisputeEvent
from billing.payments.providers.ports.disputes import DisputeMovement
from billing.payments.receipts import CASH
from billing.payments.tables import Payment

_WALLET = "wallet"


def post_movement(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    house: AccountHead,
    item: Dispute,
    movement: DisputeMovement,
    actor: str,
) -> None:
    """Book one balance transaction: withdrawn to `disputed`, reinstated from it, the fee in the house's chain; twice is once.

    The caller holds both heads and has looked that the dispute is of a payment of ours in the same currency.
    """
    if history.has_source(session, item.id, movement.id):
        return
    source_id = f"{item.provider}:{movement.id}"
    occurred_at = min(now, movement.created_at)
    held: Posted | None = None
    if movement.amount.minor:
        is_withdrawal = movement.amount.minor < 0
        sides = ("disputed", CASH) if is_withdrawal else (CASH, "disputed")
        held = book.post(
            session,
            now=now,
            head=head,
            type="dispute",
            source_type="balance_transaction",
            source_id=source_id,
            entries=[
                Entry(
                    kind="chargeback_debit" if is_withdrawal else "chargeback_reversal",
                    debit=sides[0],
                    credit=sides[1],
                    amount=Money(minor=abs(movement.amount.minor), currency=movement.amount.currency),
                    detail={"dispute_id": item.id, "payment_id": item.payment_id or ""},
                )
            ],
            occurred_at=occurred_at,
            actor=actor,
            memo=f"dispute {item.id}",
        )
        history.add(
            session,
            item,
            now=now,
            type="funds_withdrawn" if is_withdrawal else "funds_reinstated",
            actor=actor,
            occurred_at=occurred_at,
            money=movement.amount,
            source_id=movement.id,
            transaction_id=held.transaction_id,
        )
    _post_fee(session, now, house, item, movement, actor, held, occurred_at)


def _post_fee(
    session: Session,
    now: datetime,
    house: AccountHead,
    item: Dispute,
    movement: DisputeMovement,
    actor: str,
    held: Posted | None,
    occurred_at: datetime,
) -> None:
    if not movement.fee.minor:
        return
    is_taken = movement.fee.minor > 0
    sides = ("dispute_fees", CASH) if is_taken else (CASH, "dispute_fees")
    posted = book.post(
        session,
        now=now,
        head=house,
        type="dispute_fee",
        source_type="balance_transaction",
        source_id=f"{item.provider}:{movement.id}",
        entries=[
            Entry(
                kind="dispute_fee",
                debit=sides[0],
                credit=sides[1],
                amount=Money(minor=abs(movement.fee.minor), currency=movement.fee.currency),
                detail={},
            )
        ],
        occurred_at=occurred_at,
        actor=actor,
        linked_id=held.transaction_id if held else None,
    )
    history.add(
        session,
        item,
        now=now,
        type="fee_taken" if is_taken else "fee_returned",
        actor=actor,
        occurred_at=occurred_at,
        source_id=movement.id,
        transaction_id=posted.transaction_id,
        facts={"fee_minor": movement.fee.minor, "currency": movement.fee.currency},
    )


def settle_loss(session: Session, *, now: datetime, head: AccountHead, item: Dispute, actor: str) -> None:
    """Bring what was finally lost to what the two axes say now: all that is held once the dispute is lost, else nothing.

    chargeback_final, each part to where the payment had been credited; an invoice is open again by its part. Where money comes back
    after a loss the parts go back the same way, except that an invoice takes no more than it has open: the rest is the wallet's.
    The caller holds the account's head. Posted once per change.
    """
    held_minor = -history.moved_minor(session, item.id)
    wanted_minor = held_minor if item.state == "lost" else 0
    settled = history.settled(session, item.id)
    change_minor = wanted_minor - sum(settled.values())
    if not change_minor:
        return
    if change_minor > 0:
        parts = _lost_parts(session, item, settled, wanted_minor)
    else:
        parts = _returned_parts(session, now, head, item, settled, wanted_minor, actor)
    entries = [_final_entry(item, place, minor) for place, minor in sorted(parts.items()) if minor]
    posted = book.post(
        session,
        now=now,
        head=head,
        type="dispute_final",
        source_type="payment_dispute",
        source_id=f"{item.id}/{history.next_seq(session, item.id)}",
        entries=entries,
        occurred_at=now,
        actor=actor,
        memo=f"dispute {item.id}",
    )
    for place, minor in sorted(parts.items()):
        if place != _WALLET and minor:
            settlement.record(
                session,
                now=now,
                invoice_id=place,
                transaction_id=posted.transaction_id,
                kind="dispute",
                amount_minor=-minor,
                actor=actor,
            )
    history.add(
        session,
        item,
        now=now,
        type="loss_settled" if change_minor > 0 else "loss_undone",
        actor=actor,
        money=Money(minor=change_minor, currency=item.currency),
        transaction_id=posted.transaction_id,
        facts={"parts": parts},
    )


def _lost_parts(session: Session, item: Dispute, settled: dict[str, int], wanted_minor: int) -> dict[str, int]:
    """{place: what more of it is lost there}; a place is an invoice's id or the wallet."""
    credited = credited_parts(session, item.payment_id or "")
    owing = {}
    for invoice_id in credited:
        if invoice_id != _WALLET:
            owing[invoice_id] = _paid_minor(session, invoice_id) + settled.get(invoice_id, 0)
    wanted = states.divide(wanted_minor, credited, owing, wallet=_WALLET)
    return {place: wanted.get(place, 0) - settled.get(place, 0) for place in wanted.keys() | settled.keys()}


def _paid_minor(session: Session, invoice_id: str) -> int:
    """What was paid of an invoice and not given back by a credit note: so much of it can be owed again."""
    written_off_minor, _ = write_offs.standing_minor(session, session.get_one(InvoiceHeader, invoice_id))
    unpaid_minor = settlement.open_minor(session, invoice_id) + written_off_minor
    return max(0, settlement.asked_minor(session, invoice_id) - unpaid_minor)


def _returned_parts(
    session: Session,
    now: datetime,
    head: AccountHead,
    item: Dispute,
    settled: dict[str, int],
    wanted_minor: int,
    actor: str,
) -> dict[str, int]:
    """{place: what comes back there, below zero}. A write-off made meanwhile is undone first, as for any payment."""
    credited = {place: minor for place, minor in settled.items() if minor > 0}
    kept = states.divide(wanted_minor, credited, credited, wallet=_WALLET)
    parts: dict[str, int] = {}
    surplus_minor = 0
    for place in sorted(settled.keys() | kept.keys()):
        back_minor = settled.get(place, 0) - kept.get(place, 0)
        if place == _WALLET or back_minor <= 0:
            parts[place] = -back_minor
            continue
        write_offs.undo_for_payment(
            session,
            now=now,
            head=head,
            invoice_id=place,
            amount=Money(minor=back_minor, currency=item.currency),
            actor=actor,
            source_id=f"{item.id}/{history.next_seq(session, item.id)}/{place}",
        )
        taken = min(back_minor, settlement.open_minor(session, place))
        parts[place] = -taken
        surplus_minor += back_minor - taken
    parts[_WALLET] = parts.get(_WALLET, 0) - surplus_minor
    if parts[_WALLET] < 0:
        ledger_write_offs.undo_for_payment(
            session,
            now=now,
            head=head,
            amount=Money(minor=-parts[_WALLET], currency=item.currency),
            actor=actor,
            source_id=f"{item.id}/{history.next_seq(session, item.id)}/wallet",
        )
    return parts


def _final_entry(item: Dispute, place: str, minor: int) -> Entry:
    name = _WALLET if place == _WALLET else "receivable"
    detail = {"dispute_id": item.id, "payment_id": item.payment_id or ""}
    if place != _WALLET:
        detail["invoice_id"] = place
    return Entry(
        kind="chargeback_final",
        debit=name if minor > 0 else "disputed",
        credit="disputed" if minor > 0 else name,
        amount=Money(minor=abs(minor), currency=item.currency),
        detail=detail,
    )


def credited_parts(session: Session, payment_id: str) -> dict[str, int]:
    """Where a payment was credited: {invoice id or "wallet": minor units}, summing to the payment."""
    payment = session.get_one(Payment, payment_id)
    rows = session.execute(
        select(InvoiceSettlement.invoice_id, func.sum(InvoiceSettlement.amount_minor))
        .where(InvoiceSettlement.transaction_id == payment.transaction_id, InvoiceSettlement.kind == "payment")
        .group_by(InvoiceSettlement.invoice_id)
    )
    parts = {invoice_id: int(minor) for invoice_id, minor in rows}
    return parts | {_WALLET: payment.amount_minor - sum(parts.values())}


def charged_back_minor(session: Session, payment_id: str) -> int:
    """What disputes have taken of a payment and not given back, lost included (minor units of its currency, at least 0)."""
    query = (
        select(func.coalesce(func.sum(DisputeEvent.amount_minor), 0))
        .join(Dispute, Dispute.id == DisputeEvent.dispute_id)
        .where(Dispute.payment_id == payment_id, DisputeEvent.type.in_(history.MOVEMENTS))
    )
    return max(0, -int(session.execute(query).scalar_one() or 0))
