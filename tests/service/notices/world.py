"""People to write to, notices to tell, and a mailer for the test's own server."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from billing.accounts.tables import Membership, User
from billing.catalog import onboarding
from billing.invoicing.documents.receipt_tables import Receipt, ReceiptDocument
from billing.invoicing.tables import InvoiceDocument
from billing.kernel.ids import new_id
from billing.notices import relay, sending
from billing.notices.channels.port import Channel
from billing.notices.channels.smtp import SmtpChannel, read_url
from billing.notices.mail import Mailer
from billing.payments import receipt_issue
from billing.storage import correlation, outbox
from billing.storage.database import Database
from billing.storage.tables import Delivery
from tests.peers.smtp_server import SmtpServer
from tests.service.invoicing import world as invoicing

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PDF = b"%PDF-1.7\n1 0 obj\n"
BUDGET = {
    "budget_id": "bud_1", "name": "Training", "period": "2026-11", "threshold_percent": 80, "spent_minor": 80_000,
    "amount_minor": 100_000, "currency": "USD",
}  # fmt: skip


def mailer(channel: Channel | SmtpServer, *, sender: str = "billing@plumbline.example") -> Mailer:
    """What sends mail in tests; a server of the test's own is spoken to plainly."""
    if isinstance(channel, SmtpServer):
        channel = SmtpChannel(read_url(channel.url), timeout_s=5)
    return Mailer(
        channel=channel,
        sender_name="Plumbline",
        sender=sender,
        base_url="https://billing.example.com",
        token_of=lambda link_id: f"{link_id}.secret",
    )


def account(database: Database, code: str = "calla", *, name: str | None = None, members: int = 1) -> str:
    """A billing account with so many owners: owner0@calla.example.com and so on."""
    with database.transaction("jobs") as session:
        opened = onboarding.open_account(session, now=NOW, code=code, name=name)
        ids = [
            person(session, f"owner{number}@{code}.example.com", name=f"Owner {number}", id=f"usr_{code}{number}")
            for number in range(members)
        ]
        session.execute(
            insert(Membership),
            [{"user_id": user_id, "tenant_id": opened.tenant_id, "role": "owner"} for user_id in ids],
        )
        return opened.id


def person(
    session: Any,
    login: str,
    *,
    name: str = "Ada",
    staff: str | None = None,
    locale: str | None = None,
    id: str | None = None,
) -> str:
    """Somebody whose name nobody looked at, and who cannot sign in."""
    user = User(
        id=id or new_id("usr"),
        login=login,
        name=name,
        password_hash="-",
        staff_role=staff,
        locale=locale,
        created_at=NOW,
    )
    session.add(user)
    session.flush()
    return user.id


def printed(database: Database, code: str = "brine") -> str:
    """An issued invoice of another account whose PDF is there; its id."""
    header = invoicing.invoice_of(database, 10_000, code)
    with database.transaction("jobs") as session:
        session.add(
            InvoiceDocument(
                invoice_id=header.id, format="pdf", sha256=hashlib.sha256(PDF).hexdigest(), content=PDF, rendered_at=NOW
            )
        )
    return header.id


def receipted(database: Database, code: str = "cress") -> str:
    """A printed receipt of a payment of another account; its id."""
    account_id = invoicing.open_account(database, code)
    invoicing.top_up(database, account_id, 5_000)
    with database.transaction("jobs") as session:
        assert receipt_issue.issue_waiting(session, now=NOW, account_id=account_id) == 1
        made = session.scalars(select(Receipt.id)).one()
        session.add(
            ReceiptDocument(
                receipt_id=made, format="pdf", sha256=hashlib.sha256(PDF).hexdigest(), content=PDF, rendered_at=NOW
            )
        )
    return made


def tell(
    database: Database,
    account_id: str | None,
    topic: str = "budget.crossed",
    payload: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    request_id: str = "req_of_the_click",
) -> None:
    """A notice, queued as an act does it."""
    with correlation.scope(request_id), database.transaction("jobs") as session:
        outbox.enqueue(
            session, now=NOW, topic=topic, dedup_key=key or new_id(topic), payload=payload or BUDGET,
            billing_account_id=account_id,
        )  # fmt: skip


def send(database: Database, peer: Mailer | SmtpServer, *, now: datetime = NOW) -> int:
    """Both steps of the timetable, once each; how many mails were taken."""
    relay.deliver_due(database, now=now, by_mail=True)
    return sending.send_due(database, peer if isinstance(peer, Mailer) else mailer(peer), now=now)


def rows(database: Database) -> list[Delivery]:
    """Every delivery, oldest first."""
    with database.reading("jobs") as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def one(database: Database) -> Delivery:
    """The only delivery there is."""
    (found,) = rows(database)
    return found
