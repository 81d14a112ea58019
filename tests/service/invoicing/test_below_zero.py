"""Late and corrected charges that outweigh a month: a credit note of the net sign, naming the invoice of their period."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from billing.accounts import profiles
from billing.assurance import reconciliation
from billing.invoicing import credit_notes, drafts, invoices, issue
from billing.invoicing.documents import model
from billing.invoicing.errors import CreditTooHigh
from billing.invoicing.tables import InvoiceHeader
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.terms_world import gift
from tests.service.invoicing.world import NOW, Use
from tests.service.rating import world as rating_world

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
IN_SEPTEMBER = datetime(2026, 9, 10, tzinfo=UTC)


def volume_account(database: Database) -> str:
    """1.00 each up to 1,000, then all at 0.80: the 1,001st takes 200.00 off the first thousand."""
    book = rating_world.tiered("volume", ("1000", "1"), (None, "0.8"), code="book-volume")
    account_id = rating_world.open_account(database, book=book, code="calla")
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=world.GERMANY)
    return account_id


def credited_whole(database: Database, invoice: InvoiceHeader) -> credit_notes.Credited:
    with database.transaction() as session:
        return credit_notes.credit(session, now=NOW, invoice_id=invoice.id, reason="Waived", actor="usr_ann", full=True)


def test_900_billed_and_paid_then_20_taken_back_late_is_a_credit_note_of_2380_to_the_wallet(database: Database) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    assert invoice.total_minor == 107_100
    world.pay(database, invoice, 107_100)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER))
    # The job asks for a period of its own: nothing was used in October, so that the next month with usage brings it along.
    world.used(database, account_id, Use(0))
    note = world.issued(database, account_id)
    assert (note.kind, note.number, note.corrects_id) == ("credit_note", "CN-2026-000001", invoice.id)
    assert (note.net_minor, note.tax_minor, note.total_minor) == (2_000, 380, 2_380)
    document = model.from_snapshot(note.snapshot or {})
    assert (document.corrects_number, document.to_wallet_minor, document.due_on) == (invoice.number, 2_380, None)
    assert max((line.quantity_text, line.amount_minor) for line in document.lines) == ("1", 2_000)
    balance = world.balance(database, account_id)
    assert (balance.wallet_minor, balance.receivable_minor, balance.unbilled_minor) == (2_380, 0, 0)
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []
        assert drafts.preview(session, now=NOW, account_id=account_id, period_label=OCTOBER) is None


def test_it_settles_what_the_named_invoice_has_open_before_anything_goes_to_the_wallet(database: Database) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    world.pay(database, invoice, 107_100 - 1_000)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    world.issued(database, account_id)
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.wallet_minor) == (0, 1_380)
    with database.reading() as session:
        row = invoices.get_invoice(session, now=NOW, key=invoice.id)
        assert row.row.state == "paid"
        assert [note.number for note in row.credit_notes] == ["CN-2026-000001"]
        # What it gave back nobody is given again: 1,071.00 - 23.80.
        assert credit_notes.rest_minor(session, invoice.id) == 104_720
        assert reconciliation.compare(session, now=NOW).found == []


@pytest.mark.parametrize(("used_now", "kind", "total"), [(15, "credit_note", 595), (25, "invoice", 595)])
def test_a_late_amount_and_this_months_are_one_document_of_the_net_sign(
    database: Database, used_now: int, kind: str, total: int
) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(used_now))
    made = world.issued(database, account_id)
    assert (made.kind, made.total_minor) == (kind, total)
    assert made.corrects_id == (invoice.id if kind == "credit_note" else None)
    document = model.from_snapshot(made.snapshot or {})
    sign = -1 if kind == "credit_note" else 1
    assert sorted(sign * line.amount_minor for line in document.lines) == [-2_000, used_now * 100]
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []


def test_a_draft_below_zero_can_be_voided_and_made_again_and_takes_no_discount(database: Database) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    draft_id = world.draft(database, account_id)
    with pytest.raises(Invalid) as refused, database.transaction() as session:
        drafts.discount(session, now=NOW, draft_id=draft_id, amount_minor=100, reason="r", actor="u")
    assert refused.value.fields["reason"] == "no_discount_on_a_credit_note"
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    again = world.draft(database, account_id)
    assert again != draft_id
    with database.reading() as session:
        header = session.get_one(InvoiceHeader, again)
        assert (header.kind, header.total_minor, header.takes_charges) == ("credit_note", 2_380, True)


def test_a_credit_note_of_charges_is_issued_once_however_often_it_is_asked_for(database: Database) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    draft_id = world.approved(database, account_id)
    numbers = []
    for _ in range(2):
        with database.transaction() as session:
            numbers.append(issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann").number)
    assert numbers == ["CN-2026-000001"] * 2


def test_a_draft_or_void_credit_note_has_corrected_nothing_yet(database: Database) -> None:
    """1,000.00 less a gift of 990.00 is 11.90 with tax; 200 late units make a credit note of 47.60, which is not issued."""
    account_id = volume_account(database)
    gift(database, account_id, 99_000)
    world.used(database, account_id, Use(1_000, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    draft_id = world.draft(database, account_id)
    for state in ("draft", "void"):
        with database.reading() as session:
            assert session.get_one(InvoiceHeader, draft_id).state == state
            assert session.get_one(InvoiceHeader, draft_id).total_minor == 4_760
            found = invoices.get_invoice(session, now=NOW, key=invoice.id)
        assert (found.row.due_minor, found.row.state, found.credit_notes) == (1_190, "issued", [])
        if state == "draft":
            with database.transaction() as session:
                drafts.void(session, now=NOW, draft_id=draft_id, actor="usr_ann")


def test_an_invoice_that_a_credit_note_of_other_charges_settles_is_paid_and_has_nothing_left_to_credit(
    database: Database,
) -> None:
    """11.90 open, 47.60 of late charges given back: 11.90 against it, 35.70 to the wallet. Another 11.90 would come from nothing."""
    account_id = volume_account(database)
    gift(database, account_id, 99_000)
    world.used(database, account_id, Use(1_000, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    note = world.issued(database, account_id)
    assert (note.corrects_id, note.total_minor, world.balance(database, account_id).wallet_minor) == (
        invoice.id,
        4_760,
        3_570,
    )
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=invoice.id).row.state == "paid"
        assert credit_notes.rest_minor(session, invoice.id) == 0
    with pytest.raises(CreditTooHigh):
        credited_whole(database, invoice)


@pytest.mark.parametrize(
    ("paid_minor", "first_wallet", "wallet"),
    # 1,071.00 invoiced, 23.80 given back for late charges: 1,047.20 is left of it, whoever paid what of it before.
    [(0, 0, 0), (50_000, 0, 50_000), (106_000, 1_280, 106_000), (107_100, 2_380, 107_100)],
)
def test_credited_whole_after_a_credit_note_of_charges_gives_back_what_was_paid_and_no_more(
    database: Database, paid_minor: int, first_wallet: int, wallet: int
) -> None:
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    if paid_minor:
        world.pay(database, invoice, paid_minor)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER), Use(0))
    world.issued(database, account_id)
    assert world.balance(database, account_id).wallet_minor == first_wallet
    note = credited_whole(database, invoice)
    assert note.payable_minor == 104_720
    found = world.balance(database, account_id)
    assert (found.receivable_minor, found.wallet_minor, found.unbilled_minor) == (0, wallet, 0)
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=invoice.id).row.state == "credited"
        header = session.get_one(InvoiceHeader, note.credit_note_id)
        assert (header.net_minor, header.tax_minor) == (88_000, 16_720)
        assert credit_notes.rest_minor(session, invoice.id) == 0
        assert reconciliation.compare(session, now=NOW).found == []


def test_what_comes_late_of_an_account_that_uses_nothing_any_more_gets_a_month_of_its_own(database: Database) -> None:
    """900 billed in September, 200 late in November, nothing since: the 23.80 are drafted when November has ended."""
    account_id = volume_account(database)
    world.used(database, account_id, Use(900, at=IN_SEPTEMBER))
    invoice = world.issued(database, account_id, period=SEPTEMBER)
    world.used(database, account_id, Use(200, at=IN_SEPTEMBER))
    december = datetime(2026, 12, 10, tzinfo=UTC)
    drafted = [
        steps.invoices(JobContext(database=database, providers={}, now=now)) for now in (NOW, NOW, december, december)
    ]
    assert drafted == [0, 0, 1, 0]
    with database.reading() as session:
        note = session.scalars(select(InvoiceHeader).where(InvoiceHeader.state == "draft")).one()
    assert (note.kind, note.total_minor, note.corrects_id) == ("credit_note", 2_380, invoice.id)
    with database.transaction() as session:
        drafts.approve(session, now=december, draft_id=note.id, actor="usr_ann")
        issue.issue(session, now=december, draft_id=note.id, actor="usr_ann")
    assert steps.invoices(JobContext(database=database, providers={}, now=december)) == 0
    balance = world.balance(database, account_id)
    assert (balance.receivable_minor, balance.unbilled_minor) == (2_380 - 107_100, 0)
