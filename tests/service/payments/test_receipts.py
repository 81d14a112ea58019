"""Each payment has one receipt, whatever is killed and however often its job runs; it says what the ledger says."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from billing.invoicing.documents import fingerprints, receipts
from billing.invoicing.documents.receipt_tables import Receipt as ReceiptRow
from billing.invoicing.documents.receipts import Receipt
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound
from billing.payments import receipt_files, receipt_issue
from billing.storage.tables import AuditRecord, OutboxMessage
from tests.service.invoicing import world as invoicing
from tests.service.payments.world import NOW, World


def issue(world: World) -> int:
    with world.database.transaction("jobs") as session:
        return receipt_issue.issue_waiting(session, now=world.now, account_id=world.account_id)


def the_receipt(world: World) -> Receipt:
    with world.database.reading() as session:
        [row] = receipt_files.list_receipts(session, account_id=world.account_id)
        return receipt_files.get_receipt(session, row.number)[1]


class _Died(BaseException):
    """The process is gone."""


def _die(*_: object) -> str:
    raise _Died


def test_a_top_up_has_one_receipt_that_says_it_is_a_deposit(world: World) -> None:
    payment = world.top_up(5_000)
    with world.database.reading("jobs") as session:
        assert receipt_issue.accounts_waiting(session) == [world.account_id]
    assert (issue(world), issue(world)) == (1, 0)
    receipt = the_receipt(world)
    assert (receipt.number, receipt.amount_minor, receipt.currency) == ("REC-2026-000001", 5_000, "USD")
    assert [(part.kind, part.amount_minor) for part in receipt.parts] == [("wallet", 5_000)]
    assert (receipt.payment_id, receipt.method, receipt.method_label) == (
        payment.id,
        "stripe_credit",
        payment.method_label,
    )
    html = receipts.to_html(receipt, snapshot_hash="ab" * 32)
    assert "A deposit bears no VAT" in html
    with world.database.reading() as session:
        [notice] = session.scalars(select(OutboxMessage).where(OutboxMessage.topic == "receipt.issued"))
        assert notice.payload["number"] == "REC-2026-000001"
        assert notice.payload["invoice_id"] is None
        assert session.scalars(select(func.count()).where(AuditRecord.act == "receipt.issue")).one() == 1


def test_a_paid_invoice_and_the_surplus_stand_on_one_receipt(world: World) -> None:
    invoice: InvoiceHeader = invoicing.invoice_of(world.database, 10_000, code="billed")
    world.account_id, world.now = invoice.billing_account_id, max(NOW, invoicing.NOW)
    whole, half = (
        world.start(minor, purpose="invoice", invoice_id=invoice.id, form_key=f"k{minor}") for minor in (11_900, 5_000)
    )
    world.deliver(*world.customer.pay(half))
    world.deliver(*world.customer.pay(whole))
    assert issue(world) == 2
    with world.database.reading() as session:
        newest = receipt_files.list_receipts(session, account_id=world.account_id)[0]
        receipt = receipt_files.get_receipt(session, newest.id)[1]
    assert [(part.kind, part.number, part.amount_minor) for part in receipt.parts] == [
        ("invoice", invoice.number, 6_900),
        ("wallet", None, 5_000),
    ]
    assert "The VAT stands on the invoice" in receipts.to_html(receipt, snapshot_hash="ab" * 32)


def test_a_transaction_that_dies_gives_its_number_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.top_up(5_000)
    monkeypatch.setattr(receipts, "snapshot_hash", _die)
    with pytest.raises(_Died):
        issue(world)
    monkeypatch.undo()
    assert issue(world) == 1
    world.top_up(2_000)
    assert issue(world) == 1
    with world.database.reading() as session:
        assert list(session.scalars(select(ReceiptRow.number).order_by(ReceiptRow.number))) == [
            "REC-2026-000001",
            "REC-2026-000002",
        ]


def test_jobs_that_run_at_once_issue_one_receipt_a_payment(world: World) -> None:
    for minor in (1_000, 2_000, 3_000):
        world.top_up(minor)
    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(lambda _: issue(world), range(4)))
    assert done == 3
    with world.database.reading() as session:
        assert session.scalars(select(func.count()).select_from(ReceiptRow)).one() == 3


def test_a_receipt_is_printed_once_and_known_to_the_public_page(world: World) -> None:
    world.top_up(5_000)
    issue(world)
    assert receipt_files.render_pending(world.database, now=world.now) == 1
    assert receipt_files.render_pending(world.database, now=world.now) == 0
    number = the_receipt(world).number
    with world.database.transaction() as session:
        pdf = receipt_files.find_pdf(session, number, account_id=world.account_id)
        assert pdf is not None
        assert pdf.content.startswith(b"%PDF")
        assert fingerprints.is_genuine(session, number, pdf.sha256)
        with pytest.raises(NotFound):
            receipt_files.find_pdf(session, number, account_id="bac_other")


def test_a_receipt_comes_back_from_its_snapshot(world: World) -> None:
    world.top_up(5_000)
    issue(world)
    receipt = the_receipt(world)
    again: dict[str, Any] = receipt.to_snapshot()
    assert receipts.from_snapshot(again) == receipt
