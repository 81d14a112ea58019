"""What each mail says: figures in the reader's way of writing, hostile names as text, links that hold no secret in any row."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import html5lib
import pytest
from sqlalchemy import insert, select, text, update

from billing.accounts.access_tables import AccessLink, Approval
from billing.accounts.tables import BillingAccount, DocumentRecipient, Membership, Tenant, User
from billing.kernel.errors import Conflict
from billing.notices import deliveries, letters, relay
from billing.notices.topics import TOPICS
from billing.storage.database import Database
from tests.peers.smtp_server import SmtpServer, Taken
from tests.service.notices import world
from tests.service.notices.world import NOW

HOSTILE = (
    '"><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)>', "' onmouseover='alert(1) {{ 7*7 }}{% raw %}",
    "javascript:alert(1)", "=?utf-8?q?x?= a\u202eb", "x\r\nBcc: evil@example.com", "\x1b[2J",
)  # fmt: skip
DISPUTES = ("dispute.opened", "dispute.evidence_due", "dispute.won", "dispute.lost")
_REFUND = {
    "amount_minor": 4_500,
    "currency": "USD",
    "mode": "card",
    "refund_id": "rfd_1",
    "payment_id": None,
    "invoice_id": None,
}


def payload_of(
    topic: str, word: str = "Training", document_id: str = "drf_1", receipt_id: str = "rct_1"
) -> dict[str, Any]:
    """What an act of that topic hands over, with `word` wherever a person may have chosen the words."""
    money = {"amount_minor": 12_345, "currency": "USD"}
    invoice = {
        "number": word,
        "total_minor": 55_140_78,
        "due_minor": 55_000_00,
        "due_on": "2026-12-05",
        "currency": "USD",
    }
    given = {
        "access.invitation": {"link_id": "lnk_1", "login": "new@calla.example.com"},
        "access.reset": {"link_id": "lnk_2", "login": "owner0@calla.example.com"},
        "access.changed": {"user_id": "usr_calla0", "what": word},
        "approval.requested": {"approval_id": "apr_1", "act": "refund.card", "state": "requested"},
        "approval.decided": {"approval_id": "apr_1", "act": "refund.card", "state": "approved"},
        "budget.crossed": {**world.BUDGET, "name": word},
        "invoice.issued": {"invoice_id": document_id, **invoice},
        "invoice.copy": {"invoice_id": document_id, **invoice},
        "invoice.reminder": {
            "invoice_id": document_id, **invoice, "open_minor": 40_000_00, "issued_on": "2026-11-05", "days_late": 7,
        },
        "credit_note.issued": {"credit_note_id": document_id, "invoice_id": "inv_1", "invoice_number": word, "number": word, **money},
        "credit_note.copy": {"credit_note_id": document_id, "invoice_id": "inv_1", "invoice_number": word, "number": word, **money},
        "receipt.issued": {**money, "receipt_id": receipt_id, "number": word, "invoice_id": None},
        "recipient.confirmation": {"recipient_id": "rcp_1", "link_id": "rcp_1"},
        "payment.received": {**money, "invoice_id": None, "payment_id": "pmt_1", "payment_session_id": word},
        **{name: {
            **money, "payment_session_id": "pay_1", "invoice_id": None, "invoice_number": word, "method_label": word,
            "trigger": "auto_pay", "decline_code": word, "verdict": "soft", "next_try_on": "2026-12-08", "is_turned_off": False,
        } for name in ("payment.failed", "payment.action_required", "top_up.automatic")},
        "top_up.cap_reached": {"month": "2026-11", "spent_minor": 20_000, "cap_minor": 25_000, **money},
        **{
            name: {
                **money, "dispute_id": "dsp_1", "payment_id": "pmt_1", "invoice_id": None, "reason": word, "is_inquiry": False,
                "state": "lost", "due_by": "2026-12-05T10:00:00+00:00",
            }
            for name in (*DISPUTES, "payment.disputed", "payment.dispute_ended")
        },
    }  # fmt: skip
    return given.get(topic) or {**_REFUND, "state": topic.partition(".")[2]}


def prepare(database: Database, word: str = "Training") -> str:
    """Everything the payloads name, called `word` where a person could have called it so."""
    account_id = world.account(database)
    with database.transaction("jobs") as session:
        world.person(session, "maker@ops.example.com", name=word, staff="maker")
        world.person(session, "approver@ops.example.com", name=word, staff="approver")
        maker = session.scalars(select(User.id).where(User.login == "maker@ops.example.com")).one()
        tenant_id = session.scalars(select(Tenant.id).where(Tenant.code == "calla")).one()
        common = {
            "created_by": "usr_calla0",
            "created_at": NOW,
            "expires_at": NOW + timedelta(days=2),
            "staff_role": None,
            "user_id": None,
        }
        session.execute(insert(AccessLink), [
            {**common, "id": "lnk_1", "purpose": "invitation", "login": "new@calla.example.com", "tenant_id": tenant_id, "role": "billing"},
            {**common, "id": "lnk_2", "purpose": "reset", "login": "owner0@calla.example.com", "tenant_id": None, "role": None},
        ])  # fmt: skip
        session.add(
            DocumentRecipient(
                id="rcp_1", billing_account_id=account_id, email="books@calla.example.com", created_by="usr_calla0",
                created_at=NOW, asked_at=NOW,
            )
        )  # fmt: skip
        session.add(
            Approval(
                id="apr_1", act="refund.card", subject_type="refund_request", subject_id="rfd_1", billing_account_id=account_id,
                content={"amount_minor": 4_500, "currency": "USD"}, content_hash="0" * 64, reason=word, maker=maker,
                requested_at=NOW, expires_at=NOW + timedelta(days=30), state="requested",
            )
        )  # fmt: skip
    call(database, word)
    return account_id


def call(database: Database, word: str) -> None:
    """Give everybody and everything that name, past the forms that would refuse it."""
    with database.transaction("jobs") as session:
        session.execute(update(User).values(name=word))
        session.execute(update(Tenant).values(name=word))
        session.execute(update(BillingAccount).where(BillingAccount.kind == "tenant").values(name=word))
        session.execute(update(Approval).values(reason=word))


@pytest.fixture
def peer() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def tell_all(database: Database, account_id: str, documents: tuple[str, str], word: str = "Training") -> None:
    for topic in TOPICS:
        of_account = not topic.startswith(("access.", "approval."))
        world.tell(database, account_id if of_account else None, topic, payload_of(topic, word, *documents))


def _quietly_printed(database: Database) -> tuple[str, str]:
    """A printed invoice and a printed receipt whose own notices are told already."""
    made = world.printed(database), world.receipted(database)
    relay.deliver_due(database, now=NOW)
    return made


# Both may answer disputes; every other mail goes to one reader here.
SECOND = dict.fromkeys(DISPUTES, "approver@ops.example.com")
MAILED = {
    **dict.fromkeys(DISPUTES, "maker@ops.example.com"),
    "access.invitation": "new@calla.example.com",
    "access.reset": "owner0@calla.example.com",
    "access.changed": "owner0@calla.example.com",
    "approval.requested": "approver@ops.example.com",
    "approval.decided": "maker@ops.example.com",
    "recipient.confirmation": "books@calla.example.com",
    **dict.fromkeys(
        (
            "budget.crossed", "invoice.issued", "invoice.copy", "invoice.reminder", "credit_note.issued", "credit_note.copy",
            "receipt.issued", "refund.requested", "refund.rejected", "payment.failed", "payment.action_required",
            "top_up.cap_reached", "payment.disputed", "payment.dispute_ended",
            "refund.succeeded", "refund.failed", "refund.sent", "refund.action_required",
        ),
        "owner0@calla.example.com",
    ),
}  # fmt: skip


def test_every_topic_reaches_its_readers_in_both_forms(database: Database, peer: SmtpServer) -> None:
    documents = _quietly_printed(database)
    tell_all(database, prepare(database), documents)
    assert world.send(database, peer) == len(MAILED) + len(SECOND)
    with database.reading("jobs") as session:
        rows, _ = deliveries.list_deliveries(session, limit=100)
    assert {(row.topic, row.recipient) for row in rows} == {*MAILED.items(), *SECOND.items()}
    subjects = sorted(str(message["Subject"]) for message in peer.messages)
    assert subjects == sorted([
        "Training invites you to Training", "Reset your password", "Your access was changed: Training",
        "To decide: Refund to the card, USD 45.00", "Requested: Refund to the card, USD 45.00", "Budget “Training” reached 80%",
        "Invoice Training: USD 55,000.00 due on 5 Dec 2026", "Credit note Training on invoice Training",
        "Invoice Training: USD 55,000.00 due on 5 Dec 2026", "Credit note Training on invoice Training",
        "Invoice Training is overdue: USD 40,000.00", "Do you want the invoices of Training?",
        "Payment of USD 123.45 received", "Refund of USD 45.00 asked for", "Refund of USD 45.00 declined",
        "Refund of USD 45.00 is on its way", "Refund of USD 45.00 waits for your details", "Refund of USD 45.00 made", "Refund of USD 45.00 failed", "Invoice Training could not be paid automatically",
        *2 * ("Disputed: USD 123.45", "Evidence due: dispute of USD 123.45", "Dispute of USD 123.45 won", "Dispute of USD 123.45 lost"),
        *2 * ("Your payment of USD 123.45 was taken back",),
        "Please confirm a payment of USD 123.45", "The cap of automatic top-ups is reached",
    ])  # fmt: skip
    for message in peer.messages:
        plain, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert "https://billing.example.com/" in plain
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
        assert len(list(tree.iter("h1"))) == 1


def test_what_people_call_things_is_text_in_every_mail(database: Database, peer: SmtpServer) -> None:
    documents = _quietly_printed(database)
    account_id = prepare(database)
    for word in HOSTILE:
        call(database, word)
        tell_all(database, account_id, documents, word)
        peer.taken.clear()
        # A name with a control character, which no form lets through, is refused in the header To; whoever has no name yet is reached.
        expected = 2 if "\n" in word or "\x1b" in word else len(MAILED) + len(SECOND)
        assert world.send(database, peer) == expected, word
        assert len(peer.taken) == expected
        for one in peer.taken:
            require_harmless(one, word)
    errors = {str(row.last_error).partition(":")[0] for row in world.rows(database) if row.state == "failed"}
    assert errors == {"header_refused"}


def require_harmless(one: Taken, word: str) -> None:
    message = one.message
    assert len(one.recipients) == 1
    assert "Bcc" not in message
    assert message["To"].addresses[0].addr_spec == one.recipients[0]
    tree = html5lib.parse(message.get_body(("html",)).get_content(), namespaceHTMLElements=False)
    for element in tree.iter():
        assert element.tag not in ("script", "img", "iframe", "object", "form", "base"), word
        assert not any(name.startswith("on") for name in element.attrib), word
        assert str(element.get("href", "https://billing.example.com")).startswith(
            ("https://billing.example.com", "mailto:billing@")
        ), word


def test_figures_and_days_are_written_as_the_reader_writes_them(database: Database, peer: SmtpServer) -> None:
    documents = _quietly_printed(database)
    account_id = world.account(database)
    with database.transaction("jobs") as session:
        session.execute(update(User).values(locale="de"))
        tenant_id = session.scalars(select(Tenant.id).where(Tenant.code == "calla")).one()
        other = world.person(session, "paul@calla.example.com", locale="fr")
        session.execute(insert(Membership), [{"user_id": other, "tenant_id": tenant_id, "role": "billing"}])
    world.tell(database, account_id, "invoice.issued", payload_of("invoice.issued", "INV-1", *documents))
    assert world.send(database, peer) == 2
    written = {one.recipients[0]: one.message for one in peer.taken}
    assert "55.000,00 USD due on 05.12.2026" in written["owner0@calla.example.com"]["Subject"]
    assert "55 000,00 USD due on 5 déc. 2026" in written["paul@calla.example.com"]["Subject"]


def test_no_row_holds_the_secret_of_a_link_and_no_preview_shows_it(database: Database, peer: SmtpServer) -> None:
    prepare(database)
    world.tell(database, None, "access.invitation", payload_of("access.invitation"))
    assert world.send(database, peer) == 1
    (message,) = peer.messages
    for kind in ("plain", "html"):
        assert "https://billing.example.com/invitation/lnk_1.secret" in message.get_body((kind,)).get_content()
    row = world.one(database)
    with database.reading("jobs") as session:
        letter = letters.get_letter(session, now=NOW, delivery_id=row.id, is_preview=True)
        shown = letters.write(letter, base_url="https://billing.example.com", token_of=lambda _: letters.HIDDEN)
        tables = session.execute(
            text("SELECT CAST(payload AS TEXT) FROM outbox_messages UNION ALL SELECT coalesce(last_error, '') FROM notice_deliveries")
        ).scalars().all()  # fmt: skip
    assert "secret" not in shown.text + shown.html + shown.subject
    assert "/invitation/hidden" in shown.text
    assert not any("secret" in one for one in tables)


@pytest.mark.parametrize("ended", ["used_at", "revoked_at", "expires_at"])
def test_a_link_that_is_over_is_not_sent(database: Database, peer: SmtpServer, ended: str) -> None:
    prepare(database)
    world.tell(database, None, "access.reset", payload_of("access.reset"))
    relay.deliver_due(database, now=NOW, by_mail=True)
    with database.transaction("jobs") as session:
        session.execute(update(AccessLink).where(AccessLink.id == "lnk_2").values({ended: NOW}))
    assert world.send(database, peer) == 0
    row = world.one(database)
    assert (row.state, row.last_error, peer.taken) == ("failed", "link_over", [])
    with database.reading("jobs") as session, pytest.raises(Conflict):
        letters.get_letter(session, now=NOW, delivery_id=row.id)


def test_who_asked_for_an_approval_or_is_disabled_is_not_asked_to_decide(database: Database, peer: SmtpServer) -> None:
    prepare(database)
    with database.transaction("jobs") as session:
        for login, staff in (
            ("root@ops.example.com", "admin"),
            ("gone@ops.example.com", "approver"),
            ("v@ops.example.com", "viewer"),
        ):
            world.person(session, login, staff=staff)
        session.execute(update(User).where(User.login == "gone@ops.example.com").values(is_disabled=True))
        session.execute(
            update(Approval).values(maker=select(User.id).where(User.login == "root@ops.example.com").scalar_subquery())
        )
    world.tell(database, None, "approval.requested", payload_of("approval.requested"))
    assert world.send(database, peer) == 1
    assert peer.taken[0].recipients == ["approver@ops.example.com"]


def test_what_one_took_back_oneself_is_not_told_to_oneself(database: Database, peer: SmtpServer) -> None:
    prepare(database)
    world.tell(database, None, "approval.decided", {**payload_of("approval.decided"), "state": "withdrawn"})
    assert world.send(database, peer) == 0
