"""Addresses of mail servers are read as they are written or refused; mails as files can be read by their owner alone."""

import stat
from pathlib import Path

import pytest

from billing.notices.channels.files import FileChannel
from billing.notices.channels.port import Mail, Unreachable
from billing.notices.channels.smtp import read_url
from portal.config import PortalConfig, Unsafe, from_environment, parse_sender

MAIL = Mail(id="ntd_1", sender="a@example.com", recipient="b@example.com", raw=b"Subject: x\r\n\r\n")
PRODUCTION = {
    "PLUMBLINE_ENV": "production",
    "PLUMBLINE_SECRET_KEY": "k" * 40,
    "PLUMBLINE_BASE_URL": "https://billing.example.com",
    "PLUMBLINE_SIGNING_KEY_FILE": "/run/plumbline/key",
    "PLUMBLINE_MAIL_FROM": "Billing <billing@example.com>",
}


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user", "password"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, "starttls", None, None),
        ("smtp://mail.example.com:25?starttls=off", "mail.example.com", 25, "off", None, None),
        ("smtps://u%40x:p%3Ass%2Fw%C3%B6rd@mail.example.com", "mail.example.com", 465, "implicit", "u@x", "p:ss/wörd"),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, "off", None, None),
        ("smtp://localhost:1025/?starttls=required", "localhost", 1025, "starttls", None, None),
        ("smtp://[::1]:1025", "::1", 1025, "off", None, None),
    ],
)
def test_a_servers_address_says_how_it_is_spoken_to(
    url: str, host: str, port: int, tls: str, user: str | None, password: str | None
) -> None:
    server = read_url(url)
    assert (server.host, server.port, server.tls, server.user, server.password) == (host, port, tls, user, password)
    assert "p:ss" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://host:0x", "smtp://host:99999",
        "smtp://host?starttls=maybe", "smtp://host?tls=1", "smtps://host?starttls=off", "smtp://user@host", "smtp://host/path", "",
        "smtp://host?starttls", "smtp://[host",
    ],
)  # fmt: skip
def test_what_is_no_servers_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_url(url)
    assert len(url) < 8 or url not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "PLUMBLINE_SMTP_URL, or PLUMBLINE_MAIL=off"),
        ({"PLUMBLINE_SMTP_URL": "smtp://mail.example.com?starttls=off"}, "must be encrypted"),
        ({"PLUMBLINE_MAIL": "file:/var/mails"}, "do not go into files"),
        ({"PLUMBLINE_SMTP_URL": "smtps://m.example.com", "PLUMBLINE_MAIL_FROM": ""}, "PLUMBLINE_MAIL_FROM must be set"),
        ({"PLUMBLINE_SMTP_URL": "smtps://m.example.com", "PLUMBLINE_MAIL_FROM": "Billing"}, "must be one address"),
        ({"PLUMBLINE_SMTP_URL": "smtps://m.example.com", "PLUMBLINE_MAIL_FROM": "A <a@b.c>\r\nBcc: x@y.z"}, "must be one address"),
        ({"PLUMBLINE_SMTP_URL": "gopher://m.example.com"}, "PLUMBLINE_SMTP_URL cannot be used"),
        ({"PLUMBLINE_SMTP_URL": "smtps://m.example.com", "PLUMBLINE_SMTP_TIMEOUT_S": "0"}, "from 1 to 60"),
        ({"PLUMBLINE_MAIL": "on"}, "file:FOLDER or off"),
        ({"PLUMBLINE_SMTP_URL": "smtps://m.example.com", "PLUMBLINE_MAIL": "file:/x"}, "exclude each other"),
    ],
)  # fmt: skip
def test_production_refuses_settings_by_which_mail_would_leak_or_not_leave(
    settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Unsafe, match=sentence):
        from_environment({**PRODUCTION, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"PLUMBLINE_SMTP_URL": "smtps://u:secret@m.example.com"},
        {"PLUMBLINE_SMTP_URL": "smtp://m.example.com"},
        {"PLUMBLINE_SMTP_URL": "smtp://127.0.0.1:25"},  # a server on this machine relays
        {"PLUMBLINE_MAIL": "off"},
    ],
)
def test_production_takes_a_server_that_nobody_can_listen_to_or_a_plain_no(settings: dict[str, str]) -> None:
    config = from_environment({**PRODUCTION, **settings})
    assert config.smtp_url == settings.get("PLUMBLINE_SMTP_URL")
    assert "secret" not in repr(config)
    assert config.mail_folder is None


def test_elsewhere_mails_are_files_unless_said_otherwise() -> None:
    folder = from_environment({"PLUMBLINE_SECRET_KEY": "x"}).mail_folder
    assert folder is not None
    assert folder.parts[-2:] == ("instance", "mail")
    assert from_environment({"PLUMBLINE_SECRET_KEY": "x", "PLUMBLINE_MAIL": "off"}).mail_folder is None
    assert from_environment({"PLUMBLINE_SECRET_KEY": "x", "PLUMBLINE_MAIL": "file:/x/y"}).mail_folder == Path("/x/y")


def test_a_sender_is_a_name_and_an_address_or_the_address_alone() -> None:
    assert parse_sender('"Plumbline, Inc." <Billing@Example.com>') == ("Plumbline, Inc.", "billing@example.com")
    assert parse_sender("billing@example.com") == ("Plumbline", "billing@example.com")
    assert PortalConfig.mail_from.endswith("@localhost.localdomain>")


def test_a_mail_as_a_file_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path / "mail")
    with channel.connection() as carry:
        carry(MAIL)
        carry(MAIL)
    (written,) = (tmp_path / "mail").iterdir()
    assert (written.name, written.read_bytes()) == ("ntd_1.eml", MAIL.raw)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_trouble_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file stands in the way")
    with FileChannel(tmp_path / "mail").connection() as carry, pytest.raises(Unreachable):
        carry(MAIL)
