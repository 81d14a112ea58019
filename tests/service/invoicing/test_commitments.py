"""Commitments: what is refused, how they are drawn down, credited and lapse, also when many act at once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.catalog import commitments
from billing.catalog.errors import CommitmentOverlaps
from billing.invoicing import batches, contracts, credit_notes, drafts, issue, sales, sending_back
from billing.invoicing.documents import model
from billing.invoicing.errors import CreditTooHigh, DraftDearer
from billing.invoicing.tables import InvoiceBatchItem, InvoiceHeader
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Conflict, Invalid, Refusal
from billing.kernel.money import Money
from billing.storage.database import Database
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.terms_world import NEXT_YEAR, OCTOBER
from tests.service.invoicing.world import NOW
from tests.service.rating.world import Use

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def _covers(header: InvoiceHeader) -> dict[str, int]:
    lines = model.from_snapshot(header.snapshot or {}).lines
    return {line.description: line.amount_minor for line in lines if line.covers}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": Money(minor=100, currency="EUR")}, "other_currency"),
        ({"amount": Money(minor=0, currency="USD")}, "not_positive"),
        ({"starts_at": datetime(2026, 10, 1)}, "naive_time"),  # noqa: DTZ001  that is the point
        ({"ends_at": OCTOBER}, "ends_before_start"),
        ({"starts_at": OCTOBER - timedelta(days=99), "ends_at": OCTOBER}, "in_the_past"),
        ({"ends_at": OCTOBER + timedelta(days=4000)}, "term_too_long"),
        ({"families": ["pencils"]}, "unknown_family"),
        ({"name": " "}, "empty"),
    ],
)
def test_a_commitment_that_cannot_be_right_is_refused(
    database: Database, changes: dict[str, object], reason: str
) -> None:
    account_id = world.open_account(database)
    given: dict[str, object] = {
        "name": "2026",
        "amount": Money(minor=100, currency="USD"),
        "starts_at": OCTOBER,
        "ends_at": NEXT_YEAR,
    }
    with database.transaction() as session, pytest.raises(Invalid) as refused:
        commitments.create(session, now=NOW, account_id=account_id, actor="usr_mia", **(given | changes))  # type: ignore[arg-type]
    assert refused.value.fields["reason"] == reason


def test_two_commitments_for_the_same_charges_may_not_overlap_and_the_same_again_is_the_same(
    database: Database,
) -> None:
    account_id = world.open_account(database)
    first = terms_world.contract(database, account_id, 1_000, families=("analytics",))
    assert terms_world.contract(database, account_id, 1_000, families=("analytics",)).id == first.id
    with pytest.raises(CommitmentOverlaps):
        terms_world.contract(database, account_id, 500, name="more")
    terms_world.contract(database, account_id, 500, name="storage", families=("storage",))
    terms_world.contract(
        database, account_id, 500, name="next", starts_at=NEXT_YEAR, ends_at=datetime(2028, 1, 1, tzinfo=UTC)
    )
    with database.transaction() as session:
        commitments.withdraw(session, now=NOW, contract_id=first.id, actor="usr_mia")
    terms_world.contract(database, account_id, 700, name="instead", families=("analytics",))
    assert terms_world.stands(database, first.id).state == "withdrawn"


def test_a_commitment_is_drawn_earliest_end_first_and_only_by_its_families(database: Database) -> None:
    account_id = world.open_account(database)
    terms_world.committed(database, account_id, 50_000, name="later")
    # A commitment that ends inside the month is drawn by all of its charges, before one that goes on.
    terms_world.committed(
        database, account_id, 30_000, name="storage alone", families=("storage",), starts_at=NEXT_YEAR,
        ends_at=NEXT_YEAR + timedelta(days=1),
    )  # fmt: skip
    world.used(database, account_id, Use(20_000))
    assert _covers(world.issued(database, account_id)) == {"Commitment later": -20_000}


def test_two_commitments_that_meet_inside_a_month_are_drawn_in_turn(database: Database) -> None:
    account_id = world.open_account(database)
    middle = datetime(2026, 10, 15, tzinfo=UTC)
    early = datetime(2026, 10, 2, tzinfo=UTC)
    terms_world.committed(database, account_id, 50_000, name="second", starts_at=middle)
    with database.transaction() as session:
        made = commitments.create(
            session, now=early, account_id=account_id, name="first", amount=Money(minor=5_000, currency="USD"),
            starts_at=OCTOBER, ends_at=middle, actor="usr_mia",
        )  # fmt: skip
    terms_world.sell(database, made.id)
    world.used(database, account_id, Use(20_000))
    assert _covers(world.issued(database, account_id)) == {"Commitment first": -5_000, "Commitment second": -15_000}


def test_what_is_left_lapses_once_when_its_last_month_is_billed(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.committed(database, account_id, 50_000, ends_at=datetime(2026, 11, 25, tzinfo=UTC))
    world.used(database, account_id, Use(20_000))
    world.issued(database, account_id)
    world.used(database, account_id, Use(5_000, at=datetime(2026, 11, 10, tzinfo=UTC)))
    after = datetime(2026, 12, 2, tzinfo=UTC)

    def lapse() -> int:
        with database.transaction("jobs") as session:
            waiting = contracts.accounts_to_lapse(session, now=after)
            return sum(contracts.lapse(session, now=after, account_id=each) for each in waiting)

    assert lapse() == 0  # November is not billed yet
    world.issued(database, account_id, period="2026-11", now=after)
    assert (lapse(), lapse()) == (1, 0)
    row = terms_world.stands(database, made.id, now=after)
    assert (row.state, row.drawn_minor, row.lapsed_minor, row.left_minor) == ("lapsed", 25_000, 25_000, 0)
    assert world.balance(database, account_id).deferred_minor == 0


def test_a_sale_is_credited_at_most_by_what_is_left_of_it(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.contract(database, account_id, 100_000)
    sale = terms_world.sell(database, made.id)
    world.used(database, account_id, Use(80_000))
    world.issued(database, account_id)
    line_id = model.from_snapshot(sale.snapshot or {}).lines[0].id
    with database.transaction() as session, pytest.raises(CreditTooHigh):
        credit_notes.credit(
            session, now=NOW, invoice_id=sale.id, reason="unwanted", actor="usr_mia", lines={line_id: 20_001}
        )
    with database.transaction() as session:
        done = credit_notes.credit(session, now=NOW, invoice_id=sale.id, reason="unwanted", actor="usr_mia", full=True)
    assert done.payable_minor == 23_800
    row = terms_world.stands(database, made.id)
    assert (row.credited_minor, row.left_minor, row.state) == (20_000, 0, "used_up")


def test_a_sale_whose_draft_is_voided_can_be_drafted_again_and_is_one_invoice_in_the_end(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.contract(database, account_id, 100_000)
    with database.transaction() as session:
        first = sales.draft(session, now=NOW, contract_id=made.id, actor="usr_mia")
        assert sales.draft(session, now=NOW, contract_id=made.id, actor="usr_mia") == first
    with database.transaction() as session, pytest.raises(Conflict):
        commitments.withdraw(session, now=NOW, contract_id=made.id, actor="usr_mia")
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=first, actor="usr_mia")
    terms_world.sell(database, made.id)
    assert terms_world.stands(database, made.id).state == "active"


def test_two_invoices_issued_at_once_never_draw_more_than_is_left(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.committed(database, account_id, 30_000)
    world.used(database, account_id, Use(20_000), Use(25_000, at=datetime(2026, 11, 10, tzinfo=UTC)))
    after = datetime(2026, 12, 2, tzinfo=UTC)
    waiting = [world.approved(database, account_id, period=label, now=after) for label in ("2026-10", "2026-11")]
    start, refused = threading.Barrier(2), list[Refusal]()

    def send(draft_id: str) -> None:
        start.wait()
        try:
            with database.transaction() as session:
                issue.issue(session, now=after, draft_id=draft_id, actor="usr_ann")
        except Refusal as refusal:
            refused.append(refusal)

    threads = [threading.Thread(target=send, args=(draft_id,)) for draft_id in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    # Whichever came second would ask for more than was approved: it is looked at again.
    assert [type(one) for one in refused] == [DraftDearer]
    second = str(refused[0].fields["invoice_id"])
    with database.transaction() as session:
        assert sending_back.send_back(session, now=after, draft_id=second, actor="usr_ann")
        drafts.approve(session, now=after, draft_id=second, actor="usr_ann")
        issue.issue(session, now=after, draft_id=second, actor="usr_ann")
    with database.reading() as session:
        nets = [session.get_one(InvoiceHeader, draft_id).net_minor for draft_id in waiting]
    assert sum(nets) == 15_000  # 450.00 charged, 300.00 of it paid in advance
    assert terms_world.stands(database, made.id, now=after).left_minor == 0


def test_a_discount_and_a_gift_lower_the_tax_and_an_approved_draft_goes_back(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(13_000))
    terms_world.gift(database, account_id, 1_000, name="expired soon", expires_at=NOW + timedelta(hours=1))
    terms_world.gift(database, account_id, 5_000, name="for good")
    draft_id = world.approved(database, account_id)
    with database.transaction() as session:
        header = drafts.discount(
            session, now=NOW, draft_id=draft_id, amount_minor=3_000, reason="Launch partner", actor="usr_mia"
        )
        assert header.state == "draft"
        drafts.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann")
        gone = drafts.discount(session, now=NOW, draft_id=draft_id, amount_minor=0, reason="Never", actor="usr_mia")
        assert gone.state == "approved"
        issued = issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
        said = model.from_snapshot(issued.snapshot or {})
    assert [(one.kind, one.reason, one.amount_minor) for one in said.allowances] == [
        ("discount", "Launch partner", 3_000),
        ("promo", "expired soon", 1_000),
        ("promo", "for good", 5_000),
    ]
    assert (issued.net_minor, issued.tax_minor) == (4_000, 760)
    with database.transaction() as session:
        done = credit_notes.credit(session, now=NOW, invoice_id=issued.id, reason="wrong", actor="usr_mia", full=True)
    assert done.payable_minor == 4_760
    assert world.balance(database, account_id).promo_minor == 6_000


def test_an_approved_draft_that_a_gift_no_longer_makes_cheaper_is_approved_anew(database: Database) -> None:
    """130.00 less a gift of 20.00, at 19 %: 130.90 is approved; when the gift has expired 154.70 would be issued."""
    account_id = world.open_account(database)
    world.used(database, account_id, Use(13_000))
    terms_world.gift(database, account_id, 2_000, expires_at=NOW + timedelta(hours=1))
    draft_id = world.approved(database, account_id)
    later = NOW + timedelta(hours=2)
    before = world.balance(database, account_id)
    with pytest.raises(DraftDearer) as refusal, database.transaction() as session:
        issue.issue(session, now=later, draft_id=draft_id, actor="usr_ann")
    fields = refusal.value.fields
    assert (fields["approved_minor"], fields["total_minor"], fields["currency"]) == (13_090, 15_470, "USD")
    assert world.balance(database, account_id) == before
    for again in (True, False):
        with database.transaction() as session:
            sent = sending_back.send_back(session, now=later, draft_id=draft_id, actor="usr_ann")
            assert sent is again
            header = session.get_one(InvoiceHeader, draft_id)
            assert (header.state, header.approved_by, header.total_minor) == ("draft", None, 15_470)
    with database.transaction() as session:
        drafts.approve(session, now=later, draft_id=draft_id, actor="usr_ann")
        issued = issue.issue(session, now=later, draft_id=draft_id, actor="usr_ann")
    assert (issued.allowance_minor, issued.net_minor, issued.tax_minor) == (0, 13_000, 2_470)


def test_an_approved_draft_that_became_cheaper_is_issued_and_not_sent_back(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(13_000))
    draft_id = world.approved(database, account_id)
    terms_world.gift(database, account_id, 2_000)
    with database.transaction() as session:
        assert not sending_back.send_back(session, now=NOW, draft_id=draft_id, actor="usr_ann")
        issued = issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    assert (issued.allowance_minor, issued.net_minor) == (2_000, 11_000)


def test_a_batch_sends_a_draft_back_that_became_dearer_and_says_why(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(13_000))
    terms_world.gift(database, account_id, 2_000, expires_at=NOW + timedelta(hours=1))
    draft_id = world.approved(database, account_id)
    later = NOW + timedelta(hours=2)
    with database.transaction() as session:
        batches.start(
            session,
            now=later,
            act="issue",
            period_label=world.OCTOBER,
            invoice_ids=[draft_id],
            form_key="once",
            actor="usr_ann",
        )
    steps.invoice_batches(JobContext(database=database, providers={}, now=later))
    with database.reading() as session:
        assert session.get_one(InvoiceHeader, draft_id).state == "draft"
        (item,) = session.scalars(select(InvoiceBatchItem))
        assert (item.state, item.refusal_code) == ("refused", "draft_dearer")
