"""Ids that say what they name and sort by time: a prefix and a UUIDv7 in Crockford's base 32."""

import os
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """A fresh id such as `usg_01jd8...` (prefix + 26 characters), unique and rising within this process.

    48 bits of Unix milliseconds, then 80 bits that start random and count up inside one millisecond, so that ordered inserts
    touch the right edge of an index (random keys are several times slower in large tables).
    """
    return f"{prefix}_{_encode(_next_value())}"


def new_ids(prefix: str, count: int) -> list[str]:
    """`count` rising ids at once, for bulk paths: neighbours, so that their leading characters are written only once."""
    if count <= 0:
        return []
    first = _reserve(count)
    made = []
    place = first
    while place < first + count:
        # The last four characters are 20 bits: ids up to the next carry share the 22 before them.
        shared = prefix + "_" + _encode(place)[:-4]
        stop = min(first + count, ((place >> 20) + 1) << 20)
        made += [shared + _PAIRS[low >> 10 & 1023] + _PAIRS[low & 1023] for low in range(place, stop)]
        place = stop
    return made


def earlier(made: str, by_ms: int) -> str:
    """The smallest id of the same prefix that was made at most `by_ms` milliseconds before `made`: where a search may begin.

    Raises ValueError for what `new_id` did not make.
    """
    prefix, _, digits = made.rpartition("_")
    value = 0
    for digit in digits:
        value = value << 5 | _ALPHABET.index(digit)
    return f"{prefix}_{_encode(max(0, (value >> 80) - by_ms) << 80)}"


def _next_value() -> int:
    global _last  # noqa: PLW0603  one counter per process is the point
    with _lock:
        millis = time.time_ns() // 1_000_000
        if millis > _last >> 80:
            _last = millis << 80 | int.from_bytes(os.urandom(10), "big") >> 1
        else:
            _last += 1 + os.urandom(1)[0]
        return _last


def _reserve(count: int) -> int:
    """The first of `count` neighbouring values that nobody else gets."""
    global _last  # noqa: PLW0603  as in _next_value
    _next_value()  # so that the block begins in the present millisecond
    with _lock:
        first = _last + 1
        _last += count
    return first


def _encode(value: int) -> str:
    digits = []
    for _ in range(26):
        digits.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(digits))
