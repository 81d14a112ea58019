"""The document as HTML for the printer: Jinja alone, quick enough to be tried inside the issuing transaction."""

from datetime import datetime
from typing import Any

from billing.accounts.printing import LANGUAGES
from billing.invoicing.documents import checks, epc, glyphs
from billing.invoicing.documents.harmless import cleaned
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid
from billing.kernel.clock import get_zone
from billing.rendering import environment
from billing.rendering.document_voice import Voice

_TAIL = 3  # lines that stay with the sums, so that sums never stand alone on a page


def to_html(
    document: InvoiceDocument,
    *,
    snapshot_hash: str | None,
    verify_url: str | None = None,
    mark: str | None = None,
    title: str | None = None,
) -> str:
    """The whole page, in the document's language. All text is escaped; fonts and pictures are named by the `asset:` scheme.

    `mark` stands below the head and says what is special of this copy; a document without a number is called a draft, or by
    `title`, a key of its words.
    """
    missing: set[str] = set()
    doc = glyphs.shown(cleaned(document), missing)
    voice = voice_of(document)
    return environment.render(
        "documents/invoice.html",
        doc=doc,
        v=voice,
        title=voice(title or _title(document)),
        mark=mark,
        days=_days(document),
        tail=_TAIL,
        reasons=_reasons(doc, voice),
        iban=spaced(doc.bank_account or ""),
        logo=logo_address(document.logo_sha256),
        code=epc.ASSET if epc.payload(document) else None,
        snapshot_hash=snapshot_hash,
        verify_url=verify_url,
        has_no_glyph=bool(missing),
    )


def pro_forma(document: InvoiceDocument, *, at: datetime) -> str:
    """The page of a running period or a draft, marked as what it is: no invoice. `at` is when its figures were read."""
    voice = voice_of(document)
    as_of = voice("as_of", at=voice.instant(at, document.zone))
    return to_html(document, snapshot_hash=None, mark=f"{voice('not_an_invoice')} {as_of}.", title="pro_forma")


def assets_of(document: InvoiceDocument, *, logo: bytes | None) -> dict[str, bytes]:
    """The pictures that the page names, by their addresses. `logo` are the bytes stored under the document's `logo_sha256`."""
    found: dict[str, bytes] = {}
    address = logo_address(document.logo_sha256)
    if address is not None and logo is not None:
        found[address] = logo
    text = epc.payload(document)
    if text is not None:
        found[epc.ASSET] = epc.picture(text)
    return found


def try_out(document: InvoiceDocument) -> None:
    """Render a document that is about to be issued, with its dummy number. Raises DocumentInvalid: no number is lost on it."""
    if not document.number or document.issued_on is None:
        raise DocumentInvalid(rule="BR-02")
    try:
        html = to_html(document, snapshot_hash="0" * 64)
    except Exception as error:
        raise DocumentInvalid(rule="rendering", cause=f"{type(error).__name__}: {error}"[:300]) from error
    if document.number not in html:
        raise DocumentInvalid(rule="BR-02")
    checks.check(document)


def voice_of(document: Any) -> Voice:
    """How a document speaks; one in a language that is none of ours is written in English."""
    return Voice(document.language if document.language in LANGUAGES else LANGUAGES[0])


def logo_address(sha256: str | None) -> str | None:
    """Where the page finds the logo of that hash."""
    return f"asset:logo/{sha256}" if sha256 else None


def spaced(iban: str) -> str:
    """An IBAN in groups of four, as people read it."""
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


def _title(document: InvoiceDocument) -> str:
    if document.number:
        return document.kind
    return "draft_credit_note" if document.kind == "credit_note" else "draft"


def _days(document: InvoiceDocument) -> tuple[Any, Any]:
    """First and last day of the document's period: a line says its own days only where they differ."""
    if document.period_start_at is None or document.period_end_at is None:
        return None, None
    zone = get_zone(document.zone)
    last_at = document.period_end_at.timestamp() - 1
    return document.period_start_at.astimezone(zone).date(), datetime.fromtimestamp(last_at, zone).date()


def _reasons(document: InvoiceDocument, voice: Voice) -> list[str]:
    """Why no VAT is charged, each reason once, with its code."""
    found = []
    for group in document.taxes:
        if group.reason:
            words = voice.reason(group.scheme or _SCHEME_OF.get(group.category), group.reason).rstrip(".")
            found.append(f"{words} ({group.vatex})" if group.vatex else words)
    return list(dict.fromkeys(found))


_SCHEME_OF = {"AE": "reverse_charge", "G": "export", "K": "intra_community", "O": "not_subject"}
