"""Books in which everything has happened: usage, rated lines, postings, an invoice, a payment, a refund, a credit note, signed
roots."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from billing.invoicing import credit_notes
from billing.invoicing.tables import InvoiceDocument
from billing.ledger import balances, roots
from billing.rating import days
from billing.storage.database import Database
from billing.storage.signing import Signer
from tests import staff
from tests.service.invoicing import world as invoicing_world
from tests.service.payments.world import ASKER, DECIDER, SandboxCustomer, World
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use

SIGNER = Signer(bytes(range(32)))
LATER = invoicing_world.NOW + timedelta(hours=1)


@dataclass(frozen=True)
class Walk:
    """The ids that tests speak of."""

    account_id: str
    other_id: str
    invoice_id: str
    payment_id: str


def walk(database: Database) -> Walk:
    """Two accounts. The first has everything; the second is billed by tiers across projects and has lines not posted yet."""
    account_id = invoicing_world.open_account(database, "calla")
    payer = World(database=database, customer=SandboxCustomer(database), account_id=account_id)
    with database.transaction() as session:
        staff.hire(session, ASKER, DECIDER)
    payment = payer.top_up(5_000)
    _sign_root(database)
    invoicing_world.used(database, account_id, Use(3_000, "red"), Use(2_000, "blue"), Use(1_234, "red"))
    invoicing_world.used(database, account_id, Use(77, "red"), Use(1, None))
    invoice = invoicing_world.issued(database, account_id)
    _store_pdf(database, invoice.id)
    with database.transaction() as session:
        credit_notes.credit(
            session, now=LATER, invoice_id=invoice.id, actor="usr_ann", reason="a gesture", amount_minor=500
        )
    invoicing_world.pay(database, invoice, 100)
    invoicing_world.top_up(database, account_id, 3_000)
    payer.approve(payer.ask(payment, 40))
    with database.transaction("jobs") as session:
        balances.write_checkpoints(session, now=LATER, account_id=account_id)
    late = Use(400, "red")  # of October, after its invoice: another generation of the same charge
    invoicing_world.used(database, account_id, late)
    other_id = rating_world.open_account(
        database, book=rating_world.tiered("graduated", ("100", "0.015"), (None, "0.010"), code="tiers"), code="taifl"
    )
    invoicing_world.used(database, other_id, Use(90, "a"), Use(90, "b"))
    rating_world.use(database, other_id, Use(33, "a"), Use(5, meter="token_input"), Use(1))
    rating_world.rate(database, other_id)
    rating_world.use(database, other_id, Use(8, "b"))
    with database.transaction("jobs") as session:
        for each in days.accounts_behind(session):
            days.roll(session, each)
    _sign_root(database)
    return Walk(account_id=account_id, other_id=other_id, invoice_id=invoice.id, payment_id=payment.id)


def _sign_root(database: Database) -> None:
    with database.transaction("jobs") as session:
        assert roots.sign(session, SIGNER, now=LATER, actor="test") is not None


def _store_pdf(database: Database, invoice_id: str) -> None:
    """Bytes as the documents job would have stored them: what they show is no matter here."""
    content = b"%PDF-1.7 " + invoice_id.encode()
    with database.transaction("jobs") as session:
        session.add(
            InvoiceDocument(
                invoice_id=invoice_id,
                format="pdf",
                sha256=hashlib.sha256(content).hexdigest(),
                content=content,
                rendered_at=LATER,
            )
        )
