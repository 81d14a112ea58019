"""A letter as bytes that SMTP can carry: headers that nobody can break out of, text and HTML side by side."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser

from billing.accounts import names
from billing.kernel.errors import Invalid
from billing.notices.channels.port import Channel, Mail
from billing.notices.letters import Letter
from billing.rendering.emails import Rendered

POLICY = policy.SMTP.clone(cte_type="7bit")
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TOKEN = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_HEADERS = {
    "from", "to", "subject", "date", "message-id", "auto-submitted", "x-plumbline-request", "mime-version", "content-type",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mailer:
    """Everything that sending needs: the channel, who the mails are from, and how the links in them are made."""

    channel: Channel
    sender_name: str
    sender: str  # the address, of the header and of the envelope
    base_url: str
    token_of: Callable[[str], str]  # the token of an access link's id


class HeaderRefused(Exception):
    """A header would say something else than it was given: the mail is not made. The text names the header."""


class NameLost(HeaderRefused):
    """The name in the header To would be read otherwise."""


def build(letter: Letter, rendered: Rendered, *, sender_name: str, sender: str, now: datetime) -> Mail:
    """The mail of a letter. The Message-ID belongs to the delivery, so that a second copy is known as one.

    What was built is read again and must say what was meant; a name that cannot be carried so is left out of the header To. Raises
    HeaderRefused, Invalid(not_an_address).
    """
    recipient = ascii_address(letter.recipient)
    name = letter.recipient_name or ""
    try:
        return _written(letter, rendered, recipient, name, sender_name=sender_name, sender=sender, now=now)
    except NameLost:
        return _written(letter, rendered, recipient, "", sender_name=sender_name, sender=sender, now=now)


def _written(
    letter: Letter, rendered: Rendered, recipient: str, name: str, *, sender_name: str, sender: str, now: datetime
) -> Mail:
    message = EmailMessage(policy=POLICY)
    try:
        message["From"] = address(sender_name, sender)
        message["To"] = address(name, recipient)
        message["Subject"] = _shown(rendered.subject)
    except (ValueError, IndexError) as error:
        raise HeaderRefused(str(error)) from None
    message["Date"] = now
    message["Message-ID"] = message_id(letter.delivery_id, sender)
    message["Auto-Submitted"] = "auto-generated"
    if letter.correlation_id is not None and _TOKEN.fullmatch(letter.correlation_id):
        message["X-Plumbline-Request"] = letter.correlation_id
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    if letter.attachment is not None:
        main, _, sub = letter.attachment.media_type.partition("/")
        message.add_attachment(
            letter.attachment.content, maintype=main, subtype=sub, filename=_shown(letter.attachment.name)
        )
    raw = message.as_bytes()
    _require_meant(raw, address(name, recipient), sender, _shown(rendered.subject))
    return Mail(id=letter.delivery_id, sender=sender, recipient=recipient, raw=raw)


def message_id(delivery_id: str, sender: str) -> str:
    """`<ntd_...@example.com>`: the same at every try."""
    return f"<{delivery_id}@{sender.rpartition('@')[2]}>"


def ascii_address(address: str) -> str:
    """The address in the form that every mail server takes: a domain in its letters-and-digits form. Raises Invalid(not_an_address)."""
    local, _, domain = names.require_email(address).rpartition("@")
    try:
        return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise Invalid(field="email", value=names.shown(address), reason="not_an_address") from None


def address(name: str, addr_spec: str) -> Address:
    """A name and its address for a header. Raises HeaderRefused for a name with a control character, ValueError for the address."""
    return Address(_shown(name), addr_spec=addr_spec)


def _shown(text: str) -> str:
    """Text for a header, in which nothing is taken for an encoded word. Raises HeaderRefused for a control character."""
    if any(unicodedata.category(character) in _BREAKING for character in text):
        raise HeaderRefused(f"a control character in {names.shown(text)!r}")
    return text.replace("=?", "= ?")


def _require_meant(raw: bytes, recipient: Address, sender: str, subject: str) -> None:
    """Read the bytes as the other side will. Raises HeaderRefused when they name another header, address or subject, NameLost when
    only the recipient is called otherwise: the standard library breaks long quoted names over lines in a way that others misread.
    """
    read = BytesHeaderParser(policy=policy.default).parsebytes(raw)
    if not {name.lower() for name in read} <= _HEADERS or len(read.keys()) != len(set(read.keys())):
        raise HeaderRefused("headers")
    shown = [(" ".join(one.display_name.split()), one.addr_spec) for one in read["To"].addresses]
    if shown != [(" ".join(recipient.display_name.split()), recipient.addr_spec)]:
        raise NameLost("To") if recipient.display_name else HeaderRefused("To")
    if [address.addr_spec for address in read["From"].addresses] != [sender]:
        raise HeaderRefused("From")
    if " ".join(str(read["Subject"]).split()) != " ".join(subject.split()):
        raise HeaderRefused("Subject")
