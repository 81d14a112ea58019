"""The conversation with a mail server: encrypted or not at all, with our password, and never waiting for ever."""

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from billing.notices.channels import smtp
from billing.notices.channels.port import Mail, NotTaken, Refused, Unreachable
from billing.notices.channels.smtp import SmtpChannel, read_url
from billing.notices.channels.smtp import SmtpServer as Address
from tests.peers import smtp_server
from tests.peers.smtp_server import PASSWORD, USER, SmtpServer

MAIL = Mail(
    id="ntd_1", sender="billing@plumbline.example", recipient="ada@example.com", raw=b"Subject: x\r\n\r\n.\r\nhello\r\n"
)


def send(address: Address, *, tls: ssl.SSLContext | None = None, timeout_s: int = 5, mail: Mail = MAIL) -> None:
    with SmtpChannel(address, timeout_s=timeout_s, tls=tls).connection() as carry:
        carry(mail)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return smtp_server.certificate(tmp_path_factory.mktemp("tls"))


def address_of(peer: SmtpServer, **changes: object) -> Address:
    return replace(read_url(peer.url), **changes)  # type: ignore[arg-type]


def test_a_mail_arrives_byte_for_byte_with_its_envelope() -> None:
    with SmtpServer() as peer:
        send(address_of(peer))
    (taken,) = peer.taken
    assert (taken.sender, taken.recipients) == ("billing@plumbline.example", ["ada@example.com"])
    assert taken.raw == MAIL.raw
    assert not taken.is_encrypted


def test_starttls_encrypts_what_follows(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with SmtpServer(tls=contexts[0]) as peer:
        send(address_of(peer, tls="starttls"), tls=contexts[1])
    assert [one.is_encrypted for one in peer.taken] == [True]


def test_without_starttls_on_offer_nothing_is_sent() -> None:
    with SmtpServer() as peer, pytest.raises(Unreachable, match="starttls_not_offered"):
        send(address_of(peer, tls="starttls", user=USER, password=PASSWORD))
    assert peer.taken == []


def test_smtps_is_encrypted_from_the_first_byte(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with SmtpServer(tls=contexts[0], is_implicit=True) as peer:
        send(address_of(peer, tls="implicit"), tls=contexts[1])
    assert len(peer.taken) == 1


@pytest.mark.parametrize("is_known", [False, True])
def test_a_certificate_that_is_unknown_or_of_another_name_ends_it(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path, is_known: bool
) -> None:
    server, trusting = smtp_server.certificate(tmp_path, name="mail.elsewhere.example")
    with SmtpServer(tls=server) as peer, pytest.raises(Unreachable, match="certificate"):
        send(address_of(peer, tls="starttls"), tls=trusting if is_known else contexts[1])
    assert peer.taken == []


def test_a_user_and_password_with_every_sign_are_understood(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with SmtpServer(tls=contexts[0], wants_login=True) as peer:
        url = f"smtp://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@127.0.0.1:{peer.port}?starttls=required"
        send(read_url(url), tls=contexts[1])
    assert len(peer.taken) == 1


def test_a_wrong_password_is_said_and_not_repeated(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with SmtpServer(tls=contexts[0], wants_login=True) as peer, pytest.raises(Unreachable) as refused:
        send(address_of(peer, tls="starttls", user=USER, password="wrong-secret"), tls=contexts[1])
    assert refused.value.code == "authentication"
    assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("stage", "answer", "kind", "code"),
    [
        ("on_mail", "550 5.7.1 not from there", Unreachable, "sender_refused"),
        ("on_rcpt", "550 5.1.1 no such user", Refused, "recipient_refused"),
        ("on_rcpt", "421 4.3.2 going down", NotTaken, "recipient_refused"),
        ("on_data", "554 5.6.0 looks like spam", Refused, "content_refused"),
        ("on_data", "452 4.2.2 mailbox full", NotTaken, "content_refused"),
        ("on_mail", "cut", Unreachable, "unreachable"),
        ("on_rcpt", "cut", Unreachable, "unreachable"),
        ("on_data", "cut", Unreachable, "unanswered"),
    ],
)
def test_each_answer_means_what_rfc_5321_says(stage: str, answer: str, kind: type[NotTaken], code: str) -> None:
    with SmtpServer() as peer:
        getattr(peer, stage).append(answer)
        with pytest.raises(kind) as refused:
            send(address_of(peer))
    assert (type(refused.value), refused.value.code) == (kind, code)
    assert answer == "cut" or answer in str(refused.value)


def test_a_connection_goes_on_after_a_refusal_and_opens_anew_when_it_was_closed() -> None:
    with SmtpServer() as peer:
        peer.on_rcpt += ["550 no"]
        with SmtpChannel(address_of(peer), timeout_s=5).connection() as carry:
            with pytest.raises(Refused):
                carry(MAIL)
            carry(MAIL)
            peer.on_mail.append("cut")  # as a server does that is tired of waiting between two mails
            carry(MAIL)
        assert len(peer.taken) == 2


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with SmtpServer() as peer:
        address = address_of(peer)
    with pytest.raises(Unreachable, match="unreachable"):
        send(address)
    with pytest.raises(Unreachable):
        send(replace(address, host="no-such-host.invalid"))


@pytest.fixture
def mute() -> Iterator[Address]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Address(host="127.0.0.1", port=listening.getsockname()[1], tls="off")


def test_a_server_that_says_nothing_is_not_waited_for(mute: Address) -> None:
    with pytest.raises(Unreachable, match="timeout"):
        send(mute, timeout_s=1)


def test_a_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DEADLINE_S", 1)
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            connection.recv(100)
            while not ended.wait(0.2):  # never a timeout, never an end
                try:
                    connection.sendall(b"250-still thinking\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        try:
            with pytest.raises(Unreachable):
                send(Address(host="127.0.0.1", port=listening.getsockname()[1], tls="off"))
        finally:
            ended.set()
            thread.join()


def test_an_address_cannot_bring_a_command_along() -> None:
    with SmtpServer() as peer:
        for hostile in ("a@example.com>\r\nRCPT TO:<evil@example.com", "jürgen@example.com"):
            with pytest.raises(Refused, match="address_refused"):
                send(address_of(peer), mail=replace(MAIL, recipient=hostile))
    assert peer.taken == []
