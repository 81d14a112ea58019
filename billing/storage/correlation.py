"""The correlation id: one thread from a request through its jobs to the provider's call."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


def restored(correlation_id: str | None) -> AbstractContextManager[None]:
    """The scope of a request that is worked on later; rows from before ids were kept stay in the scope in force."""
    return nullcontext() if correlation_id is None else scope(correlation_id)
