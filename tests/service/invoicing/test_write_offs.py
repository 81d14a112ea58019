"""What will not be paid is written off by two people, and undone by what is paid after all, tax in the same share (money.md)."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts import heads, profiles
from billing.assurance import reconciliation
from billing.invoicing import corrections, credit_notes, invoices, settlement, write_offs
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.money import Money
from billing.ledger import balances
from billing.ledger import write_offs as wallet_write_offs
from billing.ledger.errors import AboveHeld
from billing.ledger.write_offs import split
from billing.storage.database import Database, Session
from tests import staff
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW
from tests.service.ledger.books import entry, open_account, post


def _written_off(database: Database, invoice: InvoiceHeader, minor: int, *, with_tax: bool = True) -> None:
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        asked = write_offs.request(
            session,
            now=NOW,
            invoice_id=invoice.id,
            amount_minor=minor,
            with_tax=with_tax,
            maker=staff.MAKER,
            reason="insolvent",
        )
        staff.approve(session, asked, now=NOW)


def _house(session: Session, name: str) -> int:
    return balances.of_ledger_account(session, f"house/house/{name}/USD")


def _figures(database: Database, invoice: InvoiceHeader) -> dict[str, int]:
    with database.reading("jobs") as session:
        [own] = balances.of_account(session, invoice.billing_account_id)
        assert reconciliation.compare(session, now=NOW).found == []
        return {
            "open": settlement.open_minor(session, invoice.id),
            "receivable": own.receivable_minor,
            "wallet": own.wallet_minor,
            "bad_debt": _house(session, "bad_debt"),
            "tax": _house(session, "tax:DE") + _house(session, "tax:IE"),
        }


def _paid(database: Database, invoice: InvoiceHeader, minor: int) -> None:
    """Money for the invoice, as a provider's payment does it: undo first, then settle, the rest to the wallet."""
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, invoice.billing_account_id)
        amount = Money(minor=minor, currency="USD")
        write_offs.undo_for_payment(
            session, now=NOW, head=head, invoice_id=invoice.id, amount=amount, actor="test", source_id=f"p{minor}"
        )
        to_invoice = min(minor, settlement.open_minor(session, invoice.id))
        parts = [("receivable", to_invoice), ("wallet", minor - to_invoice)]
        posted = post(
            session,
            invoice.billing_account_id,
            f"p{minor}",
            *(entry("bank_credit", "cash:bank", name, part) for name, part in parts if part),
        )
        settlement.apply_payment(
            session,
            now=NOW,
            invoice_id=invoice.id,
            transaction_id=posted.transaction_id,
            amount_minor=to_invoice,
            actor="test",
        )


def test_tax_is_written_off_in_the_share_it_has_of_the_document() -> None:
    assert split(11_900, net_minor=10_000, taxes={"DE": 1_900}, with_tax=True) == {"bad_debt": 10_000, "tax:DE": 1_900}
    assert split(1_000, net_minor=10_000, taxes={"DE": 1_900}, with_tax=True) == {"bad_debt": 840, "tax:DE": 160}
    assert split(1_000, net_minor=10_000, taxes={"DE": 1_900}, with_tax=False) == {"bad_debt": 1_000}
    assert split(1, net_minor=10_000, taxes={"DE": 1_900}, with_tax=True) == {"bad_debt": 1}


def test_119_invoiced_is_written_off_with_its_tax_and_undone_by_what_is_paid(database: Database) -> None:
    invoice = world.invoice_of(database, 10_000)
    before = _figures(database, invoice)
    assert (before["open"], before["receivable"], before["bad_debt"]) == (11_900, -11_900, 0)
    _written_off(database, invoice, 11_900)
    off = _figures(database, invoice)
    assert (off["open"], off["receivable"], off["bad_debt"]) == (0, 0, -10_000)
    assert off["tax"] == before["tax"] - 1_900
    with database.reading("jobs") as session:
        assert invoices.get_invoice(session, now=NOW, key=invoice.id).row.state == "uncollectible"
    _paid(database, invoice, 1_190)
    part = _figures(database, invoice)
    assert (part["open"], part["receivable"], part["wallet"]) == (0, 0, 0)
    assert (part["bad_debt"], part["tax"]) == (-9_000, off["tax"] + 190)
    _paid(database, invoice, 20_000)
    all_paid = _figures(database, invoice)
    assert (all_paid["bad_debt"], all_paid["tax"], all_paid["wallet"]) == (0, before["tax"], 20_000 - 10_710)


def test_what_was_written_off_stays_so_when_the_invoice_is_billed_again(database: Database) -> None:
    """119.00, of it 19.00 paid and 100.00 written off with its tax; billed again, 19.00 pay it and 100.00 stay written off."""
    invoice = world.invoice_of(database, 10_000)
    world.pay(database, invoice, 1_900)
    _written_off(database, invoice, 10_000)
    before = _figures(database, invoice)
    with database.transaction("jobs") as session:
        profiles.update_profile(
            session, now=NOW, account_id=invoice.billing_account_id, facts=replace(world.GERMANY, street="Neue Str. 2")
        )
        done = corrections.reissue(session, now=NOW, invoice_id=invoice.id, reason="Moved", actor="usr_ann")
    assert done.due_minor == 0
    assert _figures(database, invoice) == before
    with database.reading("jobs") as session:
        again = session.get_one(InvoiceHeader, done.invoice_id)
        assert settlement.open_minor(session, again.id) == 0
        assert invoices.get_invoice(session, now=NOW, key=again.id).row.state == "uncollectible"
        assert invoices.get_invoice(session, now=NOW, key=invoice.id).row.state == "credited"
    _paid(database, again, 10_000)
    assert _figures(database, again)["bad_debt"] == 0


def test_a_part_is_written_off_without_tax_and_a_payment_first_pays_what_is_open(database: Database) -> None:
    invoice = world.invoice_of(database, 10_000)
    _written_off(database, invoice, 5_000, with_tax=False)
    assert _figures(database, invoice)["open"] == 6_900
    _paid(database, invoice, 7_000)
    found = _figures(database, invoice)
    assert (found["open"], found["bad_debt"], found["wallet"]) == (0, -4_900, 0)
    with database.reading() as session:
        kinds = session.scalars(select(InvoiceSettlement.kind).where(InvoiceSettlement.amount_minor < 0)).all()
    assert kinds == ["write_off"]


@pytest.mark.parametrize(("minor", "error"), [(0, Invalid), (-5, Invalid), (11_901, AboveHeld)])
def test_more_than_is_open_is_not_written_off(database: Database, minor: int, error: type[Exception]) -> None:
    invoice = world.invoice_of(database, 10_000)
    with pytest.raises(error):
        _written_off(database, invoice, minor)
    assert _figures(database, invoice)["open"] == 11_900


def test_what_is_no_issued_invoice_is_not_written_off(database: Database) -> None:
    with pytest.raises(NotFound), database.transaction("jobs") as session:
        write_offs.content_of(session, "drf_none", amount_minor=5, with_tax=True)


def test_of_a_request_for_what_was_paid_meanwhile_nothing_is_posted(database: Database) -> None:
    invoice = world.invoice_of(database, 10_000)
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        asked = write_offs.request(
            session,
            now=NOW,
            invoice_id=invoice.id,
            amount_minor=11_900,
            with_tax=True,
            maker=staff.MAKER,
            reason="insolvent",
        )
    _paid(database, invoice, 100)
    with pytest.raises(AboveHeld), database.transaction("jobs") as session:
        staff.approve(session, asked, now=NOW)
    assert _figures(database, invoice)["bad_debt"] == 0


def test_a_wallet_below_zero_is_written_off_and_the_next_money_undoes_it(database: Database) -> None:
    account_id = open_account(database)
    with database.transaction("jobs") as session:
        staff.hire_two(session)
        post(session, account_id, "t1", entry("bank_credit", "cash:bank", "wallet", 500))
        post(session, account_id, "t2", entry("adjustment", "wallet", "promo_expense", 800))

    def asked(minor: int) -> Any:
        return wallet_write_offs.request(
            session,
            now=NOW,
            account_id=account_id,
            amount=Money(minor=minor, currency="USD"),
            maker=staff.MAKER,
            reason="gone",
        )

    with pytest.raises(AboveHeld), database.transaction("jobs") as session:
        asked(301)
    with database.transaction("jobs") as session:
        staff.approve(session, asked(300), now=NOW)
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        post(session, account_id, "t3", entry("bank_credit", "cash:bank", "wallet", 100))
        wallet_write_offs.undo_for_payment(
            session, now=NOW, head=head, amount=Money(minor=100, currency="USD"), actor="test", source_id="t3"
        )
    with database.reading() as session:
        [own] = balances.of_account(session, account_id)
        assert own.wallet_minor == 0
        assert wallet_write_offs.standing(session, account_id, key="wallet/USD", currency="USD") == {"bad_debt": 200}


@pytest.mark.parametrize("with_tax", [True, False])
def test_crediting_what_was_written_off_gives_the_tenant_nothing_and_takes_the_tax_back_once(
    database: Database, with_tax: bool
) -> None:
    """119.00 billed, 50.00 paid, 69.00 written off, all credited: 50.00 to the wallet, no bad debt, no tax left."""
    invoice = world.invoice_of(database, 10_000)
    _paid(database, invoice, 5_000)
    _written_off(database, invoice, 6_900, with_tax=with_tax)
    with database.transaction() as session:
        done = credit_notes.credit(session, now=NOW, invoice_id=invoice.id, reason="Outage", actor="usr_ann", full=True)
    assert (done.payable_minor, done.to_receivable_minor, done.to_wallet_minor) == (11_900, 6_900, 5_000)
    assert _figures(database, invoice) == {"open": 0, "receivable": 0, "wallet": 5_000, "bad_debt": 0, "tax": 0}


def test_a_part_credit_undoes_that_much_of_a_write_off(database: Database) -> None:
    """119.00 written off with its tax, 11.90 credited: 107.10 stays written off, 90.00 bad debt; tax 19 - 17.10 - 1.90."""
    invoice = world.invoice_of(database, 10_000)
    _written_off(database, invoice, 11_900)
    with database.transaction() as session:
        credit_notes.credit(
            session, now=NOW, invoice_id=invoice.id, reason="Outage", actor="usr_ann", amount_minor=1_190
        )
    assert _figures(database, invoice) == {"open": 0, "receivable": 0, "wallet": 0, "bad_debt": -9_000, "tax": 0}
