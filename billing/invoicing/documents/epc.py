"""The QR code that banking apps read: a SEPA credit transfer of what is due (EPC069-12, version 2). Pure."""

import io

from billing.invoicing.documents.model import InvoiceDocument
from billing.kernel.money import Money

ASSET = "asset:epc-qr"
_NAME_MAX, _REMITTANCE_MAX = 70, 140
_AMOUNT_MAX_MINOR = 99_999_999_999
# Where SEPA transfers go (EPC409-09): an IBAN of another country is paid by other means.
_SEPA_TEXT = (
    "AD AL AT AX BE BG BL CH CY CZ DE DK EE ES FI FR GB GF GG GI GP GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MF MK MQ MT "
    "NL NO PL PM PT RE RO RS SE SI SK SM VA YT"
)
SEPA = frozenset(_SEPA_TEXT.split())


def payload(document: InvoiceDocument) -> str | None:
    """The text of the code, or None: only an issued invoice in euro with something due, to an IBAN that SEPA reaches."""
    iban, due_minor = document.bank_account, document.due_minor
    if document.kind != "invoice" or document.number is None or document.currency != "EUR" or not iban:
        return None
    if not 0 < due_minor <= _AMOUNT_MAX_MINOR or iban[:2] not in SEPA:
        return None
    return "\n".join(
        (
            "BCD",  # service tag
            "002",  # version: within the European Economic Area the BIC may be missing
            "1",  # UTF-8
            "SCT",
            document.bic or "",
            _short(document.seller.name, _NAME_MAX),
            iban,
            f"EUR{Money(minor=due_minor, currency='EUR').to_decimal():.2f}",
            "",  # purpose
            "",  # structured reference
            _short(document.number, _REMITTANCE_MAX),
        )
    )


def picture(text: str) -> bytes:
    """The code as SVG with its quiet zone, error correction M as the guideline asks."""
    import segno

    code = segno.make_qr(text, error="m", boost_error=False, encoding="utf-8", eci=False)
    written = io.BytesIO()
    code.save(written, kind="svg", border=4, xmldecl=False, svgns=True, omitsize=True)
    return written.getvalue()


def _short(text: str, limit: int) -> str:
    """One line of at most that many characters."""
    return " ".join(text.split())[:limit].rstrip()
