"""Files that commands write: whole or not at all, with a manifest beside them."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from portal.cli import Failed


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """A new file that takes its name when it is whole; an interrupted export leaves the old one. Raises Failed."""
    target = Path(path)
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                yield file  # type: ignore[misc]
            except BaseException:
                os.unlink(file.name)
                raise
        os.chmod(file.name, 0o644)
        os.replace(file.name, target)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}.") from None


def write(path: str, chunks: Iterable[bytes], manifest: Callable[[], dict[str, Any]]) -> None:
    """Write the chunks to the file (`-` is standard output) and what `manifest` says afterwards to FILE.manifest.json beside it."""
    if path == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    with replacing(path) as file:
        for chunk in chunks:
            file.write(chunk)
    with replacing(f"{path}.manifest.json") as file:
        file.write(json.dumps(manifest(), indent=2).encode() + b"\n")
