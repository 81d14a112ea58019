"""Credit notes against real books: own series, receivable first, the rest to the wallet."""

import pytest
from sqlalchemy import select

from billing.invoicing import credit_notes, invoices
from billing.invoicing.credit_notes import Credited
from billing.invoicing.errors import CreditTooHigh
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Invalid, NotFound
from billing.ledger.tables import LedgerEntry
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use


def _credit(
    database: Database,
    invoice: InvoiceHeader,
    *,
    amount_minor: int | None = None,
    lines: dict[str, int | None] | None = None,
    full: bool = False,
) -> Credited:
    with database.transaction() as session:
        return credit_notes.credit(
            session,
            now=NOW,
            invoice_id=invoice.id,
            reason="Outage on 3 October",
            actor="usr_ann",
            amount_minor=amount_minor,
            lines=lines,
            full=full,
        )


def _entries(database: Database, credited: Credited) -> list[tuple[str, str, str, int]]:
    with database.reading() as session:
        rows = session.execute(
            select(
                LedgerEntry.kind, LedgerEntry.debit_account_id, LedgerEntry.credit_account_id, LedgerEntry.amount_minor
            )
            .where(LedgerEntry.transaction_id == credited.transaction_id)
            .order_by(LedgerEntry.seq)
        ).all()
    return [(kind, debit.split("/")[-2], credit.split("/")[-2], amount) for kind, debit, credit, amount in rows]


def test_119_invoiced_and_50_paid_credited_whole_leaves_receivable_0_and_wallet_50(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    world.pay(database, header, 5_000)
    credited = _credit(database, header, full=True)
    assert (credited.number, credited.payable_minor) == ("CN-2026-000001", 11_900)
    assert (credited.to_receivable_minor, credited.to_wallet_minor) == (6_900, 5_000)
    balance = world.balance(database, header.billing_account_id)
    assert (balance.receivable_minor, balance.wallet_minor, balance.balance_minor) == (0, 5_000, 5_000)
    assert _entries(database, credited) == [
        ("credit_note", "revenue:analytics", "receivable", 6_900),
        ("refund_credit", "revenue:analytics", "wallet", 3_100),
        ("refund_credit", "tax:DE", "wallet", 1_900),
    ]
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=header.id).row.state == "credited"


def test_three_lines_of_33_cents_credited_one_by_one_give_back_their_vat_as_6_7_and_6(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(33, "a"), Use(33, "b"), Use(33, "c"))
    header = world.issued(database, account_id)
    with database.reading() as session:
        line_ids = [line.id for line in invoices.get_invoice(session, now=NOW, key=header.id).document.lines]
    credited = [_credit(database, header, lines={line_id: None}) for line_id in line_ids]
    with database.reading() as session:
        notes = invoices.get_invoice(session, now=NOW, key=header.id).credit_notes
    assert [note.tax_minor for note in notes] == [6, 7, 6]
    assert [note.number for note in notes] == ["CN-2026-000001", "CN-2026-000002", "CN-2026-000003"]
    assert sum(one.payable_minor for one in credited) == header.total_minor == 118
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.balance_minor) == (0, 0)


def test_a_credit_note_names_the_invoice_that_it_corrects(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    credited = _credit(database, header, amount_minor=5_000)
    with database.reading() as session:
        detail = invoices.get_invoice(session, now=NOW, key=credited.number)
    document = detail.document
    assert (document.corrects_number, document.corrects_on) == ("INV-2026-000001", world.TODAY)
    assert (document.net_minor, document.tax_minor, document.total_minor) == (4_202, 798, 5_000)
    assert (detail.row.kind, detail.row.state, detail.row.corrects_number) == (
        "credit_note",
        "issued",
        "INV-2026-000001",
    )
    assert document.reason == "Outage on 3 October"


def test_a_cent_that_is_no_net_plus_vat_is_rounding_and_the_books_still_close(database: Database) -> None:
    # At 19 % net 2 has 0 VAT (0.38) and net 3 has 1 (0.57): no net makes 3.
    header = world.invoice_of(database, 10_000)
    first = _credit(database, header, amount_minor=3)
    assert _entries(database, first) == [
        ("credit_note", "revenue:analytics", "receivable", 3),
        ("rounding", "rounding", "revenue:analytics", 1),
    ]
    rest = _credit(database, header, full=True)
    assert (first.payable_minor, rest.payable_minor) == (3, 11_897)
    balance = world.balance(database, header.billing_account_id)
    assert (balance.receivable_minor, balance.balance_minor) == (0, 0)
    with database.reading() as session:
        rounding = [
            (row.debit_account_id.split("/")[-2], row.amount_minor)
            for row in session.scalars(
                select(LedgerEntry).where(LedgerEntry.kind == "rounding").order_by(LedgerEntry.id)
            )
        ]
    assert rounding == [("rounding", 1), ("revenue:analytics", 1)]


def test_a_credit_above_the_rest_is_refused_and_changes_nothing(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    _credit(database, header, amount_minor=11_000)
    with pytest.raises(CreditTooHigh) as refused:
        _credit(database, header, amount_minor=901)
    assert refused.value.fields["creditable_minor"] == 900
    _credit(database, header, amount_minor=900)
    with pytest.raises(CreditTooHigh):
        _credit(database, header, full=True)
    with database.reading() as session:
        assert len(invoices.get_invoice(session, now=NOW, key=header.id).credit_notes) == 2


def test_a_wallet_that_paid_gets_its_credit_back(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    world.top_up(database, account_id, 11_900)
    header = world.issued(database, account_id)
    credited = _credit(database, header, amount_minor=1_190)
    assert (credited.to_receivable_minor, credited.to_wallet_minor) == (0, 1_190)
    assert world.balance(database, account_id).wallet_minor == 1_190


def test_drafts_credit_notes_and_other_accounts_invoices_cannot_be_credited(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.draft(database, account_id)
    header = world.invoice_of(database, 10_000, "other")
    note = _credit(database, header, amount_minor=100)
    with database.transaction() as session:
        for invoice_id, owner in (
            (draft_id, None),
            (note.credit_note_id, None),
            ("drf_none", None),
            (header.id, account_id),
        ):
            with pytest.raises(NotFound):
                credit_notes.credit(
                    session,
                    now=NOW,
                    invoice_id=invoice_id,
                    reason="r",
                    actor="usr_ann",
                    amount_minor=1,
                    account_id=owner,
                )


def test_a_credit_note_without_a_reason_or_with_two_amounts_is_refused(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    with database.transaction() as session, pytest.raises(Invalid):
        credit_notes.credit(session, now=NOW, invoice_id=header.id, reason="  ", actor="usr_ann", full=True)
    with database.transaction() as session, pytest.raises(Invalid):
        credit_notes.credit(session, now=NOW, invoice_id=header.id, reason="r", actor="u", full=True, amount_minor=1)
