"""Books in which everything has happened: usage, rated lines, postings, an invoice, a payment, a refund, a credit note, signed
roots."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from billing.accounts import heads
from billing.catalog import activations, commitments, reservations
from billing.catalog.reservations import HOUR, Wanted
from billing.invoicing import credit_notes
from billing.invoicing.tables import InvoiceDocument
from billing.kernel.money import Money
from billing.ledger import balances, promos, roots
from billing.payments.cash import sync
from billing.rating import days, price_changes
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
    bent_id: str
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
    _gift(database, account_id)
    invoice = invoicing_world.issued(database, account_id)
    _store_pdf(database, invoice.id)
    with database.transaction() as session:
        credit_notes.credit(
            session, now=LATER, invoice_id=invoice.id, actor="usr_ann", reason="a gesture", amount_minor=500
        )
    invoicing_world.pay(database, invoice, 100)
    invoicing_world.top_up(database, account_id, 3_000)
    payer.customer.provider.pay_out("USD", now=payer.now, available_by=payer.now + timedelta(days=3))
    sync.sync(database, payer.providers, now=payer.now)
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
    bent_id = _bent(database)
    _agree(database, account_id)
    with database.transaction("jobs") as session:
        for each in days.accounts_behind(session):
            days.roll(session, each)
    _sign_root(database)
    return Walk(account_id=account_id, other_id=other_id, bent_id=bent_id, invoice_id=invoice.id, payment_id=payment.id)


def _bent(database: Database) -> str:
    """An account whose price changes in the middle of October, known only after usage was rated and posted: rescaled."""
    bounds = (("1000", "1.00"), (None, "0.50"))
    first = rating_world.tiered("graduated", *bounds, code="bent")
    account_id = rating_world.open_account(database, book=first, code="bent")
    invoicing_world.used(database, account_id, Use(800, at=rating_world.OCTOBER + timedelta(days=3)))
    later = rating_world.tiered("graduated", *bounds, code="bent", starts=("2026-10-16T00:00:00Z",))
    with database.transaction("jobs") as session:
        accounts = price_changes.accounts_on_book(session, "bent")
        with price_changes.guarded(session, accounts, now=rating_world.NOW):
            activations.install(session, later, now=rating_world.NOW, actor="test")
    invoicing_world.used(database, account_id, Use(800, at=rating_world.OCTOBER + timedelta(days=18)))
    return account_id


def _agree(database: Database, account_id: str) -> None:
    """A commitment that nobody has bought yet, one that was taken back, and a reservation whose one hour was not used."""
    with database.transaction() as session:
        for name, starts_at in (("spring", LATER), ("autumn", LATER + timedelta(days=400))):
            made = commitments.create(
                session,
                now=LATER,
                account_id=account_id,
                name=name,
                amount=Money(minor=90_000, currency="USD"),
                starts_at=starts_at,
                ends_at=starts_at + timedelta(days=300),
                families=("analytics",),
                actor="usr_mia",
            )
        commitments.withdraw(session, now=LATER, contract_id=made.id, actor="usr_mia")
    book = "".join(
        f'''
[[products]]
sku = "gpu/x900-{mode}"
meter = "gpu_hour"
variant = "x900"
mode = "{mode}"
name = "X900 {mode}"

[[prices]]
sku = "gpu/x900-{mode}"
model = "per_unit"
unit_price = "2.00"
'''
        for mode in ("on_demand", "reserved", "unused")
    )
    head = 'code = "held"\nname = "held"\ncurrency = "USD"\nvalid_from = 1970-01-01T00:00:00Z\n'
    held_id = rating_world.open_account(database, book=head + book, code="held")
    start_at = rating_world.NOVEMBER - HOUR
    with database.transaction("jobs") as session:
        wanted = Wanted(
            name="one",
            meter_code="gpu_hour",
            variant="x900",
            capacity="1",
            starts_at=start_at,
            ends_at=start_at + HOUR,
        )
        reservations.create(session, now=LATER, account_id=held_id, wanted=wanted, actor="usr_mia")
    invoicing_world.used(database, held_id)


def _gift(database: Database, account_id: str) -> None:
    with database.transaction() as session:
        promos.grant(
            session,
            now=invoicing_world.NOW,
            head=heads.lock_one(session, account_id),
            kind="promo_grant",
            amount=Money(minor=700, currency="USD"),
            reason="a welcome",
            actor="test",
            source_type="campaign",
            source_id="spring",
            expires_at=LATER + timedelta(days=90),
        )


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
