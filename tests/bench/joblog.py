"""A scheduler's log of any length as a stream: nothing of it is kept, so that an importer's memory is its own."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 8, 1, tzinfo=UTC)
_ACCOUNTS = 7
_USERS = 18
_SHAPES = ((1, 2, "2800M", ""), (8, 8, "22400M", ""), (12, 12, "48000M", ""), (16, 16, "128G", ",gres/gpu=2"))


class JobLog(io.RawIOBase):
    """`count` ended jobs in the 26 fields of sacct; seven tenants, memory and cores for all, GPUs for a quarter."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._lines = _lines(count)
        self._rest = b""

    def readable(self) -> bool:
        """It is a file to read from."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """The next bytes."""
        while not self._rest:
            line = next(self._lines, None)
            if line is None:
                return 0
            self._rest = line
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def stream(count: int) -> io.BufferedReader:
    """The log, buffered as a file is."""
    return io.BufferedReader(JobLog(count), 1 << 16)


def records_of(count: int) -> int:
    """How many usage records `count` jobs give: two meters each, three where there are GPUs; no window crosses a month."""
    return count * 2 + (count + 0) // len(_SHAPES)


def _lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        start = _START + timedelta(hours=number % 2_000)
        # Within the hour, so that no window is cut by a period's border and the number of records is known.
        end = start + timedelta(seconds=60 + number % 3_000)
        nodes, (_, cores, memory, more) = 1, _SHAPES[number % len(_SHAPES)]
        account, user = f"tenant{number % _ACCOUNTS}", f"user{number % _USERS}"
        tres = f"billing={cores},cpu={cores},mem={memory},node={nodes}{more}"
        fields = (
            *(number + 1, number + 1, "bench", "main", "normal", account, account, 1, user, 1),
            *(f"{start:%Y-%m-%dT%H:%M:%S}", f"{start:%Y-%m-%dT%H:%M:%S}"),
            *(f"{start:%Y-%m-%dT%H:%M:%S}", f"{end:%Y-%m-%dT%H:%M:%S}"),
            *("00:01:00", "0:0", "COMPLETED", nodes, cores, cores, f"{memory}n", tres, tres),
            *("1-00:00:00", "node-1", f"job-{number}"),
        )
        yield ("|".join(map(str, fields)) + "\n").encode()
