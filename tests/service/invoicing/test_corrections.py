"""Parties or tax that were wrong: credited whole and billed again, a charge billed once net of credit notes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.accounts import heads, profiles
from billing.accounts.profiles import ProfileFacts
from billing.assurance import reconciliation
from billing.invoicing import corrections, credit_notes, drafts, invoices, issue
from billing.invoicing.documents import model
from billing.invoicing.errors import ProfileIncomplete
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.money import Money
from billing.ledger import promos
from billing.ledger.tables import LedgerEntry
from billing.rating.tables import Charge
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use
from tests.service.rating import world as rating_world

BUSINESS = replace(world.GERMANY, legal_name="Calla Labs SE", vat_id="DE129274202")
LATER = NOW + timedelta(days=3)


def moved_to(database: Database, account_id: str, facts: ProfileFacts) -> None:
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=facts)


def reissued(database: Database, invoice: InvoiceHeader) -> corrections.Reissued:
    with database.transaction() as session:
        return corrections.reissue(
            session, now=LATER, invoice_id=invoice.id, reason="The VAT id was missing", actor="usr_ann"
        )


@pytest.fixture
def proven(database: Database) -> Iterator[None]:
    """What is left is proven by the reconciliation too; the self-check runs after every test."""
    yield
    with database.reading() as session:
        assert reconciliation.compare(session, now=LATER).found == []


@pytest.mark.usefixtures("proven")
@pytest.mark.parametrize("paid_minor", [0, 5_000, None])
def test_a_vat_id_that_came_too_late_gives_a_credit_note_and_a_reverse_charge_invoice_of_the_same_charges(
    database: Database, paid_minor: int | None
) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000, project="a"), Use(3_000, project="b"))
    old = world.issued(database, account_id)
    gross = old.total_minor
    paid = gross if paid_minor is None else paid_minor
    if paid:
        world.pay(database, old, paid)
    revenue = _revenue(database)
    moved_to(database, account_id, BUSINESS)
    done = reissued(database, old)
    assert (done.credit_note_number, done.invoice_number) == ("CN-2026-000001", "INV-2026-000002")
    assert (done.credited_minor, done.total_minor) == (gross, 13_000)
    assert done.due_minor == max(0, 13_000 - paid)
    balance = world.balance(database, account_id)
    assert (balance.wallet_minor, balance.receivable_minor) == (max(0, paid - 13_000), -done.due_minor)
    assert balance.unbilled_minor == 0
    assert _revenue(database) == revenue  # the charges went back to unbilled and out again, not through revenue
    with database.reading() as session:
        new = invoices.get_invoice(session, now=LATER, key=done.invoice_id)
        assert invoices.get_invoice(session, now=LATER, key=old.id).row.state == "credited"
        holders = set(session.scalars(select(Charge.draft_id)))
        was = model.from_snapshot(old.snapshot or {})
    assert holders == {done.invoice_id}
    assert [(group.category, group.tax_minor) for group in new.document.taxes] == [("AE", 0)]
    assert (new.document.buyer.name, new.document.buyer.vat_id) == ("Calla Labs SE", "DE129274202")
    assert new.document.corrects_number == old.number
    assert [(line.charge_id, line.amount_minor, line.quantity_text) for line in new.document.lines] == [
        (line.charge_id, line.amount_minor, line.quantity_text) for line in was.lines
    ]


@pytest.mark.usefixtures("proven")
def test_a_gift_and_a_discount_come_back_and_are_taken_off_again_though_the_gift_has_expired(
    database: Database,
) -> None:
    account_id = world.open_account(database)
    with database.transaction("jobs") as session:
        promos.grant(
            session,
            now=NOW,
            head=heads.lock_one(session, account_id),
            kind="admin_credit",
            amount=Money(minor=2_000, currency="USD"),
            reason="Welcome",
            actor="usr_mia",
            source_type="test",
            source_id="welcome",
            expires_at=NOW + timedelta(days=1),
        )
    world.used(database, account_id, Use(13_000))
    draft_id = world.draft(database, account_id)
    with database.transaction() as session:
        drafts.discount(session, now=NOW, draft_id=draft_id, amount_minor=1_000, reason="Sorry", actor="usr_mia")
    old = world.issued(database, account_id)
    assert old.net_minor == 10_000
    moved_to(database, account_id, BUSINESS)
    done = reissued(database, old)
    assert (done.total_minor, done.due_minor) == (10_000, 10_000)
    with database.reading() as session:
        document = invoices.get_invoice(session, now=LATER, key=done.invoice_id).document
        grant = promos.list_grants(session, account_id)[0]
        kinds = set(session.scalars(select(LedgerEntry.kind)))
    assert [(one.kind, one.amount_minor) for one in document.allowances] == [("discount", 1_000), ("promo", 2_000)]
    assert (grant.used_minor, grant.remaining_minor) == (2_000, 0)
    assert {"promo_return", "discount_return"} <= kinds


@pytest.mark.usefixtures("proven")
def test_what_was_billed_again_can_be_billed_again_and_credited(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    old = world.issued(database, account_id)
    moved_to(database, account_id, BUSINESS)
    first = reissued(database, old)
    moved_to(database, account_id, replace(BUSINESS, legal_name="Calla Labs KGaA"))
    with database.reading() as session:
        again = session.get_one(InvoiceHeader, first.invoice_id)
    second = reissued(database, again)
    assert second.invoice_number == "INV-2026-000003"
    with database.transaction() as session:
        credit_notes.credit(
            session, now=LATER, invoice_id=second.invoice_id, reason="Outage", actor="usr_ann", amount_minor=4_000
        )
    with pytest.raises(Conflict) as refused:
        reissued(database, old)
    assert refused.value.fields["reason"] == "already_credited"


def test_nothing_is_corrected_where_nothing_changed_or_something_was_credited_or_the_profile_is_incomplete(
    database: Database,
) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    old = world.issued(database, account_id)
    with pytest.raises(Conflict) as refused:
        reissued(database, old)
    assert refused.value.fields["reason"] == "nothing_to_correct"
    with pytest.raises(Invalid), database.transaction() as session:
        corrections.reissue(session, now=LATER, invoice_id=old.id, reason=" ", actor="usr_ann")
    with database.transaction("jobs") as session:
        profiles.get_profile(session, account_id).street = " "
    with pytest.raises(ProfileIncomplete):
        reissued(database, old)
    moved_to(database, account_id, BUSINESS)
    with database.transaction() as session:
        credit_notes.credit(session, now=NOW, invoice_id=old.id, reason="Outage", actor="usr_ann", amount_minor=100)
    with pytest.raises(Conflict) as refused:
        reissued(database, old)
    assert refused.value.fields["reason"] == "already_credited"
    with database.reading() as session:
        assert invoices.count_invoices(session, now=NOW) == 2


def test_a_failure_after_the_credit_note_leaves_neither_document_nor_a_gap(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    old = world.issued(database, account_id)
    moved_to(database, account_id, BUSINESS)
    with pytest.raises(ZeroDivisionError), database.transaction() as session:  # stands for a process that is gone
        corrections.reissue(session, now=LATER, invoice_id=old.id, reason="r", actor="usr_ann").due_minor / 0
    done = reissued(database, old)
    assert (done.credit_note_number, done.invoice_number) == ("CN-2026-000001", "INV-2026-000002")
    with database.transaction() as session:
        assert issue.issue(session, now=LATER, draft_id=done.invoice_id, actor="u").number == done.invoice_number


def _revenue(database: Database) -> int:
    with database.reading() as session:
        entries = session.execute(
            select(LedgerEntry.debit_account_id, LedgerEntry.credit_account_id, LedgerEntry.amount_minor)
        ).all()
    return sum(minor * (("/revenue:" in credit) - ("/revenue:" in debit)) for debit, credit, minor in entries)


@pytest.mark.usefixtures("proven")
def test_where_prices_include_tax_the_gross_stays_and_the_tax_inside_it_changes(database: Database) -> None:
    own = rating_world.book("per_unit", code="gross", unit_price="0.01")
    account_id = rating_world.open_account(database, book=own, code="calla", prices_include_tax=True)
    moved_to(database, account_id, world.GERMANY)
    world.used(database, account_id, Use(11_900))
    old = world.issued(database, account_id)
    assert (old.net_minor, old.tax_minor) == (10_000, 1_900)
    world.pay(database, old, 11_900)
    moved_to(database, account_id, BUSINESS)
    done = reissued(database, old)
    assert (done.credited_minor, done.total_minor, done.due_minor) == (11_900, 11_900, 0)
    with database.reading() as session:
        document = invoices.get_invoice(session, now=LATER, key=done.invoice_id).document
    assert (document.net_minor, document.tax_minor) == (11_900, 0)
    balance = world.balance(database, account_id)
    assert (balance.unbilled_minor, balance.wallet_minor, balance.receivable_minor) == (0, 0, 0)
