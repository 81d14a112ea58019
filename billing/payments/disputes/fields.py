"""What may be said to a bank: the provider's evidence fields, with their words and limits. Pure.

Limits of docs.stripe.com/api/disputes/update and docs.stripe.com/disputes: 20,000 characters in one text, 150,000 in all; PDF, JPEG
and PNG, 5 MB in one file, and at most 4.5 MB of files in one answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.kernel.errors import Invalid

TEXT_MAX, TEXTS_MAX = 20_000, 150_000
FILE_MAX_BYTES, FILES_MAX_BYTES = 5 * 1024 * 1024, 4_500_000
_SIGNATURES = {"application/pdf": b"%PDF-", "image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of the answer; `is_long` where people write more than a line."""

    name: str
    label: str
    hint: str = ""
    is_long: bool = False


TEXTS = (
    Field(name="customer_name", label="Customer"),
    Field(name="customer_email_address", label="Their e-mail address"),
    Field(name="customer_purchase_ip", label="Internet address at the time of payment"),
    Field(name="billing_address", label="Billing address", is_long=True),
    Field(name="product_description", label="What was sold", is_long=True),
    Field(name="service_date", label="When it was provided"),
    Field(
        name="access_activity_log", label="Access log", hint="Sign-ins and acts of the customer's people", is_long=True
    ),
    Field(
        name="uncategorized_text",
        label="What we say",
        hint="Usage, what it cost, the proof, and your own words",
        is_long=True,
    ),
    Field(name="refund_policy_disclosure", label="How the refund policy was shown", is_long=True),
    Field(name="refund_refusal_explanation", label="Why there was no refund", is_long=True),
    Field(name="cancellation_rebuttal", label="Why it was not cancelled", is_long=True),
    Field(name="duplicate_charge_explanation", label="Why it is no duplicate", is_long=True),
)
FILES = (
    Field(name="receipt", label="Receipt or invoice"),
    Field(name="service_documentation", label="Proof of the service"),
    Field(name="customer_communication", label="Correspondence"),
    Field(name="uncategorized_file", label="Anything else"),
)
_TEXT_NAMES = frozenset(field.name for field in TEXTS)
_FILE_NAMES = frozenset(field.name for field in FILES)


def require_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that say something, within the limits. Raises Invalid naming the field: unknown_field, too_long, not_unicode."""
    found: dict[str, str] = {}
    for name, text in texts.items():
        if name not in _TEXT_NAMES:
            raise Invalid(field=name[:60], reason="unknown_field")
        text = text.replace("\r\n", "\n").strip()
        if "\x00" in text or not _is_unicode(text):
            raise Invalid(field=name, reason="not_unicode")
        if len(text) > TEXT_MAX:
            raise Invalid(field=name, limit=TEXT_MAX, length=len(text), reason="evidence_text_too_long")
        if text:
            found[name] = text
    length = sum(len(text) for text in found.values())
    if length > TEXTS_MAX:
        raise Invalid(field="texts", limit=TEXTS_MAX, length=length, reason="evidence_texts_too_long")
    return found


def require_file(field: str, content: bytes) -> str:
    """The media type of a file, by its first bytes. Raises Invalid: unknown_field, evidence_file_empty, _too_large or _type."""
    if field not in _FILE_NAMES:
        raise Invalid(field=field[:60], reason="unknown_field")
    if not content:
        raise Invalid(field=field, reason="evidence_file_empty")
    if len(content) > FILE_MAX_BYTES:
        raise Invalid(field=field, limit_bytes=FILE_MAX_BYTES, reason="evidence_file_too_large")
    for media_type, start in _SIGNATURES.items():
        if content.startswith(start):
            return media_type
    raise Invalid(field=field, reason="evidence_file_type")


def shorten(text: str) -> str:
    """A text that was put together, cut at a whole line to what one field takes, and saying so."""
    if len(text) <= TEXT_MAX:
        return text
    note = "\n(shortened: the rest is kept by us and can be shown)"
    return text[: TEXT_MAX - len(note)].rpartition("\n")[0] + note


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
