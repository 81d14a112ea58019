"""What goes wrong, call by call, as a test asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "rate_limit",  # 429, no effect, nothing kept
    "lock_timeout",  # 429 with code lock_timeout, no effect, nothing kept
    "error_500",  # 500, no effect, kept under the key
    "error_500_after",  # the effect happens, the answer is 500, kept under the key
    "drop_before",  # the connection closes without effect
    "drop_after",  # the effect happens, the connection closes without an answer
    "reset_before",  # as drop_before, by a TCP reset
    "reset_after",  # as drop_after, by a TCP reset
    "timeout_before",  # no effect, no answer until the caller leaves
    "timeout_after",  # the effect happens, no answer until the caller leaves
]
KINDS = get_args(Kind)


@dataclass
class Fault:
    """`kind` happens to the next `times` calls whose path begins with `path`, by any method unless one is named."""

    kind: Kind
    path: str
    times: int = 1
    method: str | None = None


@dataclass
class Gate:
    """A call that stands still between its key and its effect until the gate opens."""

    path: str
    is_reached: threading.Event = field(default_factory=threading.Event)
    is_open: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The script. Has its own lock, because callers come in threads."""

    def __init__(self) -> None:
        self.script: list[Fault] = []
        self._gates: list[Gate] = []
        self._lock = threading.Lock()

    def add(self, kind: Kind, path: str, times: int = 1, method: str | None = None) -> None:
        """Ask for a fault. Raises ValueError for a kind that does not exist."""
        if kind not in KINDS:
            raise ValueError(kind)
        with self._lock:
            self.script.append(Fault(kind, path, times, method))

    def take(self, method: str, path: str, kinds: tuple[Kind, ...]) -> Kind | None:
        """The first fault of these kinds that is meant for this call, used up by one."""
        with self._lock:
            for fault in self.script:
                if fault.kind in kinds and path.startswith(fault.path) and fault.method in (None, method):
                    fault.times -= 1
                    if fault.times == 0:
                        self.script.remove(fault)
                    return fault.kind
        return None

    @contextmanager
    def holding(self, path: str) -> Iterator[Gate]:
        """Calls to the path stand still inside the block, which may open the gate itself."""
        gate = Gate(path)
        self._gates.append(gate)
        try:
            yield gate
        finally:
            gate.is_open.set()
            self._gates.remove(gate)

    def stand_still(self, path: str) -> None:
        """Wait at the gates that are meant for this path."""
        for gate in list(self._gates):
            if path.startswith(gate.path):
                gate.is_reached.set()
                gate.is_open.wait(timeout=30)
