"""Paying invoices: the receivable as far as it is open, the surplus to the wallet, and money back by credit note first."""

import pytest
from sqlalchemy import select

from billing.accounts import directory
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import NotFound
from billing.kernel.money import Money
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.payments import refunds
from billing.payments.errors import AboveRefundable, AmountOutOfRange, NotPayable
from billing.payments.refunds import RefundRow
from tests.service.invoicing import world as invoicing
from tests.service.payments.world import ASKER, DECIDER, NOW, StripeCustomer, World


@pytest.fixture
def billed(world: World) -> tuple[World, InvoiceHeader]:
    """The world's provider and an invoice of 100.00 net, 119.00 gross, to an account of its own."""
    invoice = invoicing.invoice_of(world.database, 10_000, code="billed")
    world.account_id, world.now = invoice.billing_account_id, max(NOW, invoicing.NOW)
    return world, invoice


def pay(world: World, invoice: InvoiceHeader, minor: int) -> None:
    row = world.start(minor, purpose="invoice", invoice_id=invoice.id)
    assert set(world.deliver(*world.customer.pay(row))) == {"processed"}


def open_minor(world: World, invoice: InvoiceHeader) -> int:
    with world.database.reading() as session:
        return settlement.open_minor(session, invoice.id)


def ask_credit(world: World, invoice: InvoiceHeader, minor: int) -> RefundRow:
    with world.database.transaction() as session:
        return refunds.request(
            session,
            now=world.now,
            account_id=world.account_id,
            mode="credit",
            amount=Money(minor=minor, currency="USD"),
            reason="Outage",
            form_key=f"credit-{next(world.keys)}",
            actor=ASKER,
            invoice_id=invoice.id,
        )


def test_invoice_paid_whole_is_settled(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    pay(world, invoice, 11_900)
    assert (open_minor(world, invoice), world.held("receivable"), world.held("wallet")) == (0, 0, 0)
    with world.database.reading() as session:
        [row] = session.scalars(select(InvoiceSettlement).where(InvoiceSettlement.invoice_id == invoice.id))
    assert (row.kind, row.amount_minor, row.transaction_id) == ("payment", 11_900, world.payments()[0].transaction_id)


def test_invoice_paid_in_parts(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    pay(world, invoice, 4_000)
    assert (open_minor(world, invoice), world.held("receivable")) == (7_900, -7_900)
    pay(world, invoice, 7_900)
    assert (open_minor(world, invoice), world.held("receivable")) == (0, 0)


def test_two_checkouts_of_one_invoice_settle_it_once_and_the_surplus_is_in_the_wallet(
    billed: tuple[World, InvoiceHeader],
) -> None:
    world, invoice = billed
    first = world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    second = world.start(10_000, purpose="invoice", invoice_id=invoice.id)
    world.deliver(*world.customer.pay(second))
    world.deliver(*world.customer.pay(first))
    assert (open_minor(world, invoice), world.held("receivable"), world.held("wallet")) == (0, 0, 10_000)


def test_more_than_is_open_is_refused(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    with pytest.raises(AmountOutOfRange) as refusal:
        world.start(11_901, purpose="invoice", invoice_id=invoice.id)
    assert refusal.value.fields["max_minor"] == 11_900
    pay(world, invoice, 11_900)
    with pytest.raises(NotPayable):
        world.start(1, purpose="invoice", invoice_id=invoice.id)


def test_invoice_of_another_account_does_not_exist(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    world.account_id = invoicing.open_account(world.database, "stranger")
    with pytest.raises(NotFound):
        world.start(100, purpose="invoice", invoice_id=invoice.id)
    with pytest.raises(NotFound):
        ask_credit(world, invoice, 100)


def test_draft_cannot_be_paid(world: World) -> None:
    world.account_id = invoicing.open_account(world.database, "billed")
    invoicing.used(world.database, world.account_id, invoicing.Use(10_000))
    draft_id = invoicing.draft(world.database, world.account_id)
    with pytest.raises(NotPayable):
        world.start(100, purpose="invoice", invoice_id=draft_id)


def test_refund_of_an_invoice_payment_is_a_credit_note_first(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    pay(world, invoice, 11_900)
    [payment] = world.payments()
    with pytest.raises(AboveRefundable) as refusal:
        world.ask(payment, 2_000)
    assert refusal.value.fields["reason"] == "above_funds"
    credited = world.approve(ask_credit(world, invoice, 2_380))
    assert (credited.state, credited.decided_by, world.held("wallet")) == ("succeeded", DECIDER, 2_380)
    assert credited.credit_note_id is not None
    assert world.send(world.approve(world.ask(payment, 2_000))).state == "succeeded"
    assert world.held("wallet") == 380


def test_credit_of_an_unpaid_invoice_lowers_what_is_open(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    world.approve(ask_credit(world, invoice, 1_190))
    assert (open_minor(world, invoice), world.held("wallet")) == (10_710, 0)


def test_credit_above_the_invoice_is_refused(billed: tuple[World, InvoiceHeader]) -> None:
    world, invoice = billed
    ask_credit(world, invoice, 10_000)
    with pytest.raises(AboveRefundable) as refusal:
        ask_credit(world, invoice, 1_901)
    assert refusal.value.fields["limit_minor"] == 1_900


def test_processor_fee_stands_in_the_houses_chain_linked_to_the_payment(
    stripe_world: tuple[World, StripeCustomer],
) -> None:
    """100.00 by card: 2.9 % + 0.30 = 3.20, which no statement of the tenant shows."""
    world, _customer = stripe_world
    payment = world.top_up(10_000)
    with world.database.reading("jobs") as session:
        account = directory.get_account(session, world.account_id)
        house = directory.house_account(session, account.seller_id)
        transaction, entry = session.execute(
            select(LedgerTransaction, LedgerEntry)
            .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
            .where(LedgerTransaction.billing_account_id == house.id)
        ).one()
        assert (entry.kind, entry.amount_minor, transaction.linked_id) == ("processor_fee", 320, payment.transaction_id)
        [held] = balances.of_account(session, world.account_id)
    assert held.balance_minor == 10_000
