"""Messages: found by state, kind and address; read without their secret; tried again and taken off the list by who may."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from billing.accounts.access_tables import AccessLink
from billing.accounts.tables import User
from billing.notices import deliveries, relay
from billing.storage.database import Database
from billing.storage.tables import AuditRecord, Delivery, OutboxMessage
from portal.operator.messages import PREVIEW_POLICY
from tests.service.notices import world
from tests.service.notices.test_letters import MAILED, payload_of, prepare
from tests.web import operators
from tests.web.operators import NOW
from tests.web.pages import Page

ERROR = "recipient_refused: 550 5.1.1 <script>no</script> such user"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def told(database: Database) -> dict[str, str]:
    """{topic: id of a message}: one of each kind, to whom MAILED says; the budget's was refused for good."""
    account_id = prepare(database, "Training")
    for topic in MAILED:
        world.tell(
            database, None if topic.startswith(("access.", "approval.")) else account_id, topic, payload_of(topic)
        )
    with database.transaction("jobs") as session:
        session.execute(update(OutboxMessage).values(next_attempt_at=NOW))
        session.execute(update(AccessLink).values(expires_at=NOW + timedelta(days=1)))
    relay.deliver_due(database, now=NOW, by_mail=True)
    with database.transaction("jobs") as session:
        rows, _ = deliveries.list_deliveries(session, limit=100)
        found = {row.topic: row.id for row in rows if row.recipient == MAILED[row.topic]}
        session.execute(
            update(Delivery)
            .where(Delivery.id == found["budget.crossed"])
            .values(state="failed", attempts=1, last_error=ERROR, ended_at=NOW)
        )
    return found


def send(client: FlaskClient, page: str, act: str):  # type: ignore[no-untyped-def]
    form = Page(client.get(page)).root.iter("input")
    token = next(field.get("value", "") for field in form if field.get("name") == "csrf_token")
    return client.post(f"{page}/{act}", data={"csrf_token": token})


def test_messages_are_listed_and_filtered(browser: Callable[..., FlaskClient], told: dict[str, str]) -> None:
    client = browser(staff="viewer")
    page = Page(client.get("/operator/messages"))
    of_finance = sum(topic.startswith("dispute.") for topic in MAILED)  # two people here
    sent = len(MAILED) + of_finance
    assert len(page.rows("messages")) == sent
    assert f"Showing 1 to {sent} of {sent} messages" in page.text
    for query, count in (
        ("state=failed", 1), ("topic=invoice.issued", 1), ("q=maker", 1 + of_finance),
        ("q=OPS.example", 2 + 2 * of_finance), ("q=%25", 0), ("state=sent", 0),
        ("state=failed&topic=budget.crossed&q=owner0", 1),
    ):  # fmt: skip
        shown = Page(client.get(f"/operator/messages?{query}"))
        assert ("No message matches" in shown.text) == (count == 0), query
        assert count == 0 or len(shown.rows("messages")) == count, query
    assert "The mail server does not accept the recipient's address." in page.text
    for hostile in ("state=x", "topic=drop", "page=-1", "q=%00"):
        shown = Page(client.get(f"/operator/messages?{hostile}"))
        assert shown.status == 200
        assert "left out" in shown.text or "first one" in shown.text
    part = Page(client.get("/operator/messages?state=failed", headers={"HX-Request": "true"}), is_partial=True)
    assert [cells[0].split()[0] for cells in part.rows("messages")] == ["Budget"]


def test_an_installation_without_mail_says_so(browser: Callable[..., FlaskClient], database: Database) -> None:
    page = Page(browser(staff="viewer").get("/operator/messages"))
    assert "No mail is sent" in page.text
    assert "No messages yet" in page.text


def test_every_message_can_be_read_with_links_that_lead_somewhere_and_without_its_secret(
    browser: Callable[..., FlaskClient], app: Flask, told: dict[str, str]
) -> None:
    client = browser(staff="viewer")
    adapter = app.url_map.bind("localhost")
    for topic, recipient in MAILED.items():
        url = f"/operator/messages/{told[topic]}"
        page = Page(client.get(url))
        assert recipient in page.text
        assert "This message cannot be shown" not in page.text
        preview = client.get(f"{url}/preview")
        assert preview.headers["Content-Security-Policy"] == PREVIEW_POLICY
        html = preview.get_data(as_text=True)
        links = [part.partition('"')[0] for part in html.split('href="http://localhost')[1:]]
        assert links, topic
        for link in links:
            assert adapter.match(link or "/", method="GET"), (topic, link)
        assert "/hidden" in html or topic not in ("access.invitation", "access.reset", "recipient.confirmation")


def test_a_refused_message_waits_on_the_workbench_until_somebody_deals_with_it(
    browser: Callable[..., FlaskClient], told: dict[str, str], database: Database
) -> None:
    maker, viewer = browser(staff="maker"), browser(staff="viewer")
    url = f"/operator/messages/{told['budget.crossed']}"
    assert "Messages not delivered" in Page(maker.get("/operator")).links()
    queue = Page(maker.get("/operator/queues/notices"))
    assert queue.links()["Budget reached"] == url
    page = Page(viewer.get(url))
    assert ERROR in page.text
    assert "Try again now" not in page.text
    assert send(viewer, "/operator/messages", "x").status_code in (404, 405)
    assert viewer.post(f"{url}/again", data={}).status_code in (400, 403)
    assert "Try again now" in Page(maker.get(url)).text
    assert send(maker, url, "set-aside").status_code == 303
    assert "Nothing waits here" in Page(maker.get("/operator/queues/notices")).text
    assert "Set aside" in Page(maker.get(url)).text
    assert send(maker, url, "again").status_code == 303
    with database.reading() as session:
        row = session.get_one(Delivery, told["budget.crossed"])
        assert (row.state, row.attempts, row.set_aside_at) == ("waiting", 0, None)
        acts = session.execute(
            select(AuditRecord.act, User.login)
            .join(User, User.id == AuditRecord.actor)
            .where(AuditRecord.subject_type == "notice_delivery")
            .order_by(AuditRecord.id)
        ).all()
    assert [tuple(one) for one in acts] == [
        ("notice.set_aside", "maker.owner@example.com"), ("notice.again", "maker.owner@example.com"),
    ]  # fmt: skip


def test_a_message_that_was_sent_or_is_being_sent_is_not_sent_again(
    browser: Callable[..., FlaskClient], told: dict[str, str], database: Database
) -> None:
    maker = browser(staff="maker")
    url = f"/operator/messages/{told['invoice.issued']}"
    for values, words in (
        ({"state": "sent", "ended_at": NOW}, "This message was sent. It is not sent twice."),
        ({"state": "waiting", "ended_at": None, "sending_at": NOW, "next_attempt_at": NOW + timedelta(minutes=15)}, "is being sent at this moment"),
    ):  # fmt: skip
        with database.transaction("jobs") as session:
            session.execute(update(Delivery).where(Delivery.id == told["invoice.issued"]).values(values))
        token = next(
            field.get("value", "")
            for field in Page(maker.get("/operator/jobs")).root.iter("input")
            if field.get("name") == "csrf_token"
        )
        answer = maker.post(f"{url}/again", data={"csrf_token": token})
        assert answer.status_code == 409
        assert words in Page(answer).text
    assert maker.get("/operator/messages/ntd_none").status_code == 404
    assert maker.get("/operator/messages/ntd_none/preview").status_code == 404


def test_a_mail_that_cannot_be_made_still_has_its_page(
    browser: Callable[..., FlaskClient], told: dict[str, str], database: Database
) -> None:
    with database.transaction("jobs") as session:
        session.execute(
            update(OutboxMessage).where(OutboxMessage.topic == "budget.crossed").values(payload={"name": "only"})
        )
    client = browser(staff="viewer")
    url = f"/operator/messages/{told['budget.crossed']}"
    assert "This message cannot be shown" in Page(client.get(url)).text
    assert client.get(f"{url}/preview").status_code == 200
