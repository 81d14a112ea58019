"""A real SMTP server (aiosmtpd) on loopback, so that what is sent is what a server took; its refusals and faults are told beforehand.

with SmtpServer() as peer:
    peer.on_rcpt.append("450 4.2.1 later")
    channel = SmtpChannel(read_url(peer.url))
"""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "plumb@line", "p:ss/wörd%"


@dataclass(frozen=True)
class Taken:
    """One mail for which the server gave its 250 (or would have, had it not been cut off)."""

    sender: str
    recipients: list[str]
    raw: bytes
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The mail as a mail program reads it."""
        read = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


class SmtpServer:
    """The server and its mailbox. `on_mail`, `on_rcpt` and `on_data` are answers instead of 250, used up one a command.

    An answer "cut" closes the connection without a word; for DATA that is after the whole mail has arrived. `silence_s` is waited
    before every answer to RCPT.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, is_implicit: bool = False, wants_login: bool = False
    ) -> None:
        self.taken: list[Taken] = []
        self.connections = 0
        self.on_mail: deque[str] = deque()
        self.on_rcpt: deque[str] = deque()
        self.on_data: deque[str] = deque()
        self.silence_s = 0.0
        self._tls, self._is_implicit, self._wants_login = tls, is_implicit, wants_login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, without encryption."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[EmailMessage]:
        """What was taken, in order."""
        return [one.message for one in self.taken]

    def __enter__(self) -> "SmtpServer":
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> asyncio.Server:
        return await self._loop.create_server(
            self._conversation, "127.0.0.1", 0, ssl=self._tls if self._is_implicit else None
        )

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    def _conversation(self) -> SMTP:
        self.connections += 1
        return SMTP(
            _Handler(self),
            hostname="peer.example",
            loop=self._loop,
            tls_context=None if self._is_implicit else self._tls,
            auth_required=self._wants_login,
            auth_require_tls=True,
            authenticator=_authenticate if self._wants_login else None,
        )


class _Handler:
    def __init__(self, peer: SmtpServer) -> None:
        self._peer = peer

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = _next(self._peer.on_mail, server)
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self._peer.silence_s:
            await asyncio.sleep(self._peer.silence_s)
        answer = _next(self._peer.on_rcpt, server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        was_cut = bool(self._peer.on_data) and self._peer.on_data[0] == "cut"
        answer = _next(self._peer.on_data, server)
        if was_cut or answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            is_encrypted = server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
            self._peer.taken.append(
                Taken(str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content, is_encrypted)
            )
        return answer


def _next(answers: deque[str], server: SMTP) -> str:
    answer = answers.popleft() if answers else "250 2.0.0 taken"
    if answer == "cut":
        assert server.transport is not None
        server.transport.abort()
    return answer


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


def certificate(folder: Path, *, name: str = "localhost") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's context, a client's that trusts it): a certificate of its own for `name` and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName(name),
                    *([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if name == "localhost" else []),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "peer.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
