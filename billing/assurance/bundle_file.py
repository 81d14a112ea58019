"""The zip file of a bundle: written as a stream, with the same bytes for the same contents, sealed by the hash of itself."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from billing.kernel import canonical

_SEAL = "plumbline-bundle sha256 "
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say
_CHUNK = 64 * 1024


class BundleFile:
    """Give it the members in order; what comes back is to be sent on, piece by piece.

    Its comment, the last bytes, is the SHA-256 of all bytes before it: that also holds the packing still, which no member covers.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6)  # type: ignore[call-overload]
        self.files: dict[str, dict[str, Any]] = {}
        """Per member its SHA-256, its size in bytes and, where it holds rows, how many."""

    def add(self, name: str, parts: Iterable[bytes]) -> Iterator[bytes]:
        """One member of these bytes."""
        yield from self._add(name, parts, None)

    def add_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        """One member with a line for each row: `["hash",{row}]`, the first 16 digits of the SHA-256 of the row's canonical text."""
        counted = [0]

        def parts() -> Iterator[bytes]:
            for row in rows:
                text = canonical.dumps(dict(row)).encode()
                counted[0] += 1
                yield b'["%s",%s]\n' % (hashlib.sha256(text).hexdigest()[:16].encode(), text)

        yield from self._add(name, parts(), counted)

    def close(self) -> Iterator[bytes]:
        """The end of the file."""
        placeholder = f"{_SEAL}{'0' * 64}".encode()
        self._zip.comment = placeholder
        self._zip.close()
        rest = self._sink.take()
        body = rest[: -len(placeholder)]
        self._sink.sha.update(body)
        yield body
        yield f"{_SEAL}{self._sink.sha.hexdigest()}".encode()

    def _add(self, name: str, parts: Iterable[bytes], counted: list[int] | None) -> Iterator[bytes]:
        member = zipfile.ZipInfo(name, _FIRST_DAY)
        member.compress_type, member.external_attr, member.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
        sha, size = hashlib.sha256(), 0
        with self._zip.open(member, "w", force_zip64=True) as file:
            for part in parts:
                sha.update(part)
                size += len(part)
                file.write(part)
                if self._sink.waiting >= _CHUNK:
                    yield self._sink.taken()
        self.files[name] = {"sha256": sha.hexdigest(), "bytes": size}
        if counted is not None:
            self.files[name]["rows"] = counted[0]
        if self._sink.waiting:
            yield self._sink.taken()


class _Sink:
    """What a zip file writes to that cannot go back: pieces wait here until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._place = 0
        self.waiting = 0
        self.sha = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._place += len(data)
        self.waiting += len(data)
        return len(data)

    def tell(self) -> int:
        return self._place

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def take(self) -> bytes:
        """All that waits."""
        data = b"".join(self._parts)
        self._parts, self.waiting = [], 0
        return data

    def taken(self) -> bytes:
        """All that waits, counted into the file's hash."""
        data = self.take()
        self.sha.update(data)
        return data
