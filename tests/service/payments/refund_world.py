"""What tests of refunds do again and again, and the entries of an account as tuples to be compared with what is written by hand."""

from typing import Any

from sqlalchemy import select

from billing.controls import second_person
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.payments import foreign_refunds, refunds
from billing.payments.refund_subjects import Payee
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from tests import staff
from tests.service.payments.world import ASKER, StripeCustomer, World

Posted = tuple[str, str, str, int]
IBAN = "DE89370400440532013000"


def posted(world: World, *, but: tuple[str, ...] = ("stripe_credit", "bank_credit")) -> list[Posted]:
    """(kind, debit, credit, amount) of the account's entries in the order of the chain, without how the money came in."""
    debit, credit = LedgerAccount.__table__.alias(), LedgerAccount.__table__.alias()
    query = (
        select(LedgerEntry.kind, debit.c.name, credit.c.name, LedgerEntry.amount_minor)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(debit, debit.c.id == LedgerEntry.debit_account_id)
        .join(credit, credit.c.id == LedgerEntry.credit_account_id)
        .where(LedgerTransaction.billing_account_id == world.account_id, LedgerEntry.kind.not_in(but))
        .order_by(LedgerTransaction.chain_seq, LedgerEntry.id)
    )
    with world.database.reading("jobs") as session:
        return [tuple(row) for row in session.execute(query).all()]


def sources(world: World, kind: str) -> list[tuple[str, str]]:
    """(type, id) of the sources of one kind of the account's transactions."""
    query = select(LedgerTransaction.source_type, LedgerTransaction.source_id).where(
        LedgerTransaction.billing_account_id == world.account_id, LedgerTransaction.type == kind
    )
    with world.database.reading("jobs") as session:
        return [tuple(row) for row in session.execute(query).all()]


def steps(world: World, refund: RefundRow) -> list[tuple[str, str]]:
    """(step, state behind it) of a refund's history."""
    with world.database.reading() as session:
        return [(step.type, step.state) for step in refunds.history(session, refund_id=refund.id)]


def ask(
    world: World,
    payment: PaymentRow,
    minor: int,
    *,
    mode: str = "card",
    invoice: InvoiceHeader | None = None,
    actor: str = ASKER,
    form_key: str | None = None,
    iban: str = IBAN,
) -> RefundRow:
    """Money back in any mode, with a credit note first where an invoice is named."""
    with world.database.transaction() as session:
        return refunds.request(
            session,
            now=world.now,
            account_id=world.account_id,
            mode=mode,
            amount=Money(minor=minor, currency=payment.currency),
            reason="Paid twice",
            form_key=form_key or f"refund-{next(world.keys)}",
            actor=actor,
            payment_id=payment.id,
            invoice_id=invoice.id if invoice else None,
            payee=Payee(name="Calla GmbH", iban=iban) if mode == "bank" else None,
        )


def withdraw(world: World, refund: RefundRow, *, actor: str = ASKER) -> None:
    with world.database.transaction() as session:
        second_person.withdraw(session, now=world.now, approval_id=str(refund.approval_id), maker=actor)


def play(world: World, customer: StripeCustomer, act: Any) -> list[str]:
    """Something happens at the provider; its events arrive in order and again in reverse. The state of each delivery."""
    with customer.peer.playing() as objects:
        before = len(objects.events)
        act(objects)
        told = [customer.peer.signed(event) for event in objects.events[before:] if "refund" in event["type"]]
    return world.deliver(*told, *reversed(told))


def cases(world: World) -> list[foreign_refunds.CaseRow]:
    with world.database.reading() as session:
        return foreign_refunds.list_cases(session, states=foreign_refunds.STATES)


def ask_adoption(
    world: World, case_id: str, *, invoice: InvoiceHeader | None = None, form_key: str = "adopt"
) -> RefundRow:
    with world.database.transaction() as session:
        staff.hire_two(session)
        return foreign_refunds.ask_adoption(
            session,
            now=world.now,
            case_id=case_id,
            reason="Made on the provider's pages",
            form_key=form_key,
            actor=staff.MAKER,
            invoice_id=invoice.id if invoice else None,
        )
