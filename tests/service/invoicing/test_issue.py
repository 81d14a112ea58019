"""From posted charges to an issued, frozen invoice."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from billing.accounts import profiles
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import BillingProfile
from billing.invoicing import drafts, invoices, issue
from billing.invoicing.documents import model
from billing.invoicing.errors import DraftOutdated, NotADraft, NotApproved, PeriodNotEnded, ProfileIncomplete
from billing.invoicing.tables import InvoiceEvent, InvoiceHeader, InvoiceLine, InvoiceTax, NumberSeries
from billing.kernel.errors import Invalid
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use


def test_header_equals_lines_equals_taxes_equals_ledger(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(33, "a"), Use(33, "b"), Use(33, "c"))
    header = world.issued(database, account_id)
    # Three projects with 33 queries at 0.01 each: 0.33 a line, and VAT once on 0.99.
    assert (header.net_minor, header.tax_minor, header.total_minor) == (99, 19, 118)
    with database.reading() as session:
        amounts = session.scalars(select(InvoiceLine.amount_minor).where(InvoiceLine.invoice_id == header.id)).all()
        taxes = session.execute(
            select(
                InvoiceTax.category,
                InvoiceTax.rate_bp,
                InvoiceTax.jurisdiction,
                InvoiceTax.taxable_minor,
                InvoiceTax.tax_minor,
            )
        ).all()
        entries = session.execute(
            select(LedgerEntry.kind, LedgerEntry.amount_minor)
            .where(LedgerEntry.transaction_id == header.transaction_id)
            .order_by(LedgerEntry.seq)
        ).all()
        anchor = session.get_one(LedgerTransaction, header.transaction_id).anchor_hash
    assert list(amounts) == [33, 33, 33]
    assert [tuple(row) for row in taxes] == [("S", 1900, "DE", 99, 19)]
    assert [tuple(row) for row in entries] == [("invoice_issue", 99), ("tax", 19)]
    assert anchor == header.snapshot_hash == model.snapshot_hash(header.snapshot or {})
    balance = world.balance(database, account_id)
    assert (balance.unbilled_minor, balance.receivable_minor, balance.wallet_minor) == (0, -118, 0)


def test_a_prepaid_wallet_of_100_pays_its_part_of_130_used(database: Database) -> None:
    account_id = world.open_account(database, price="1.00")
    world.used(database, account_id, Use(130))
    world.top_up(database, account_id, 10_000)
    header = world.issued(database, account_id)
    assert (header.net_minor, header.tax_minor, header.total_minor, header.prepaid_minor) == (
        13_000,
        2_470,
        15_470,
        10_000,
    )
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.wallet_minor) == (-5_470, 0)
    with database.reading() as session:
        detail = invoices.get_invoice(session, now=NOW, key=header.number or "")
    assert (detail.document.prepaid_minor, detail.document.due_minor) == (10_000, 5_470)
    assert (detail.row.state, detail.row.due_minor) == ("part_paid", 5_470)
    assert [(one.kind, one.amount_minor) for one in detail.settlements] == [("wallet", 10_000)]


def test_a_wallet_larger_than_the_invoice_pays_it_whole_and_keeps_the_rest(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(10_000))
    world.top_up(database, account_id, 20_000)
    header = world.issued(database, account_id)
    assert header.prepaid_minor == 11_900
    assert world.balance(database, account_id).wallet_minor == 8_100
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=header.id).row.state == "paid"


def test_only_an_approved_draft_is_issued_and_once(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.draft(database, account_id)
    with database.transaction() as session, pytest.raises(NotApproved):
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.transaction() as session:
        drafts.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    numbers = set()
    for _ in range(2):
        with database.transaction() as session:
            numbers.add(issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number)
    assert numbers == {"INV-2026-000001"}
    with database.reading() as session:
        posted = session.scalars(select(LedgerTransaction.id).where(LedgerTransaction.type == "issue")).all()
        notices = session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic == "invoice.issued")).all()
        happened = session.scalars(
            select(InvoiceEvent.type).where(InvoiceEvent.invoice_id == draft_id).order_by(InvoiceEvent.id)
        ).all()
    assert (len(posted), len(notices), list(happened)) == (1, 1, ["drafted", "approved", "issued"])


def test_an_issued_invoice_its_lines_and_its_taxes_refuse_every_change(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    header = world.issued(database, account_id)
    statements = (
        f"UPDATE invoice_headers SET total_minor = 1, tax_minor = 1, net_minor = 0 WHERE id = '{header.id}'",
        f"UPDATE invoice_headers SET state = 'void', number = NULL WHERE id = '{header.id}'",
        f"DELETE FROM invoice_headers WHERE id = '{header.id}'",
        f"UPDATE invoice_lines SET amount_minor = 1 WHERE invoice_id = '{header.id}'",
        f"DELETE FROM invoice_lines WHERE invoice_id = '{header.id}'",
        f"UPDATE invoice_taxes SET tax_minor = 1 WHERE invoice_id = '{header.id}'",
        "DELETE FROM invoice_events",
        "DELETE FROM invoice_settlements" if header.prepaid_minor else "UPDATE invoice_events SET actor = 'x'",
    )
    for statement in statements:
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(statement))
    with pytest.raises(NotADraft), database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=header.id, actor="usr_ann")


def test_numbers_rise_without_gaps_and_dates_never_fall(database: Database) -> None:
    later, earlier = datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    found = []
    for i, now in enumerate((NOW, later, earlier)):
        account_id = world.open_account(database, f"acme-{i}")
        world.used(database, account_id, Use(100))
        header = world.issued(database, account_id, now=now)
        found.append((header.number, header.issued_on, header.due_on))
    assert found == [
        ("INV-2026-000001", date(2026, 11, 21), date(2026, 12, 5)),
        ("INV-2026-000002", date(2026, 11, 25), date(2026, 12, 9)),
        ("INV-2026-000003", date(2026, 11, 25), date(2026, 12, 9)),
    ]


def test_the_issue_date_is_todays_in_the_sellers_zone_and_a_new_year_begins_a_new_series(database: Database) -> None:
    world.move_seller(database, zone="Pacific/Auckland")
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    header = world.issued(database, account_id, now=datetime(2026, 12, 31, 11, tzinfo=UTC))  # midnight in Auckland
    assert (header.number, header.issued_on) == ("INV-2027-000001", date(2027, 1, 1))


def test_a_failure_after_the_number_was_taken_leaves_no_gap_and_no_trace(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)

    class PowerCut(Exception):
        pass

    def issue_and_fail() -> None:
        with database.transaction() as session:
            assert issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number == "INV-2026-000001"
            raise PowerCut

    with pytest.raises(PowerCut):
        issue_and_fail()
    with database.reading() as session:
        header = session.get_one(InvoiceHeader, draft_id)
        assert (header.state, header.number) == ("approved", None)
        assert session.scalars(select(NumberSeries)).all() == []
    with database.transaction() as session:
        assert issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number == "INV-2026-000001"


def test_a_running_month_is_neither_drafted_nor_issued(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100, at=datetime(2026, 11, 3, tzinfo=UTC)))
    with database.transaction() as session, pytest.raises(PeriodNotEnded):
        drafts.generate(session, now=NOW, period_label="2026-11", account_id=account_id)


def test_a_month_ends_in_the_accounts_zone(database: Database) -> None:
    account_id = world.open_account(database, zone="Europe/Berlin")
    world.used(database, account_id, Use(100, at=datetime(2026, 10, 3, tzinfo=UTC)))
    with database.transaction() as session, pytest.raises(PeriodNotEnded):
        drafts.generate(
            session, now=datetime(2026, 10, 31, 22, 59, tzinfo=UTC), period_label="2026-10", account_id=account_id
        )
    assert world.draft(database, account_id, now=datetime(2026, 10, 31, 23, tzinfo=UTC))


def test_a_text_that_is_no_month_is_refused_and_an_unused_month_gives_no_draft(database: Database) -> None:
    account_id = world.open_account(database)
    with database.transaction() as session, pytest.raises(Invalid) as refused:
        drafts.generate(session, now=NOW, period_label="2026-13", account_id=account_id)
    assert refused.value.fields["reason"] == "not_a_month"
    with database.transaction() as session:
        assert drafts.generate(session, now=NOW, period_label="2026-09", account_id=account_id) is None


def test_generating_again_gives_the_open_draft_and_a_voided_one_can_be_made_anew(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    first = world.draft(database, account_id)
    assert world.draft(database, account_id) == first
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=first, actor="usr_ann")
    second = world.draft(database, account_id)
    assert second != first
    with database.reading() as session:
        states = session.execute(select(InvoiceHeader.id, InvoiceHeader.state)).all()
    assert {row.id: row.state for row in states} == {first: "void", second: "draft"}


def test_a_buyer_who_moved_after_the_draft_is_not_billed_at_the_old_rate(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)
    moved = ProfileFacts(legal_name="Calla SARL", street="1 rue A", city="Paris", postcode="75001", country="FR")
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=moved)
    with database.transaction() as session, pytest.raises(DraftOutdated) as refused:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert refused.value.fields["what"] == "tax treatment"


def test_names_on_the_invoice_are_those_of_the_day_of_issue_and_stay(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)
    renamed = ProfileFacts(legal_name="Calla AG", street="Torstr. 1", city="Berlin", postcode="10119", country="DE")
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=renamed)
    with database.transaction() as session:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.transaction() as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=world.GERMANY)
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key="INV-2026-000001").document.buyer.name == "Calla AG"


def test_an_incomplete_profile_is_refused(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)
    with database.transaction() as session:
        session.execute(update(BillingProfile).values(street=" "))
    with database.transaction() as session, pytest.raises(ProfileIncomplete) as refused:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert refused.value.fields["missing"] == "street"


@pytest.mark.tampers
def test_a_draft_whose_lines_were_altered_is_refused(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    draft_id = world.approved(database, account_id)
    with database.transaction() as session:
        session.execute(update(InvoiceLine).values(amount_minor=99))
    with database.transaction() as session, pytest.raises(DraftOutdated) as refused:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert refused.value.fields["what"] == "lines"


def test_late_usage_of_an_invoiced_month_comes_with_the_next_and_says_so(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100))
    world.issued(database, account_id)
    december = datetime(2026, 12, 2, tzinfo=UTC)
    world.used(database, account_id, Use(50), Use(20, at=datetime(2026, 11, 5, tzinfo=UTC)))
    header = world.issued(database, account_id, period="2026-11", now=december)
    with database.reading() as session:
        lines = invoices.get_invoice(session, now=december, key=header.id).document.lines
    assert [(line.detail, line.amount_minor) for line in lines] == [("Late usage for 2026-10", 50), ("", 20)]


def test_the_state_follows_payments_and_the_due_date(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    day_after_due = datetime(2026, 12, 6, tzinfo=UTC)

    def state(now: datetime) -> tuple[str, int]:
        with database.reading() as session:
            row = invoices.get_invoice(session, now=now, key=header.id).row
            assert [row] == invoices.list_invoices(session, now=now, states=(row.state,))
            assert invoices.count_invoices(session, now=now, states=(row.state,)) == 1
        return row.state, row.due_minor

    assert state(NOW) == ("issued", 11_900)
    assert state(datetime(2026, 12, 5, 23, tzinfo=UTC)) == ("issued", 11_900)
    assert state(day_after_due) == ("overdue", 11_900)
    world.pay(database, header, 5_000)
    assert state(NOW) == ("part_paid", 6_900)
    assert state(day_after_due) == ("overdue", 6_900)
    world.pay(database, header, 6_900)
    assert state(day_after_due) == ("paid", 0)


def test_the_preview_of_a_running_month_writes_nothing_and_ties_to_the_later_invoice(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(100, "a", at=datetime(2026, 11, 3, tzinfo=UTC)))
    with database.reading() as session:
        preview = drafts.preview(session, now=NOW, account_id=account_id, period_label="2026-11")
        assert session.scalars(select(InvoiceHeader)).all() == []
    assert preview is not None
    header = world.issued(database, account_id, period="2026-11", now=datetime(2026, 12, 1, tzinfo=UTC))
    with database.reading() as session:
        issued_document = invoices.get_invoice(session, now=NOW, key=header.id).document
    assert preview.number is None
    assert (preview.total_minor, preview.taxes) == (issued_document.total_minor, issued_document.taxes)
    assert [(line.charge_id, line.amount_minor) for line in preview.lines] == [
        (line.charge_id, line.amount_minor) for line in issued_document.lines
    ]
