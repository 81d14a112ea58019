"""The correlation id: one thread from a request through its jobs to the provider's call."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("plumbline_correlation_id", default=None)


def current() -> str | None:
    """The id of the work at hand, or None outside any."""
    return _current.get()


@contextmanager
def scope(correlation_id: str) -> Iterator[None]:
    """Everything recorded inside the block carries this id."""
    token = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(token)
