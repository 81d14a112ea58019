"""JSON values of a file, one after the other: an array of any length, or one value a line; plain or gzip, in flat memory."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from billing.metering import files
from billing.metering.errors import BrokenInput
from billing.metering.sources.port import Reject

_CHUNK_BYTES = 65_536
_MAX_VALUE = 262_144
_SPACE = " \t\r\n"
_scan = json.JSONDecoder().raw_decode


def read(stream: BinaryIO) -> Iterator[tuple[int, bytes | Reject]]:
    """(number from 1, the bytes of one value), or why a line cannot be text.

    Numbers count lines in a file of lines, values in an array. Raises BrokenInput, after all whole values before the break, when
    the file ends early, is damaged, or stops being JSON in the middle of an array.
    """
    source = files.opened(stream)
    text = _Text(source)
    if text.next_sign() == "[":
        yield from _array(text)
        return
    for number, line in files.read_lines(files.preceded(text.rest(), source)):
        yield number, line if isinstance(line, Reject) else line.encode()


def _array(text: "_Text") -> Iterator[tuple[int, bytes]]:
    text.place += 1
    sign = text.next_sign()
    while sign != "]":
        value = text.value()
        text.number += 1
        yield text.number, value
        sign = text.next_sign()
        if sign == ",":
            text.place += 1
            if text.next_sign() == "]":
                raise text.broken()
        elif sign != "]":
            raise text.broken()
    text.place += 1
    if text.next_sign():
        raise text.broken()


class _Text:
    """What is read of a file and not yet given out."""

    def __init__(self, source: BinaryIO) -> None:
        self.place = 0
        self.number = 0
        self._source = source
        self._text = ""
        self._has_more = True

    def next_sign(self) -> str:
        """The next character that is no white space, "" at the end."""
        while True:
            while self.place < len(self._text):
                if self._text[self.place] not in _SPACE:
                    return self._text[self.place]
                self.place += 1
            if not self._has_more:
                return ""
            self._read()

    def value(self) -> bytes:
        """The value that begins here. Raises BrokenInput where there is none, or none within reason."""
        while True:
            try:
                _, end = _scan(self._text, self.place)
            except (ValueError, RecursionError):
                end = -1
            is_cut = end == len(self._text) and self._text[self.place] not in '{["'  # a number may go on
            if end >= 0 and not (is_cut and self._has_more):
                value = self._text[self.place : end]
                self.place = end
                return value.encode("utf-8", "surrogateescape")
            if not self._has_more or len(self._text) - self.place > _MAX_VALUE:
                raise self.broken()
            self._read()

    def rest(self) -> bytes:
        """What was read and not given out, as bytes."""
        return self._text[self.place :].encode("utf-8", "surrogateescape")

    def broken(self) -> BrokenInput:
        """Why there is no going on: the file ends here, or what follows is no JSON."""
        is_at_end = not self._has_more and _opens(self._text[self.place :])
        return BrokenInput(reason="truncated" if is_at_end else "damaged", lines=self.number)

    def _read(self) -> None:
        """More text; a character that a chunk cuts is completed."""
        chunk = files.read_chunk(self._source, _CHUNK_BYTES, self.number)
        self._has_more = bool(chunk)
        for _ in range(3):
            try:
                chunk.decode()
                break
            except UnicodeDecodeError as error:
                if error.reason != "unexpected end of data":
                    break
                chunk += files.read_chunk(self._source, 1, self.number)
        self._text = self._text[self.place :] + chunk.decode("utf-8", "surrogateescape")
        self.place = 0


def _opens(text: str) -> bool:
    """Whether a text that is no whole value could have become one: nothing, or something that is not closed."""
    return text.strip() == "" or text.count("{") > text.count("}") or text.count("[") > text.count("]")
