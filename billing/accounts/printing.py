"""What a seller has printed on its documents beside name and address: which texts are taken, and in which spelling."""

import re
from typing import Any, Protocol

from billing.accounts import banks, names
from billing.kernel.errors import Invalid

LANGUAGES = ("en", "de", "fr")
PAGE_SIZES = ("A4", "letter")
FOOTER_MAX = 500
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,15})")
_PREFIXES = ("invoice_prefix", "credit_note_prefix", "receipt_prefix")
_LENGTHS = {"legal_id": 60, "tax_number": 30, "phone": 30, "bank_name": 100, "footer": FOOTER_MAX}
_WEBSITE = re.compile(
    r"(?:https?://)?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)(/[!-~]*)?", re.IGNORECASE
)


class Printed(Protocol):
    """A seller's particulars as somebody typed them."""

    @property
    def bank_account(self) -> str | None: ...
    @property
    def bic(self) -> str | None: ...
    @property
    def website(self) -> str | None: ...
    @property
    def language(self) -> str: ...
    @property
    def page_size(self) -> str: ...


def checked(facts: Printed) -> dict[str, Any]:
    """The fields as they are kept. Raises Invalid naming the first that is not taken.

    Reasons: those of `names.require_name`, iban_wrong, bic_wrong, bic_of_other_country, bic_without_iban, website_wrong,
    unknown_language, unknown_page_size, prefix_wrong, prefixes_equal.
    """
    found: dict[str, Any] = {
        field: names.find_name(getattr(facts, field), field, max_length=limit) for field, limit in _LENGTHS.items()
    }
    found["bank_account"] = banks.find_iban(facts.bank_account)
    found["bic"] = banks.find_bic(facts.bic, found["bank_account"])
    if found["bic"] is not None and found["bank_account"] is None:
        raise Invalid(field="bic", value=found["bic"], reason="bic_without_iban")
    found["website"] = _website(facts.website)
    if facts.language not in LANGUAGES:
        raise Invalid(field="language", value=names.shown(facts.language), reason="unknown_language")
    if facts.page_size not in PAGE_SIZES:
        raise Invalid(field="page_size", value=names.shown(facts.page_size), reason="unknown_page_size")
    _check_prefixes(facts)
    return found


def _check_prefixes(facts: Printed) -> None:
    """Three series that can be told apart: a number must name one document for ever."""
    seen: list[str] = []
    for field in _PREFIXES:
        prefix = getattr(facts, field)
        if not _PREFIX.fullmatch(prefix):
            raise Invalid(field=field, value=names.shown(prefix), reason="prefix_wrong")
        if prefix.upper() in seen:
            raise Invalid(field=field, value=prefix, reason="prefixes_equal")
        seen.append(prefix.upper())


def _website(text: str | None) -> str | None:
    """The address as it is printed, without its scheme."""
    plain = names.find_name(text, "website", max_length=100)
    if plain is None:
        return None
    matched = _WEBSITE.fullmatch(plain)
    if matched is None:
        raise Invalid(field="website", value=names.shown(plain), reason="website_wrong")
    return matched[1].lower() + (matched[2] or "").rstrip("/")
