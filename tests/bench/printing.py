"""Printing one invoice, tagged, archivable, with its XML inside, against WeasyPrint on the bare page. Cost grows with lines only."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from tempfile import TemporaryDirectory

from billing.invoicing.documents import cii, page, pdf
from billing.invoicing.documents.model import InvoiceDocument
from tests.bench import measure
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch
from tests.einvoice import corpus

NAME = "pdf"
UNIT = "s"
GOAL = Goal(at_most=1.2)
SIZE = 200  # lines


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Seconds for one document of `size` lines, each in a fresh process as the renderer's; the peak of memory is that process's.

    At scale 10 the document has 2,000 lines.
    """
    peaks = []

    def printed() -> float:
        taken_s, peak_mb = _alone(_made, size)
        peaks.append(peak_mb)
        return taken_s

    result = compare(
        case=NAME,
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOAL,
        limit=lambda: _alone(_bare, size)[0],
        figure=printed,
        rounds=rounds,
    )
    return replace(result, peak_mb=round(max(peaks), 1))


def _alone(act: Callable[[int], tuple[float, float]], size: int) -> tuple[float, float]:
    """(seconds, peak in MB) of an act in a process of its own."""
    spawned, prepare = get_context("spawn"), pdf.prepare_process
    with (
        TemporaryDirectory() as folder,
        ProcessPoolExecutor(max_workers=1, mp_context=spawned, initializer=prepare, initargs=(folder,)) as pool,
    ):
        return pool.submit(act, size).result()


def _made(size: int) -> tuple[float, float]:
    """From the frozen document to the file, as `documents.render` makes it; the printer has printed before."""
    _print(corpus.many(1))
    document = corpus.many(size)
    begun = time.perf_counter()
    made = _print(document)
    taken_s = time.perf_counter() - begun
    _require_whole(made, document)
    return taken_s, measure.peak_mb()


def _print(document: InvoiceDocument) -> bytes:
    html = page.to_html(document, snapshot_hash="0" * 64)
    return pdf.make(html, str(document.issued_on), page.assets_of(document, logo=None), cii.to_xml(document))


def _bare(size: int) -> tuple[float, float]:
    """WeasyPrint alone: the same page without tags, marks, identifier or attachment."""
    _print_bare(corpus.many(1))
    document = corpus.many(size)
    begun = time.perf_counter()
    made = _print_bare(document)
    taken_s = time.perf_counter() - begun
    _require_whole(made, document)
    return taken_s, measure.peak_mb()


def _print_bare(document: InvoiceDocument) -> bytes:
    from weasyprint import HTML

    html = page.to_html(document, snapshot_hash="0" * 64)
    fetch = pdf.fetcher(page.assets_of(document, logo=None))
    made: bytes = HTML(string=html, base_url="asset:/", url_fetcher=fetch).write_pdf()
    return made


def _require_whole(made: bytes, document: InvoiceDocument) -> None:
    import pypdf

    pages = pypdf.PdfReader(io.BytesIO(made)).pages
    require("the number stands on the last page", str(document.number) in pages[-1].extract_text(), True)
    require("pages for the lines", len(pages) >= len(document.lines) // 40 + 1, True)
