"""Ids that say what they name and sort by time: a prefix and a UUIDv7 in Crockford's base 32."""

import os
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """A fresh id such as `usg_01jd8...` (prefix + 26 characters), unique and rising within this process.

    48 bits of Unix milliseconds, then 80 bits that start random and count up inside one millisecond, so that ordered inserts
    touch the right edge of an index (random keys are several times slower in large tables).
    """
    return f"{prefix}_{_encode(_next_value())}"


def new_ids(prefix: str, count: int) -> list[str]:
    """`count` rising ids at once, for bulk paths."""
    return [new_id(prefix) for _ in range(count)]


def _next_value() -> int:
    global _last  # noqa: PLW0603  one counter per process is the point
    with _lock:
        millis = time.time_ns() // 1_000_000
        if millis > _last >> 80:
            _last = millis << 80 | int.from_bytes(os.urandom(10), "big") >> 1
        else:
            _last += 1 + os.urandom(1)[0]
        return _last


def _encode(value: int) -> str:
    digits = []
    for _ in range(26):
        digits.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(digits))
