"""HTML to PDF by WeasyPrint: PDF/A-3a and PDF/UA-1, the same bytes for the same HTML. Runs in the worker process only.

Nothing is fetched but the packaged fonts and the pictures that were handed over: any other address, also of a file, fails the
document.
"""

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

_FONTS = Path(__file__).resolve().parents[3] / "templates" / "documents" / "fonts"
ASSETS = {
    f"asset:fonts/{name}": _FONTS / name
    for name in ("Inter-Regular.otf", "Inter-SemiBold.otf", "DejaVuSans.ttf", "DroidSansFallback.ttf")
}
_VARIANT = "pdf/a-3a"


class ForbiddenAddress(Exception):
    """The page asked for something that is not in the package."""


def make(html: str, made_on: str, assets: Mapping[str, bytes] | None = None) -> bytes:
    """The PDF of a page. `made_on` (an ISO date) stands for the creation time; identifier and order are fixed by the HTML.

    `assets` are pictures (PNG, JPEG, SVG) by their `asset:` addresses. Raises ForbiddenAddress when the page asks for anything
    but those and packaged fonts.
    """
    from weasyprint.urls import FatalURLFetchingError

    date.fromisoformat(made_on)
    try:
        return _make(html, made_on, assets or {})
    except FatalURLFetchingError as error:  # a BaseException, which would end the caller's process
        raise ForbiddenAddress(str(error)) from None


def _make(html: str, made_on: str, assets: Mapping[str, bytes]) -> bytes:
    from weasyprint import HTML

    options: dict[str, Any] = {
        "pdf_variant": _VARIANT,
        "pdf_tags": True,
        "pdf_identifier": hashlib.sha256(html.encode()).hexdigest()[:32].encode(),
    }
    document = HTML(string=html, base_url="asset:/", url_fetcher=_fetcher(assets)).render(**options)
    document.metadata.created = document.metadata.modified = f"{made_on}T00:00:00Z"
    describe = document.metadata.generate_rdf_metadata
    document.metadata.generate_rdf_metadata = lambda *arguments: _with_ua(describe(*arguments))
    made: bytes = document.write_pdf(**options)
    return made


def _fetcher(assets: Mapping[str, bytes]) -> Any:
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


_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_UA = "{http://www.aiim.org/pdfua/ns/id/}"

# PDF/A allows further metadata only with a description of its schema.
_UA_SCHEMA = """<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""
 xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"
 xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#"><pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI><pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource"><pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType><pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289</pdfaProperty:description></rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>"""


def _with_ua(metadata: bytes) -> bytes:
    """WeasyPrint writes the mark of one variant; the document meets both."""
    root = ET.fromstring(metadata)  # noqa: S314  WeasyPrint made it a moment ago
    mark = ET.SubElement(root, f"{_RDF}Description", {f"{_RDF}about": ""})
    ET.SubElement(mark, f"{_UA}part").text = "1"
    for prefix, uri in (("extension", "extension/"), ("schema", "schema#"), ("property", "property#")):
        ET.register_namespace(f"pdfa{prefix.title()}", f"http://www.aiim.org/pdfa/ns/{uri}")
    root.append(ET.fromstring(_UA_SCHEMA))  # noqa: S314  written above
    return bytes(ET.tostring(root, encoding="utf-8"))
