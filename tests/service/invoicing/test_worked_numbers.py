"""The worked numbers of money.md that are about terms, commitments and gifts, through the real services on either engine."""

from datetime import UTC, datetime

from sqlalchemy import select

from billing.invoicing import availability, credit_notes
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceHeader
from billing.ledger.tables import LedgerEntry
from billing.rating import opening
from billing.storage.database import Database
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.world import NOW
from tests.service.rating.world import Use

DECEMBER = datetime(2026, 12, 2, 12, tzinfo=UTC)


def _said(header: InvoiceHeader) -> InvoiceDocument:
    return model.from_snapshot(header.snapshot or {})


def _available(database: Database, account_id: str, *, now: datetime = NOW) -> int:
    with database.reading() as session:
        return availability.of_account(session, now=now, account_id=account_id, currency="USD")[0].available_minor


def _entries(database: Database, header: InvoiceHeader) -> list[tuple[str, str, str, int]]:
    with database.reading() as session:
        rows = session.scalars(
            select(LedgerEntry).where(LedgerEntry.transaction_id == header.transaction_id).order_by(LedgerEntry.seq)
        ).all()
        return [
            (row.kind, row.debit_account_id.split("/")[-2], row.credit_account_id.split("/")[-2], row.amount_minor)
            for row in rows
        ]


def test_minimum_1000_usage_800_late_100_closes_at_200_then_100_and_the_tenant_pays_1000(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, minimum={"USD": "1000.00"}, opened_at=terms_world.OCTOBER)
    terms_world.use(database, account_id, Use(80_000))
    first = world.issued(database, account_id)
    assert first.net_minor == 100_000
    assert {line.description: line.amount_minor for line in _said(first).lines} == {
        "Analytics query": 80_000,
        "Minimum spend": 20_000,
    }
    detail = next(line.detail for line in _said(first).lines if line.description == "Minimum spend")
    assert detail == "Minimum 1000.00 USD, charged 800.00 USD"

    terms_world.use(database, account_id, Use(10_000))  # late: October is invoiced
    terms_world.use(database, account_id, now=DECEMBER)  # November has ended, without usage
    second = world.issued(database, account_id, period="2026-11", now=DECEMBER)
    assert [(line.description, line.period_label, line.amount_minor) for line in _said(second).lines] == [
        ("Analytics query", "2026-10", 10_000),
        ("Minimum spend", "2026-10", -10_000),
        ("Minimum spend", "2026-11", 100_000),
    ]
    assert second.net_minor == 100_000  # November's own minimum; October came to 1,000.00 before and after


def test_late_usage_above_the_minimum_is_charged_for_what_goes_beyond_it(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, minimum={"USD": "1000.00"}, opened_at=terms_world.OCTOBER)
    terms_world.use(database, account_id, Use(80_000))
    world.issued(database, account_id)
    terms_world.use(database, account_id, Use(50_000))
    terms_world.use(database, account_id, now=DECEMBER)
    second = world.issued(database, account_id, period="2026-11", now=DECEMBER)
    late = [line.amount_minor for line in _said(second).lines if line.period_label == "2026-10"]
    assert late == [50_000, -20_000]  # 1,300.00 in all, of which 1,000.00 were paid


def test_support_of_ten_percent_counts_what_its_families_were_charged(database: Database) -> None:
    shares = [{"code": "support", "percent": "10", "families": ["analytics"]}]
    account_id = terms_world.open_on_plan(database, fee="25.00", percentages=shares, opened_at=terms_world.OCTOBER)
    terms_world.use(database, account_id, Use(80_005))
    header = world.issued(database, account_id)
    lines = {line.description: (line.amount_minor, line.detail) for line in _said(header).lines}
    assert lines["Support"] == (8_001, "10 % of analytics, 800.05 USD")  # 80.005 rounded once
    assert lines["Platform fee"][0] == 2_500
    assert header.net_minor == 80_005 + 8_001 + 2_500


def test_a_fee_is_charged_once_per_period_also_without_usage(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, fee="25.00", opened_at=terms_world.OCTOBER)
    for _ in range(3):
        terms_world.use(database, account_id)
    with database.transaction("jobs") as session:
        assert opening.open_periods(session, now=NOW, account_id=account_id) == 0
    header = world.issued(database, account_id)
    assert [(line.description, line.amount_minor) for line in _said(header).lines] == [("Platform fee", 2_500)]
    assert world.balance(database, account_id).unbilled_minor == -2_500  # November's, which runs


def test_promo_20_on_usage_130_at_19_percent_gives_vat_of_2090_on_110(database: Database) -> None:
    account_id = world.open_account(database)
    world.used(database, account_id, Use(13_000))
    world.top_up(database, account_id, 13_090)
    grant_id = terms_world.gift(database, account_id, 2_000)
    assert _available(database, account_id) == 0
    header = world.issued(database, account_id)
    assert (header.allowance_minor, header.net_minor, header.tax_minor) == (2_000, 11_000, 2_090)
    assert (header.total_minor, header.prepaid_minor) == (13_090, 13_090)
    assert _entries(database, header) == [
        ("invoice_issue", "receivable", "unbilled", 11_000),
        ("tax", "receivable", "tax:DE", 2_090),
        ("wallet_apply", "wallet", "receivable", 13_090),
        ("promo_apply", "promo", "unbilled", 2_000),
    ]
    assert terms_world.left_of_gift(database, account_id, grant_id) == 0
    assert world.balance(database, account_id).balance_minor == 0


def test_commitment_of_1000_paid_and_800_used_leaves_238_available(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.contract(database, account_id, 100_000)
    sale = terms_world.sell(database, made.id)
    assert (sale.net_minor, sale.tax_minor, sale.total_minor) == (100_000, 19_000, 119_000)
    assert _entries(database, sale) == [
        ("commit_sale", "receivable", "deferred", 100_000),
        ("commit_sale", "receivable", "tax:DE", 19_000),
    ]
    world.pay(database, sale, 119_000)
    world.used(database, account_id, Use(80_000))
    assert _available(database, account_id) == 23_800

    header = world.issued(database, account_id)
    assert (header.net_minor, header.tax_minor, header.total_minor) == (0, 0, 0)
    drawn = _said(header).lines[-1]
    assert (drawn.amount_minor, drawn.contract_id) == (-80_000, made.id)
    assert sale.number is not None
    assert sale.number in drawn.detail
    assert _entries(database, header) == [("commit_drawdown", "deferred", "unbilled", 80_000)]
    assert terms_world.stands(database, made.id).left_minor == 20_000
    assert _available(database, account_id) == 23_800


def test_money_paid_in_advance_for_something_else_or_another_time_is_not_available(database: Database) -> None:
    """8.00 of analytics pending, 9.52 with tax. What cannot pay it is no help; what is left beside it is something to use."""
    account_id = world.open_account(database)
    world.used(database, account_id, Use(800))
    assert _available(database, account_id) == -952
    terms_world.paid(database, account_id, 100_000, name="GPUs", families=("gpu",))
    assert _available(database, account_id) == -952
    ends_at = datetime(2026, 11, 22, tzinfo=UTC)
    terms_world.paid(database, account_id, 1_000, name="Queries", families=("analytics",), ends_at=ends_at)
    # Covered, and 992.00 and 2.00 net are left, each for its own families.
    assert _available(database, account_id) == 119_000 + 238
    assert _available(database, account_id, now=ends_at) == 119_000
    world.top_up(database, account_id, 500)
    assert _available(database, account_id, now=ends_at) == 119_500


def test_only_what_goes_beyond_a_commitment_is_taxed(database: Database) -> None:
    account_id = world.open_account(database)
    made = terms_world.committed(database, account_id, 100_000)
    world.used(database, account_id, Use(130_000))
    header = world.issued(database, account_id)
    assert (header.net_minor, header.tax_minor) == (30_000, 5_700)
    assert terms_world.stands(database, made.id).state == "used_up"


def test_a_credited_invoice_gives_promo_and_commitment_back_in_the_share_in_which_it_is_credited(
    database: Database,
) -> None:
    account_id = world.open_account(database)
    made = terms_world.committed(database, account_id, 10_000)
    grant_id = terms_world.gift(database, account_id, 2_000)
    world.used(database, account_id, Use(20_000))
    header = world.issued(database, account_id)
    assert (header.net_minor, header.tax_minor) == (8_000, 1_520)  # 200 - 100 commitment - 20 promo
    for share, expected in ((10_000, (5_000, 1_000)), (10_000, (10_000, 2_000))):
        with database.transaction() as session:
            line_id = _said(header).lines[0].id
            done = credit_notes.credit(
                session, now=NOW, invoice_id=header.id, reason="wrong", actor="usr_mia", lines={line_id: share}
            )
        assert done.payable_minor == 4_760
        back = (
            terms_world.stands(database, made.id).left_minor,
            terms_world.left_of_gift(database, account_id, grant_id),
        )
        assert back == expected
    assert world.balance(database, account_id).receivable_minor == -11_900  # the sale's
