"""HTML to PDF by WeasyPrint: PDF/A-3a, PDF/UA-1 and Factur-X at once, the same bytes for the same HTML. Runs in the worker process
only.

Nothing is fetched but the packaged fonts and the pictures that were handed over: any other address, also of a file, fails the
document.
"""

import gc
import hashlib
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from billing.invoicing.documents import xmp

_FONTS = Path(__file__).resolve().parents[3] / "templates" / "documents" / "fonts"
ASSETS = {
    f"asset:fonts/{name}": _FONTS / name
    for name in ("Inter-Regular.otf", "Inter-SemiBold.otf", "DejaVuSans.ttf", "DroidSansFallback.ttf")
}
_VARIANT = "pdf/a-3a"
_LONG = 100_000  # characters: some three hundred lines


class ForbiddenAddress(Exception):
    """The page asked for something that is not in the package."""


def prepare_process(folder: str) -> None:
    """Unpack fonts into `folder`, which whoever started the process takes away. Look for garbage seldom: a long document is a million objects that all live until it is written, and looking through them over
    and over takes a third of the time. `make` looks once more after a long one."""
    tempfile.tempdir = folder
    gc.set_threshold(50_000, 10, 2)


def make(html: str, made_on: str, assets: Mapping[str, bytes] | None = None, xml: bytes | None = None) -> bytes:
    """The PDF of a page, with the CII file of the same document inside it where there is one. `made_on` (an ISO date) stands for the creation time; identifier and order are fixed by the HTML.

    `assets` are pictures (PNG, JPEG, SVG) by their `asset:` addresses. Raises ForbiddenAddress when the page asks for anything
    but those and packaged fonts.
    """
    from weasyprint.urls import FatalURLFetchingError

    made_at = datetime.combine(date.fromisoformat(made_on), time(), UTC)
    try:
        return _make(html, made_at, assets or {}, xml)
    except FatalURLFetchingError as error:  # a BaseException, which would end the caller's process
        raise ForbiddenAddress(str(error)) from None
    finally:
        if len(html) > _LONG:
            gc.collect()


def _make(html: str, made_at: datetime, assets: Mapping[str, bytes], xml: bytes | None) -> bytes:
    from weasyprint import HTML, Attachment

    options: dict[str, Any] = {
        "pdf_variant": _VARIANT,
        "pdf_tags": True,
        "pdf_identifier": hashlib.sha256(html.encode() + (xml or b"")).hexdigest()[:32].encode(),
    }
    if xml is not None:
        # In the profile EN 16931 the XML says all that the page says: an alternative of it.
        options["attachments"] = [
            Attachment(
                string=xml,
                name=xmp.FILE_NAME,
                relationship="Alternative",
                description="Factur-X",
                created=made_at,
                modified=made_at,
            )
        ]
    document = HTML(string=html, base_url="asset:/", url_fetcher=fetcher(assets)).render(**options)
    document.metadata.created = document.metadata.modified = made_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    describe = document.metadata.generate_rdf_metadata
    document.metadata.generate_rdf_metadata = lambda *arguments: xmp.extended(
        describe(*arguments), is_einvoice=xml is not None
    )
    made: bytes = document.write_pdf(**options)
    return made


def fetcher(assets: Mapping[str, bytes]) -> Any:
    """What answers WeasyPrint's questions: the packaged fonts, the pictures handed over, nothing else."""
    from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

    class PackagedOnly(URLFetcher):  # type: ignore[misc]
        """Answers from the package and from nowhere else."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            if url in assets:
                return URLFetcherResponse(url, assets[url], {"Content-Type": _media_type(assets[url])})
            path = ASSETS.get(url)
            if path is None:
                raise FatalURLFetchingError(f"a document asked for {url[:80]!r}")
            return URLFetcherResponse(url, path.read_bytes(), {"Content-Type": f"font/{path.suffix[1:]}"})

    return PackagedOnly()


def _media_type(content: bytes) -> str:
    """What a picture is by its first bytes."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/jpeg" if content.startswith(b"\xff\xd8") else "image/svg+xml"
