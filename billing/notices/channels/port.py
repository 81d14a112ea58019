"""What carries a mail away, and the three ways in which that can fail."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail, ready to go: `raw` are its bytes with CRLF at the ends of lines, seven bits wide."""

    id: str  # of the delivery
    sender: str  # addresses of the envelope
    recipient: str
    raw: bytes


class Channel(Protocol):
    """Somewhere mails go. One connection carries any number of them, one after the other."""

    name: str

    def connection(self) -> AbstractContextManager[Callable[[Mail], None]]:
        """Gives a function that returns when the other side has taken a mail; it connects at the first. Raises what is below."""
        ...


class NotTaken(Exception):
    """The other side did not take this mail, or nobody knows (`unanswered`): worth another try. `code` is stable, `detail` is theirs."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = " ".join(detail.split())[:300]
        super().__init__(f"{code}: {self.detail}" if self.detail else code)


class Refused(NotTaken):
    """This mail will never be taken: no other try."""


class Unreachable(NotTaken):
    """The other side takes no mail at all at present: others need not be tried now."""
