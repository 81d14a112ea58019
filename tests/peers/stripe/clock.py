"""The peer's clock: as the machine's until a test sets it, then only as the test cranks it."""

import time


class Clock:
    """Unix seconds."""

    def __init__(self) -> None:
        self._set_to: int | None = None

    def now(self) -> int:
        """The time that objects, signatures and key expiry go by."""
        return int(time.time()) if self._set_to is None else self._set_to

    def set(self, at: int) -> None:
        """Stand still at this time."""
        self._set_to = at

    def advance(self, seconds: int) -> None:
        """Stand still that much later than now."""
        self._set_to = self.now() + seconds
