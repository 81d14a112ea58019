"""Mail by SMTP (RFC 5321), step by step, so that what the other side said, and when, decides what happens next."""

import base64
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from billing.notices.channels.port import Mail, NotTaken, Refused, Unreachable

# What may stand between the angle brackets of a command: nothing that ends them, no space, ASCII.
_ADDRESS = re.compile(r"[!-;=?-~]+@[A-Za-z0-9.-]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"smtp": 587, "smtps": 465}
# Opening a connection and one mail may not take longer than this together, however slowly the other side drips: well below the
# time after which another worker takes the delivery for abandoned (`deliveries.CLAIM`).
DEADLINE_S = 60


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where mail is handed in. `tls`: `implicit` (smtps), `starttls` (never without), `off`."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "off"]
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent does not leave this machine."""
        return self.host in _LOOPBACK

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read mails and password."""
        return self.tls != "off" or self.is_loopback


def read_url(url: str) -> SmtpServer:
    """`smtp://user:password@host:587?starttls=required` or `smtps://user:password@host:465`; user and password percent-encoded.

    `starttls` is `required` unless said `off`; without a word about it, a server on this machine is spoken to plainly. Raises
    ValueError with a sentence that does not repeat the password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("it cannot be read: smtp://user:password@host:587 is its form") from None
    if parts.scheme not in _PORTS or not host:
        raise ValueError("it must begin with smtp:// or smtps:// and name a host")
    if parts.path not in ("", "/") or parts.fragment or set(query) - {"starttls"}:
        raise ValueError("after the host only ?starttls=required or ?starttls=off can follow")
    if query.get("starttls", "off") not in ("required", "off") or (query and parts.scheme == "smtps"):
        raise ValueError("starttls is required or off, and smtps needs neither")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("user and password go together")
    default = "off" if host in _LOOPBACK else "required"
    is_upgraded = query.get("starttls", default) == "required"
    return SmtpServer(
        host=host,
        port=port or _PORTS[parts.scheme],
        tls="implicit" if parts.scheme == "smtps" else "starttls" if is_upgraded else "off",
        user=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
    )


class SmtpChannel:
    """Hands mails to one server. `tls` replaces the system's trust, for tests with a certificate of their own."""

    name = "smtp"

    def __init__(self, server: SmtpServer, *, timeout_s: int = 10, tls: ssl.SSLContext | None = None) -> None:
        self.server, self._timeout_s, self._tls = server, timeout_s, tls

    @contextmanager
    def connection(self) -> Iterator[Callable[[Mail], None]]:
        """See `port.Channel`."""
        line = _Line(self.server, self._timeout_s, self._tls)
        try:
            yield line.send
        finally:
            line.close()


class _Line:
    """One connection, opened when it is needed and again when the other side has closed it."""

    def __init__(self, server: SmtpServer, timeout_s: int, tls: ssl.SSLContext | None) -> None:
        self._server, self._timeout_s, self._tls = server, timeout_s, tls
        self._smtp: smtplib.SMTP | None = None

    def send(self, mail: Mail) -> None:
        if not (_ADDRESS.fullmatch(mail.sender) and _ADDRESS.fullmatch(mail.recipient)):
            raise Refused("address_refused", ascii(mail.recipient))
        was_open = self._smtp is not None
        try:
            with self._deadline():
                smtp = self._smtp or self._open(mail.sender)
                try:
                    answer = smtp.mail(mail.sender)
                except (OSError, smtplib.SMTPException):
                    if not was_open:
                        raise
                    self.close()  # it had grown tired of waiting between two mails: nothing was sent yet
                    smtp = self._open(mail.sender)
                    answer = smtp.mail(mail.sender)
                self._hand_over(smtp, mail, answer)
        except NotTaken:
            self.close()
            raise
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise Unreachable("timeout" if _is_timeout(error) else "unreachable", _words(error)) from None

    def close(self) -> None:
        """End the connection politely if the other side still listens."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(1)
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()

    def _open(self, sender: str) -> smtplib.SMTP:
        server = self._server
        name = sender.rpartition("@")[2]  # ours in EHLO: asking the resolver for it could take long
        context = self._tls or ssl.create_default_context()
        if server.tls == "implicit":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=name, timeout=self._timeout_s, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, local_hostname=name, timeout=self._timeout_s)
        self._smtp = smtp
        smtp.ehlo_or_helo_if_needed()
        if server.tls == "starttls":
            if not smtp.has_extn("starttls"):
                raise Unreachable("starttls_not_offered", server.host)
            smtp.starttls(context=context)
            smtp.ehlo()
        if server.user is not None and server.password is not None:
            _sign_in(smtp, server.user, server.password)
        return smtp

    def _hand_over(self, smtp: smtplib.SMTP, mail: Mail, answer: tuple[int, bytes]) -> None:
        if answer[0] != 250:
            raise Unreachable("sender_refused", _reply(*answer))
        code, said = smtp.rcpt(mail.recipient)
        if code not in (250, 251):
            raise (Refused if 500 <= code < 600 else NotTaken)("recipient_refused", _reply(code, said))
        try:
            code, said = smtp.data(mail.raw)
        except smtplib.SMTPDataError as error:
            code, said = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        except (OSError, smtplib.SMTPException) as error:
            # Somewhere after DATA: the other side may have it. The next try carries the same Message-ID.
            raise Unreachable("unanswered", _words(error)) from None
        if code != 250:
            raise (Refused if 500 <= code < 600 else NotTaken)("content_refused", _reply(code, said))

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Cut the connection when it lasts too long: the timeout of a socket begins anew with every byte."""

        def cut() -> None:
            sock = self._smtp.sock if self._smtp is not None else None
            if sock is not None:
                try:
                    # Past the TLS layer, which another thread is using.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    pass

        timer = threading.Timer(DEADLINE_S, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _sign_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    """By AUTH PLAIN (RFC 4616), in UTF-8, which smtplib's own does not speak; by what the server offers where it lacks PLAIN."""
    try:
        if "PLAIN" in str(smtp.esmtp_features.get("auth", "")).upper().split():
            token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            code, said = smtp.docmd("AUTH", f"PLAIN {token}")
            if code != 235:
                raise Unreachable("authentication", _reply(code, said))
            return
        smtp.login(user, password)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
        raise Unreachable("authentication", _words(error)) from None
    except UnicodeEncodeError:
        raise Unreachable("authentication", "the server offers no way for a password beyond ASCII") from None


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or "timed out" in str(error)


def _reply(code: int, said: bytes) -> str:
    return f"{code} {said.decode('utf-8', 'replace')}"


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        return _reply(error.smtp_code, said)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return str(error) or type(error).__name__
