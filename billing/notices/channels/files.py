"""Mails as files in a folder, for a machine without a mail server: what would have been sent can be opened and read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from billing.notices.channels.port import Mail, Unreachable


class FileChannel:
    """Writes `<delivery>.eml`, readable only for the person who runs the portal: links that let someone in stand in it."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def connection(self) -> Iterator[Callable[[Mail], None]]:
        """See `port.Channel`."""
        yield self._write

    def _write(self, mail: Mail) -> None:
        whole, part = self.folder / f"{mail.id}.eml", self.folder / f".{mail.id}.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(mail.raw)
            part.replace(whole)
        except OSError as error:
            raise Unreachable("unreachable", f"{self.folder}: {error.strerror}") from None
