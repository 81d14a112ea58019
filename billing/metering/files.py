"""Usage files as lines: plain or gzip, any size, without trusting what is in them."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from billing.metering.errors import BrokenInput
from billing.metering.sources.port import Reject

MAX_LINE_BYTES = 65_536
_GZIP = b"\x1f\x8b"
_UNSTORABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, str | Reject]]:
    """Each line that is not blank, with its number from 1: its text without line end, or why it cannot be text.

    Raises BrokenInput, after all whole lines before the break, when a gzip stream ends early or is damaged. A line cut off by
    the break is not given: half a line could look like a whole one.
    """
    source = opened(stream)
    number = 0
    try:
        while raw := source.readline(MAX_LINE_BYTES):
            number += 1
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                _skip_line(source)
                yield (
                    number,
                    Reject(number, "", "line_too_long", f"more than {MAX_LINE_BYTES} bytes", _shown(raw[:1000])),
                )
                continue
            try:
                line = raw.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield number, Reject(number, "", "bad_encoding", f"byte {error.start + 1} is not UTF-8", _shown(raw))
                continue
            if line and not line.isspace():
                yield number, line
    except EOFError:
        raise BrokenInput(reason="truncated", lines=number) from None
    except (zlib.error, gzip.BadGzipFile):
        raise BrokenInput(reason="damaged", lines=number) from None


def storable(text: str) -> str:
    """Text that any database, CSV or terminal can hold: control characters as \\x.. escapes."""
    if text.isprintable():
        return text
    return _UNSTORABLE.sub(
        lambda match: match.group().encode("unicode_escape", "backslashreplace").decode("ascii"), text
    )


def read_chunk(source: BinaryIO, size: int, lines: int) -> bytes:
    """Up to `size` bytes, empty at the end. Raises BrokenInput as `read_lines`, saying that `lines` were read before."""
    try:
        return source.read(size)
    except EOFError:
        raise BrokenInput(reason="truncated", lines=lines) from None
    except (zlib.error, gzip.BadGzipFile):
        raise BrokenInput(reason="damaged", lines=lines) from None


def preceded(first: bytes, source: BinaryIO) -> BinaryIO:
    """A stream that gives `first`, then the rest of `source`."""
    return cast("BinaryIO", io.BufferedReader(_Preceded(first, source), 1 << 17))


class _Preceded(io.RawIOBase):
    def __init__(self, first: bytes, source: BinaryIO) -> None:
        super().__init__()
        self._first, self._source = first, source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self._first = self._first[: len(buffer)], self._first[len(buffer) :]
        part = part or self._source.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def opened(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or what its gzip holds; it can `peek`."""
    buffered = stream if hasattr(stream, "peek") else io.BufferedReader(cast("io.RawIOBase", stream))
    if cast("io.BufferedReader", buffered).peek(2)[:2] == _GZIP:
        return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=buffered), 1 << 17))
    return buffered


def _skip_line(source: BinaryIO) -> None:
    while rest := source.readline(MAX_LINE_BYTES):
        if rest.endswith(b"\n"):
            return


def _shown(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
