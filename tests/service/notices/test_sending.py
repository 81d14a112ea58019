"""Notices reach a real SMTP server once: sent, refused, tried again, given up, never by two workers."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from billing.accounts.tables import Membership
from billing.notices import deliveries, relay, sending
from billing.notices.channels.port import Mail
from billing.storage import correlation
from billing.storage.database import Database
from billing.storage.tables import Delivery, OutboxMessage
from tests.peers.smtp_server import SmtpServer
from tests.service.notices import world
from tests.service.notices.world import NOW


@pytest.fixture
def peer() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def test_a_notice_reaches_those_who_look_after_billing_and_nobody_else(database: Database, peer: SmtpServer) -> None:
    account_id = world.account(database, name="Calla & Söhne", members=2)
    with database.transaction("jobs") as session:
        tenant_id = session.scalar(select(Membership.tenant_id).limit(1))
        for login, role in (("bill@calla.example.com", "billing"), ("view@calla.example.com", "viewer")):
            user_id = world.person(session, login)
            session.execute(insert(Membership), [{"user_id": user_id, "tenant_id": tenant_id, "role": role}])
    world.account(database, "brine")
    world.tell(database, account_id)
    assert world.send(database, peer) == 3
    assert sorted(address for one in peer.taken for address in one.recipients) == [
        "bill@calla.example.com", "owner0@calla.example.com", "owner1@calla.example.com",
    ]  # fmt: skip
    assert {row.state for row in world.rows(database)} == {"sent"}
    assert peer.connections == 1  # all of a run go through one connection
    message = peer.messages[0]
    assert message["Subject"] == "Budget “Training” reached 80%"
    assert message["From"] == "Plumbline <billing@plumbline.example>"
    assert peer.taken[0].sender == "billing@plumbline.example"
    assert (message["Auto-Submitted"], message["Date"].datetime) == ("auto-generated", NOW)
    assert message["X-Plumbline-Request"] == "req_of_the_click"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text = message.get_body(("plain",)).get_content()
    assert "USD 800.00 of USD 1,000.00" in text
    assert "https://billing.example.com/budgets/bud_1" in text
    assert "Calla & Söhne" in text
    assert "Calla &amp; Söhne" in message.get_body(("html",)).get_content()
    assert peer.taken[0].raw.isascii()


def test_a_second_look_finds_nothing_to_relay_and_nothing_to_send(database: Database, peer: SmtpServer) -> None:
    world.tell(database, world.account(database))
    assert [world.send(database, peer) for _ in range(3)] == [1, 0, 0]
    assert len(peer.taken) == 1


def test_without_a_mailer_a_notice_is_shown_in_the_portal_and_never_mailed_later(
    database: Database, peer: SmtpServer
) -> None:
    world.tell(database, world.account(database))
    assert relay.deliver_due(database, now=NOW) == 1
    assert world.send(database, peer) == 0
    assert world.rows(database) == []


def test_a_temporary_refusal_is_tried_again_under_the_same_message_id(database: Database, peer: SmtpServer) -> None:
    peer.on_rcpt += ["450 4.2.1 mailbox busy"]
    peer.on_data += ["451 4.3.0 later"]
    world.tell(database, world.account(database))
    assert world.send(database, peer) == 0
    row = world.one(database)
    assert (row.state, row.attempts, row.last_error) == ("waiting", 1, "recipient_refused: 450 4.2.1 mailbox busy")
    assert row.next_attempt_at - NOW < timedelta(minutes=1, seconds=10)
    assert world.send(database, peer, now=NOW + timedelta(seconds=30)) == 0  # not due yet
    assert world.send(database, peer, now=NOW + timedelta(minutes=2)) == 0
    assert world.one(database).last_error == "content_refused: 451 4.3.0 later"
    assert world.send(database, peer, now=NOW + timedelta(minutes=8)) == 1
    row = world.one(database)
    assert (row.state, row.attempts, row.last_error) == ("sent", 3, None)
    assert peer.messages[0]["Message-ID"] == f"<{row.id}@plumbline.example>"


@pytest.mark.parametrize("stage", ["on_rcpt", "on_data"])
def test_a_permanent_refusal_ends_at_once_and_waits_for_a_person(
    database: Database, peer: SmtpServer, stage: str
) -> None:
    getattr(peer, stage).append("550 5.1.1 no such user")
    world.tell(database, world.account(database, members=2))
    assert world.send(database, peer) == 1  # the other one goes on
    failed = [row for row in world.rows(database) if row.state == "failed"]
    assert [(row.attempts, row.last_error.partition(": ")[2]) for row in failed if row.last_error] == [
        (1, "550 5.1.1 no such user")
    ]
    assert world.send(database, peer, now=NOW + timedelta(days=4)) == 0


def test_a_lost_answer_is_followed_by_a_second_copy_under_the_same_message_id(
    database: Database, peer: SmtpServer
) -> None:
    peer.on_data += ["cut"]
    world.tell(database, world.account(database))
    assert world.send(database, peer) == 0
    row = world.one(database)
    assert (row.state, str(row.last_error).partition(":")[0]) == ("waiting", "unanswered")
    assert world.send(database, peer, now=NOW + timedelta(minutes=2)) == 1
    first, second = peer.messages
    assert first["Message-ID"] == second["Message-ID"]


def test_a_server_that_is_not_there_is_asked_once_a_look_not_once_a_mail(database: Database) -> None:
    with SmtpServer() as gone:
        mailer = world.mailer(gone)
    world.tell(database, world.account(database, members=5))
    assert world.send(database, mailer) == 0
    assert sorted(row.attempts for row in world.rows(database)) == [0, 0, 0, 0, 1]
    assert {row.state for row in world.rows(database)} == {"waiting"}


def test_after_ten_tries_over_three_days_it_is_given_up(database: Database, peer: SmtpServer) -> None:
    peer.on_rcpt += ["450 no"] * 20
    world.tell(database, world.account(database))
    at, tries = NOW, 0
    while world.send(database, peer, now=at) == 0 and (row := world.one(database)).state == "waiting":
        tries += 1
        at = row.next_attempt_at
    row = world.one(database)
    assert (row.state, row.attempts, tries) == ("failed", 10, 9)
    assert timedelta(hours=75) < at - NOW < timedelta(hours=76)
    with database.transaction("jobs") as session:
        deliveries.again(session, now=at, delivery_id=row.id, actor="usr_1")
    peer.on_rcpt.clear()
    assert world.send(database, peer, now=at) == 1


def test_500_recipients_have_one_delivery_each_and_many_workers_send_each_once(
    database: Database, peer: SmtpServer
) -> None:
    world.tell(database, world.account(database, members=500))
    assert relay.deliver_due(database, now=NOW, by_mail=True) == 1
    every = world.rows(database)
    assert len({row.recipient for row in every}) == 500
    with database.transaction("jobs") as session:  # a hundred prove it
        later = [row.id for row in every[100:]]
        session.execute(update(Delivery).where(Delivery.id.in_(later)).values(next_attempt_at=NOW + timedelta(days=1)))
    counts: list[int] = []

    def work() -> None:
        while sent := sending.send_due(database, world.mailer(peer), now=NOW):  # ten seconds at a time
            counts.append(sent)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (sum(counts), len(peer.taken)) == (100, 100)
    assert len({message["Message-ID"] for message in peer.messages}) == 100
    assert {(row.state, row.attempts) for row in world.rows(database)[:100]} == {("sent", 1)}


def test_many_relays_make_each_delivery_once(database: Database) -> None:
    account_id = world.account(database, members=3)
    for _ in range(20):
        world.tell(database, account_id)
    counts: list[int] = []
    relays = [
        threading.Thread(target=lambda: counts.append(relay.deliver_due(database, now=NOW, by_mail=True)))
        for _ in range(4)
    ]
    for one in relays:
        one.start()
    for one in relays:
        one.join()
    assert (sum(counts), len(world.rows(database))) == (20, 60)


def test_a_worker_that_died_leaves_its_mail_to_the_next_after_a_quarter_of_an_hour(
    database: Database, peer: SmtpServer
) -> None:
    class Died(BaseException):
        """As SIGKILL does: nothing that follows is run."""

    class Dying:
        name = "smtp"

        def connection(self):  # type: ignore[no-untyped-def]
            return self

        def __enter__(self):  # type: ignore[no-untyped-def]
            return self.carry

        def __exit__(self, *_):  # type: ignore[no-untyped-def]
            return None

        def carry(self, mail: Mail) -> None:
            raise Died

    world.tell(database, world.account(database))
    relay.deliver_due(database, now=NOW, by_mail=True)
    with pytest.raises(Died):
        sending.send_due(database, world.mailer(Dying()), now=NOW)
    row = world.one(database)
    assert (row.state, row.attempts, row.sending_at) == ("waiting", 1, row.sending_at)
    assert row.sending_at is not None
    assert world.send(database, peer, now=NOW + timedelta(minutes=14)) == 0
    assert world.send(database, peer, now=NOW + timedelta(minutes=16)) == 1
    assert world.one(database).attempts == 2


def test_the_thread_of_the_click_is_in_force_while_its_mail_is_sent(database: Database) -> None:
    seen: list[str | None] = []

    class Listening:
        name = "smtp"

        def connection(self):  # type: ignore[no-untyped-def]
            return self

        def __enter__(self):  # type: ignore[no-untyped-def]
            return lambda _mail: seen.append(correlation.current())

        def __exit__(self, *_):  # type: ignore[no-untyped-def]
            return None

    world.tell(database, world.account(database), request_id="req_1")
    world.send(database, world.mailer(Listening()))
    assert seen == ["req_1"]


def test_a_notice_that_cannot_be_relayed_holds_up_no_other(database: Database, peer: SmtpServer) -> None:
    world.tell(database, None, "access.changed", {"what": "password"})  # names no user
    world.tell(database, None, "no.such.topic", {})
    world.tell(database, world.account(database))
    assert world.send(database, peer) == 1
    with database.reading("jobs") as session:
        stuck = session.scalars(select(OutboxMessage).where(OutboxMessage.delivered_at.is_(None))).all()
    assert sorted((one.attempts, str(one.last_error).partition(":")[0]) for one in stuck) == [
        (1, "Invalid"),
        (1, "KeyError"),
    ]


def test_a_mail_that_cannot_be_written_is_refused_and_the_others_go(database: Database, peer: SmtpServer) -> None:
    account_id = world.account(database)
    world.tell(database, account_id, payload={"name": "no figures"})
    world.tell(database, account_id)
    assert world.send(database, peer) == 1
    assert [str(row.last_error).partition(":")[0] for row in world.rows(database) if row.state == "failed"] == [
        "cannot_be_written"
    ]
