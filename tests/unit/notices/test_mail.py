"""A mail says what was meant and nothing else, whatever people and budgets are called."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from billing.kernel.errors import Invalid
from billing.notices import mail
from billing.notices.letters import Letter
from billing.notices.mail import HeaderRefused
from billing.rendering.emails import Rendered

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
# Longer than a line and in need of quotes: the library's way of breaking them is misread, so the address stands alone.
UNCARRIED = (
    '"><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)>',
    '"Ada", <' + "x " * 80 + "> evil@example.com",
)
BREAKS = (
    "\r\nBcc: evil@example.com",
    "\nBcc: evil@example.com",
    "\r",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\0",
)
NAMES = (
    "Ada Lovelace", "Lovelace, Ada", 'Ada "the first" Lovelace', "Ada <evil@example.com>", "evil@example.com", "Ada (x)",
    "Jürgen Groß, Dr.", "渡辺 太郎", "=?utf-8?q?Bcc=3A_evil=40example.com?=", "a;b:c\\d", "x" * 200, "ä, " * 60, "🧮", "'", '"', "@",
    "Ada\u202e moc.elpmaxe@live", " ", "",
)  # fmt: skip


def built(
    name: str | None = "Ada",
    *,
    subject: str = "Invoice 1",
    recipient: str = "ada@example.com",
    request: str | None = None,
):  # type: ignore[no-untyped-def]
    letter = Letter(
        delivery_id="ntd_1", template="x", recipient=recipient, recipient_name=name, locale="en", zone="UTC",
        correlation_id=request, link_id=None, facts={},
    )  # fmt: skip
    rendered = Rendered(subject=subject, text="Dör\n.\nFrom here\n" + "x" * 2000, html="<p>Dör</p>")
    return mail.build(letter, rendered, sender_name="Plumbline, Inc.", sender="billing@plumbline.example", now=NOW)


def read(raw: bytes):  # type: ignore[no-untyped-def]
    return message_from_bytes(raw, policy=policy.default)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_a_name(name: str) -> None:
    message = read(built(name).raw)
    (to,) = message["To"].addresses
    assert to.addr_spec == "ada@example.com"
    assert " ".join(to.display_name.split()) == " ".join(name.replace("=?", "= ?").split())
    assert "Bcc" not in message
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Plumbline, Inc.", "billing@plumbline.example")


@pytest.mark.parametrize("name", UNCARRIED)
def test_a_name_that_would_be_misread_is_left_out(name: str) -> None:
    message = read(built(name).raw)
    assert [(to.display_name, to.addr_spec) for to in message["To"].addresses] == [("", "ada@example.com")]


@pytest.mark.parametrize("broken", BREAKS)
def test_a_line_break_in_a_name_or_subject_is_refused(broken: str) -> None:
    with pytest.raises(HeaderRefused):
        built(f"Ada{broken}")
    with pytest.raises(HeaderRefused):
        built(subject=f"Invoice{broken}")


def test_a_thread_that_could_not_be_ours_does_not_stand_in_the_header() -> None:
    assert read(built(request="req_1").raw)["X-Plumbline-Request"] == "req_1"
    for hostile in ("req\r\nBcc: evil@example.com", "", "x" * 101, "a b"):
        assert "X-Plumbline-Request" not in read(built(request=hostile).raw)


@pytest.mark.parametrize(
    ("address", "carried"),
    [("ada@example.com", "ada@example.com"), ("Ada@Example.com", "ada@example.com"), ("ada@münchen.example", "ada@xn--mnchen-3ya.example")],
)  # fmt: skip
def test_an_address_is_carried_as_every_server_takes_it(address: str, carried: str) -> None:
    assert built(recipient=address).recipient == carried


@pytest.mark.parametrize(
    "address", ["ada@example.com\r\nRCPT TO:<evil@example.com>", "ada", "a b@example.com", "<ada@example.com>", "ada@example.com,evil@example.com", "jürgen@example.com", "@", ""]
)  # fmt: skip
def test_what_is_no_address_or_no_server_would_take_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        built(recipient=address)


def test_the_bytes_are_seven_bits_wide_in_short_lines_and_read_back_whole() -> None:
    made = built("Jürgen", subject="Größe ≈ 3 " * 30)
    assert made.raw.isascii()
    assert max(len(line) for line in made.raw.split(b"\r\n")) < 1000
    assert b"\n" not in made.raw.replace(b"\r\n", b"")
    message = read(made.raw)
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == "Dör\n.\nFrom here\n" + "x" * 2000 + "\n"
    assert message["Message-ID"] == "<ntd_1@plumbline.example>"
    assert message["Date"].datetime == NOW
