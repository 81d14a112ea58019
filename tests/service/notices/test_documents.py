"""Documents by mail: the stored PDF, to people and confirmed addresses; reminders, each step once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.accounts import links, recipients
from billing.accounts.errors import AlreadyRecipient, LinkRefused, TooManyRecipients
from billing.invoicing import reminders
from billing.kernel.errors import Invalid, NotFound
from billing.notices import deliveries, relay
from billing.storage.database import Database
from tests.peers.smtp_server import SmtpServer
from tests.service.invoicing import world as invoicing
from tests.service.notices import world
from tests.service.notices.test_letters import payload_of
from tests.service.notices.world import NOW

KEY = b"k" * 32


@pytest.fixture
def peer() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def listed(
    database: Database, account_id: str, email: str = "books@calla.example.com", *, confirmed: bool = True
) -> str:
    """An address on the account's list; its id. Its own mail is told already."""
    with database.transaction("jobs") as session:
        made = recipients.add(session, now=NOW, account_id=account_id, email=email, actor="usr_calla0")
        if confirmed:
            recipients.confirm(session, links.make_token(made, key=KEY), key=KEY, now=NOW)
    relay.deliver_due(database, now=NOW)
    return made


def test_a_mail_brings_the_stored_pdf_under_the_documents_number(database: Database, peer: SmtpServer) -> None:
    document_id = world.printed(database)
    relay.deliver_due(database, now=NOW)
    account_id = world.account(database)
    world.tell(database, account_id, "invoice.issued", payload_of("invoice.issued", "INV-1", document_id))
    assert world.send(database, peer) == 1
    (message,) = peer.messages
    (attached,) = message.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", "INV-2026-000001.pdf")
    assert attached.get_content() == world.PDF
    assert "USD 55,000.00" in message.get_body(("plain",)).get_content()


def test_a_mail_waits_for_a_document_that_is_not_printed_and_that_is_no_try(
    database: Database, peer: SmtpServer
) -> None:
    invoice = invoicing.invoice_of(database, 10_000, "brine")
    relay.deliver_due(database, now=NOW)
    account_id = world.account(database)
    world.tell(database, account_id, "invoice.issued", payload_of("invoice.issued", "INV-1", invoice.id))
    assert world.send(database, peer) == 0
    row = world.one(database)
    assert (row.state, row.attempts, row.last_error) == ("waiting", 0, "document_waits")
    assert world.send(database, peer, now=NOW + timedelta(hours=30)) == 0
    assert world.one(database).attempts == 0
    assert peer.taken == []


def test_confirmed_addresses_get_documents_with_a_way_out_and_others_get_nothing(
    database: Database, peer: SmtpServer
) -> None:
    document_id = world.printed(database)
    relay.deliver_due(database, now=NOW)
    account_id = world.account(database)
    made = listed(database, account_id)
    listed(database, account_id, "silent@calla.example.com", confirmed=False)
    world.tell(database, account_id, "invoice.issued", payload_of("invoice.issued", "INV-1", document_id))
    world.tell(database, account_id, "budget.crossed")
    assert world.send(database, peer) == 3
    written = {one.recipients[0]: one.message for one in peer.taken if "Invoice" in one.message["Subject"]}
    assert sorted(written) == ["books@calla.example.com", "owner0@calla.example.com"]
    way_out = f"https://billing.example.com/recipients/{made}.secret"
    for kind in ("plain", "html"):
        assert way_out in written["books@calla.example.com"].get_body((kind,)).get_content()
        assert "/recipients/" not in written["owner0@calla.example.com"].get_body((kind,)).get_content()


def test_an_address_is_asked_before_it_gets_anything_and_can_end_it(database: Database, peer: SmtpServer) -> None:
    account_id = world.account(database)
    with database.transaction("jobs") as session:
        made = recipients.add(session, now=NOW, account_id=account_id, email="Books@Calla.example.com", actor="usr_1")
    assert world.send(database, peer) == 1
    assert peer.taken[0].recipients == ["books@calla.example.com"]
    token = links.make_token(made, key=KEY)
    with database.transaction() as session:
        assert not recipients.read(session, token, key=KEY, now=NOW).is_verified
        recipients.confirm(session, token, key=KEY, now=NOW)
        recipients.confirm(session, token, key=KEY, now=NOW)
        assert [one.verified_at for one in recipients.list_recipients(session, account_id)] == [NOW]
    with database.transaction() as session:
        recipients.decline(session, token, key=KEY, now=NOW)
    with database.reading() as session:
        assert recipients.list_recipients(session, account_id) == []
        with pytest.raises(LinkRefused):
            recipients.read(session, token, key=KEY, now=NOW)


def test_a_link_of_another_key_or_that_waited_too_long_is_refused(database: Database) -> None:
    account_id = world.account(database)
    made = listed(database, account_id, confirmed=False)
    with database.reading() as session:
        for token, now in (
            (links.make_token(made, key=b"x" * 32), NOW),
            (links.make_token(made, key=KEY), NOW + recipients.LIFE),
            (f"{made}.", NOW),
        ):
            with pytest.raises(LinkRefused):
                recipients.read(session, token, key=KEY, now=now)


def test_the_list_takes_an_address_once_and_has_an_end(database: Database) -> None:
    account_id, other_id = world.account(database), world.account(database, "brine")
    made = listed(database, account_id)
    with database.transaction("jobs") as session:
        with pytest.raises(AlreadyRecipient):
            recipients.add(session, now=NOW, account_id=account_id, email="BOOKS@calla.example.com", actor="usr_1")
        with pytest.raises(Invalid):
            recipients.add(session, now=NOW, account_id=account_id, email="books\r\n@x", actor="usr_1")
        with pytest.raises(NotFound):
            recipients.remove(session, now=NOW, account_id=other_id, recipient_id=made, actor="usr_1")
        recipients.remove(session, now=NOW, account_id=account_id, recipient_id=made, actor="usr_1")
        for number in range(recipients.MOST):
            recipients.add(session, now=NOW, account_id=account_id, email=f"a{number}@calla.example.com", actor="usr_1")
        with pytest.raises(TooManyRecipients):
            recipients.add(session, now=NOW, account_id=account_id, email="one-more@calla.example.com", actor="usr_1")


@pytest.mark.parametrize(
    ("today", "step"),
    [
        (date(2026, 11, 10), None),
        (date(2026, 11, 11), -3),
        (date(2026, 11, 14), -3),
        (date(2026, 11, 15), 1),
        (date(2026, 11, 20), 1),
        (date(2026, 11, 21), 7),
        (date(2026, 11, 28), 14),
        (date(2026, 12, 14), 30),
        (date(2027, 1, 13), 30),
        (date(2027, 1, 14), None),
    ],
)
def test_the_latest_step_that_is_reached_counts(today: date, step: int | None) -> None:
    found = reminders.find_step(issued_on=date(2026, 10, 31), due_on=date(2026, 11, 14), today=today)
    assert found == step


def test_nothing_is_said_ahead_of_a_short_term() -> None:
    assert (
        reminders.find_step(issued_on=date(2026, 11, 10), due_on=date(2026, 11, 14), today=date(2026, 11, 12)) is None
    )
    assert reminders.find_step(issued_on=date(2026, 11, 10), due_on=date(2026, 11, 14), today=date(2026, 11, 15)) == 1


def test_an_open_invoice_is_reminded_of_once_a_step_with_what_is_open(database: Database) -> None:
    invoice = invoicing.invoice_of(database, 10_000)
    assert invoice.due_on is not None
    morning = datetime(invoice.due_on.year, invoice.due_on.month, invoice.due_on.day, 9, tzinfo=UTC)
    late = morning + timedelta(days=1)

    def remind(now: datetime) -> list[int]:
        with database.reading("jobs") as session:
            due = reminders.list_due(session, now=now)
        with database.transaction("jobs") as session:
            return [one.step_days for one in due if reminders.send(session, now=now, due=one)]

    assert remind(morning - timedelta(days=3)) == [-3]
    assert remind(morning - timedelta(days=2)) == []
    invoicing.pay(database, invoice, 4_000)
    assert remind(late - timedelta(hours=2)) == []  # seven in the morning
    assert [remind(late), remind(late)] == [[1], []]
    relay.deliver_due(database, now=late)
    with database.reading("jobs") as session:
        assert deliveries.list_about(session, invoice_id=invoice.id) == []  # nobody looks after this account's billing
    invoicing.pay(database, invoice, 7_900)
    assert remind(late + timedelta(days=10)) == []
