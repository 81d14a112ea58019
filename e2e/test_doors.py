"""What the server itself refuses before the portal sees it: requests that are too large or could be read in two ways."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from e2e.server import Server


def told(portal: Server, request: bytes) -> str:
    """The status line with which a raw request is answered; empty where the connection is just closed."""
    at = urlsplit(portal.base_url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=20) as connection:
        with suppress(OSError):  # it may close before it has heard us out
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(200).split(b"\r\n")[0].decode("latin-1")
        except OSError:
            return ""


def request(*headers: bytes, line: bytes = b"GET /healthz HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join((line, b"Host: 127.0.0.1", b"Connection: close", *headers, b"", body))


def test_a_plain_request_is_served(portal: Server) -> None:
    assert told(portal, request()).startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    "raw",
    [
        request(b"X-Long: " + b"x" * 100_000),
        request(*(b"X-%d: y" % number for number in range(1_000))),
        request(line=b"GET /" + b"x" * 100_000 + b" HTTP/1.1"),
        request(b"Cookie: plumbline=" + b"x" * 60_000),
    ],
    ids=["one long header", "a thousand headers", "a long line", "a long cookie"],
)
def test_a_header_that_is_too_large_is_refused(portal: Server, raw: bytes) -> None:
    status = told(portal, raw)
    assert status == "" or status.split()[1] in ("400", "414", "431"), status


@pytest.mark.parametrize(
    "raw",
    [
        request(b"Content-Length: 3", b"Transfer-Encoding: chunked", line=b"POST /sign-in HTTP/1.1", body=b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
        request(b"Content-Length: 3", b"Content-Length: 4", line=b"POST /sign-in HTTP/1.1", body=b"abcd"),
        request(b"Transfer-Encoding: xchunked", line=b"POST /sign-in HTTP/1.1", body=b"0\r\n\r\n"),
        request(b"Content-Length: -1", line=b"POST /sign-in HTTP/1.1"),
        request(b"Bad Header: x"),
        request(b"X-A: a\nX-B: b\x00"),
        request(line=b"GET /healthz HTTP/9.9"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["both lengths", "two lengths", "another coding", "a negative length", "a space in a name", "a zero byte", "another version", "TLS"],
)  # fmt: skip
def test_a_request_that_could_be_read_in_two_ways_is_refused(portal: Server, raw: bytes) -> None:
    status = told(portal, raw)
    assert status == "" or status.split()[1] in ("400", "403", "501", "505"), status
