"""Pauses of Python's cycle collector around bulk work, which makes many plain values and no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Let the collector rest inside the block: it would go through everything that is loaded again and again for nothing.

    Memory is given back by reference counts meanwhile. It runs again afterwards, also after an error, unless it rested before.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
