"""A process of its own for the printer: it needs 100 MB and holds the interpreter, so it never runs where requests are answered."""

from collections.abc import Mapping
from datetime import date
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Self

from billing.invoicing.documents import pdf

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

TIMEOUT_S = 120


class PrinterDied(Exception):
    """The worker process ended, hung, or could not print the document."""


class Printer:
    """Prints in a spawned worker, which starts with the first document and is gone after the block. One after another."""

    def __init__(self, *, timeout_s: int = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._pool: ProcessPoolExecutor | None = None
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def to_pdf(
        self, html: str, *, made_on: date, assets: Mapping[str, bytes] | None = None, xml: bytes | None = None
    ) -> bytes:
        """The PDF's bytes; `assets` are the pictures that the page names by `asset:` addresses, `xml` the CII file to embed.

        Raises PrinterDied; the next call starts a new worker.
        """
        from concurrent.futures import ProcessPoolExecutor  # only whoever prints starts processes
        from concurrent.futures.process import BrokenProcessPool
        from multiprocessing import get_context

        if self._pool is None:
            # The worker is ended, never asked to leave: what it unpacked (fonts, 1.3 MB) is taken away from here.
            self._folder = TemporaryDirectory(prefix="plumbline-printer-", ignore_cleanup_errors=True)
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=get_context("spawn"),
                initializer=pdf.prepare_process,
                initargs=(self._folder.name,),
            )
        try:
            printing = self._pool.submit(pdf.make, html, made_on.isoformat(), dict(assets or {}), xml)
            return printing.result(timeout=self._timeout_s)
        except BrokenProcessPool as error:
            self._stop()
            raise PrinterDied("the worker process ended") from error
        except TimeoutError as error:
            self._stop()
            raise PrinterDied(f"no document within {self._timeout_s} s") from error
        except Exception as error:
            raise PrinterDied(f"{type(error).__name__}: {error}"[:300]) from error

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [] if self._pool is None else [process.pid for process in self._pool._processes.values() if process.pid]

    def _stop(self) -> None:
        if self._pool is None:
            return
        for process in list((self._pool._processes or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
