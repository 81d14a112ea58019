"""Every code that a problem of the API may carry, with its status and what to do: the table behind /api/docs#problem-<code>."""

from dataclasses import dataclass

from pydantic import Field

from portal.api.values import Out


class ProblemError(Out):
    """One fault in the input: where it is (a JSON pointer, RFC 6901, or the name of a parameter behind a slash) and what it is."""

    pointer: str
    detail: str


class Problem(Out):
    """What went wrong (RFC 9457). `type` and `code` are stable, `reason` narrows some of them, `request_id` finds it in our logs."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    request_id: str
    reason: str | None = None
    errors: list[ProblemError] | None = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of problem. `words` say what happened and what the caller does next."""

    code: str
    status: int
    words: str


_TABLE: tuple[tuple[str, int, str], ...] = (
    ("untrusted_host", 400, "The Host header names another site. Use the address in `servers`."),
    ("bad_request", 400, "The request cannot be read at all."),
    (
        "body_not_json",
        400,
        "The body is no JSON that can be read: broken, not UTF-8, a name twice, too deep. `detail` says which.",
    ),
    ("idempotency_key_missing", 400, "Send Idempotency-Key: 1 to 120 visible ASCII characters, new for each new act."),
    ("key_refused", 401, "No key, or one that is unknown, revoked, expired or no bearer token. Nothing more is said."),
    (
        "insufficient_scope",
        403,
        "The key is good and may not do this: `WWW-Authenticate` names the scope that is needed.",
    ),
    ("forbidden", 403, "A browser sent this from another site."),
    ("not_found", 404, "There is no such object, or it belongs to somebody else: the two are never told apart."),
    ("method_not_allowed", 405, "`Allow` names the methods that there are."),
    ("already_released", 409, "The allocation has ended: it can neither change nor end again."),
    ("out_of_order", 409, "The change lies before the allocation's last one."),
    ("other_content", 409, "The id was used before with other content; nothing was changed."),
    ("provider_customer_unfit", 409, "The provider's customer cannot be this account's; `reason` says why."),
    ("provider_customer_busy", 409, "A payment or another change hangs on the customer; look again in some minutes."),
    ("conflict", 409, "As things stand, a rule forbids it; `reason` says which."),
    ("idempotency_in_flight", 409, "The same request is being worked on at this moment: ask again in a second."),
    ("document_not_ready", 409, "The files are being made: ask again after `Retry-After` seconds."),
    ("no_electronic_invoice", 404, "EN 16931 has no XML for this document: take the PDF or the CSV."),
    ("nothing_signed", 409, "Nothing was posted to the account yet: there is no statement to prove."),
    (
        "chain_not_continued",
        409,
        "A chain does not go on from what was signed: no root is signed until that is cleared up.",
    ),
    ("signing_key_unusable", 409, "The installation cannot sign at the moment; nothing was changed."),
    ("invoice_not_payable", 409, "The invoice is not issued, or nothing of it is open."),
    (
        "draft_dearer",
        409,
        "The draft would ask for more than was approved: it went back to draft, and a person approves it anew.",
    ),
    ("period_not_ended", 409, "The month still runs in the account's zone; `detail` says until when."),
    ("tax_evidence_missing", 409, "The VAT id was not found valid: no reverse charge without evidence."),
    ("tax_evidence_old", 409, "The VAT id was looked up too long ago: it is looked up again first."),
    ("negative_total", 409, "Nothing would be given back, or there is no invoice that could be corrected."),
    ("missing_rate", 409, "No exchange rate is held for a day on which something is converted; `detail` says which."),
    ("stale_rate", 409, "The newest exchange rate is too old to issue with."),
    ("invoice_not_approved", 409, "Nobody has approved the draft, or it is void: a person approves it on its page."),
    (
        "invoice_not_a_draft",
        409,
        "It is issued or void. An issued invoice is corrected by a credit note; `detail` names the route.",
    ),
    (
        "draft_outdated",
        409,
        "The draft no longer says what the books or the tax of today say: void it and generate it again.",
    ),
    (
        "profile_incomplete",
        409,
        "A legal fact about buyer or seller is missing; `detail` names it. No invoice is issued without it.",
    ),
    (
        "document_invalid",
        409,
        "The document contradicts a rule of invoices; `detail` names it. Nothing was issued, no number was taken.",
    ),
    (
        "credit_above_invoice",
        409,
        "More would be credited than is left of the invoice or its line; `detail` names the limit.",
    ),
    ("above_refundable", 409, "More than can be refunded now; `detail` names the limit."),
    ("above_authority", 403, "More than the person behind the key may ask for; `detail` names the limit."),
    ("refund_during_dispute", 409, "A dispute holds money of this account: no refund until it ends."),
    ("dispute_not_answerable", 409, "The dispute waits for no answer: it was answered, or has ended."),
    ("dispute_deadline_passed", 409, "The time to answer the dispute is over."),
    ("evidence_changed", 409, "The evidence was changed since it was read: read it again."),
    ("plan_exists", 409, "Another version of the plan begins at that instant: give the new one a later start."),
    ("subscription_exists", 409, "The account changes to another plan at that instant already."),
    ("already_rated", 409, "Usage from then on was rated by another price already: begin later."),
    ("already_invoiced", 409, "A month that is invoiced would be asked for something else: begin in a later month."),
    ("budget_name_taken", 409, "The account has an active budget of this name."),
    ("precondition_failed", 412, "It was changed since you read it: read it again, then decide."),
    ("request_entity_too_large", 413, "The body is larger than 4 MB (a provider's event: 1 MB)."),
    ("unsupported_media_type", 415, "Send application/json, or a type that ends in +json."),
    ("invalid_body", 422, "The body is JSON of another shape than described; `errors` says where."),
    ("invalid", 422, "A value cannot be used; `reason` says why, `errors` where."),
    ("amount_out_of_range", 422, "The amount is below or above what may be paid."),
    ("idempotency_key_reused", 422, "The key was used for another request: take a new one."),
    ("precondition_required", 428, "Send If-Match with the ETag of what you edit."),
    ("rate_limited", 429, "The limit of this minute is used up: wait for `Retry-After` seconds."),
    ("headers_too_large", 431, "The headers are larger than 32 kB together."),
    ("internal_error", 500, "A fault of ours; nothing was done by halves. Tell us the request id."),
    ("provider_refused", 502, "The payment provider said no; nothing was begun."),
    ("provider_unreachable", 503, "The payment provider did not answer clearly: try again in a minute."),
    ("database_unavailable", 503, "Nothing was changed: try again in a minute."),
    (
        "provider_unreachable",
        503,
        "The payment provider gave no clear answer; nothing was changed. Try again in a minute.",
    ),
    (
        "provider_mismatch",
        409,
        "What the provider holds contradicts our row: nothing was credited; `reason` says what differs.",
    ),
    ("issuer_unreachable", 503, "The issuer of bearer tokens does not answer; API keys work as ever."),
)
_SIGNED: tuple[tuple[str, int, str], ...] = (
    ("signature_missing", 400, "A provider's event without its signature header."),
    ("signature_malformed", 400, "The signature header cannot be read."),
    ("signature_wrong", 400, "The signature is not that of the bytes that came."),
    ("timestamp_out_of_range", 400, "The signature was made more than five minutes before or after now."),
    ("not_json", 400, "The event is signed and no JSON."),
    ("not_an_event", 400, "The event is signed and not of the shape of an event."),
)
KINDS: dict[str, Kind] = {
    code: Kind(code=code, status=status, words=words) for code, status, words in (*_TABLE, *_SIGNED)
}
SIGNED = tuple(code for code, _status, _words in _SIGNED)


def by_status(codes: set[str]) -> dict[int, list[Kind]]:
    """{status: kinds} of some codes, both in rising order. Raises KeyError for a code without words here."""
    found = sorted((KINDS[code] for code in codes), key=lambda kind: (kind.status, kind.code))
    return {status: [kind for kind in found if kind.status == status] for status in {kind.status for kind in found}}
