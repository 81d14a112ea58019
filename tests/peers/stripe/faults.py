"""What goes wrong, call by call, as a test asks for it."""

import random
import threading
from collections.abc import Iterator, Sequence
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
    "reset_within",  # the effect happens, a TCP reset cuts the answer in its middle
    "delay",  # the effect happens at once, its answer comes `Faults.delay_s` later
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


@dataclass
class Chance:
    """Faults by a seed: of each 1,000 calls `per_mille` meet one of `kinds`, at most `most` in all."""

    random: random.Random
    per_mille: int
    kinds: Sequence[Kind]
    most: int


class Faults:
    """The script, and what a seed adds to it. Has its own lock, because callers come in threads.

    `met` is what happened so far, oldest first: (method, path, kind). `retry_after_s` stands in a 429's Retry-After.
    """

    delay_s = 0.05
    retry_after_s = 1

    def __init__(self) -> None:
        self.script: list[Fault] = []
        self.met: list[tuple[str, str, Kind]] = []
        self._chance: Chance | None = None
        self._gates: list[Gate] = []
        self._lock = threading.Lock()

    def add(self, kind: Kind, path: str, times: int = 1, method: str | None = None) -> None:
        """Ask for a fault. Raises ValueError for a kind that does not exist."""
        if kind not in KINDS:
            raise ValueError(kind)
        with self._lock:
            self.script.append(Fault(kind, path, times, method))

    def by_chance(self, seed: int | str, *, per_mille: int, kinds: Sequence[Kind] = KINDS, most: int = 1000) -> None:
        """From now on any call may meet a fault: the same seed and the same calls in the same order meet the same ones."""
        if unknown := set(kinds) - set(KINDS):
            raise ValueError(f"no such faults: {sorted(unknown)}")
        with self._lock:
            self._chance = Chance(random.Random(f"faults:{seed}"), per_mille, tuple(kinds), most)

    def cease(self) -> None:
        """No fault any more, neither asked for nor by chance."""
        with self._lock:
            self._chance = None
            self.script.clear()

    def draw(self, method: str, path: str) -> None:
        """At the beginning of a call: chance may write it a fault into the script."""
        with self._lock:
            chance = self._chance
            if chance is None or chance.most == 0 or chance.random.randrange(1000) >= chance.per_mille:
                return
            chance.most -= 1
            self.script.insert(0, Fault(chance.random.choice(chance.kinds), path, 1, method))

    def take(self, method: str, path: str, kinds: tuple[Kind, ...]) -> Kind | None:
        """The first fault of these kinds that is meant for this call, used up by one."""
        with self._lock:
            for fault in self.script:
                if fault.kind in kinds and path.startswith(fault.path) and fault.method in (None, method):
                    fault.times -= 1
                    if fault.times == 0:
                        self.script.remove(fault)
                    self.met.append((method, path, fault.kind))
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
