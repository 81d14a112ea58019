"""Pro formas: the PDF of a draft or of the running period, clearly marked, without a number, never stored."""

from datetime import datetime

from billing.invoicing.documents import page, worker
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import ProFormaFailed, ProFormaTooLong
from billing.kernel.clock import get_zone

LINES_MAX = 300
TIMEOUT_S = 40


def to_pdf(document: InvoiceDocument, *, logo: bytes | None, at: datetime, timeout_s: int = TIMEOUT_S) -> bytes:
    """The PDF's bytes, printed by a worker process of its own while the caller waits; call it outside any transaction.

    `at` is when the figures were read. Raises ProFormaTooLong beyond 300 lines, which would keep the caller waiting too long, and
    ProFormaFailed when the worker died or was too slow.
    """
    if len(document.lines) > LINES_MAX:
        raise ProFormaTooLong(lines=len(document.lines), limit=LINES_MAX)
    html = page.pro_forma(document, at=at)
    with worker.Printer(timeout_s=timeout_s) as printer:
        try:
            return printer.to_pdf(
                html,
                made_on=at.astimezone(get_zone(document.zone)).date(),
                assets=page.assets_of(document, logo=logo),
            )
        except worker.PrinterDied as error:
            raise ProFormaFailed(cause=str(error)[:200]) from error
