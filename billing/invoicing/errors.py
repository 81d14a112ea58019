"""Refusals of invoicing. `reason` inside Invalid and Conflict is stable too; sentences are made by the portal."""

from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal


class NotApproved(Conflict):
    """The draft has not been approved, or is void. Fields: invoice_id, state."""

    code = "invoice_not_approved"


class NotADraft(Conflict):
    """The act is for drafts only: an issued invoice is corrected by a credit note. Fields: invoice_id, state, number."""

    code = "invoice_not_a_draft"


class PeriodNotEnded(Conflict):
    """The month still runs in the account's zone. Fields: period, ends_at."""

    code = "period_not_ended"


class DraftOutdated(Conflict):
    """The draft no longer says what the books say: void it and generate it again. Fields: invoice_id, what, draft, books."""

    code = "draft_outdated"


class DraftDearer(Conflict):
    """The document would ask for more than was approved: it is approved anew. Fields: invoice_id, approved_minor, total_minor, currency."""

    code = "draft_dearer"


class ProfileIncomplete(Refusal):
    """A legal fact about buyer or seller is missing, without which no invoice may be issued. Fields: account, missing."""

    code = "profile_incomplete"


class NegativeTotal(Refusal):
    """Charges sum below zero: that is a credit note's matter, not an invoice's. Fields: account, period, net_minor, currency."""

    code = "negative_total"


class DocumentInvalid(Refusal):
    """The document cannot be rendered or contradicts itself. Fields: rule, and the figures that disagree."""

    code = "document_invalid"


class OutlierNeedsReason(Invalid):
    """The document is far from the month before: whoever approves it says why that is right. Fields: invoice_id, change, field."""

    code = "outlier_needs_reason"


class NoElectronicInvoice(NotFound):
    """EN 16931 has no XML for this document; PDF and CSV say it all. Fields: invoice, why ("decimals", "mixed", "rules")."""

    code = "no_electronic_invoice"


class CreditTooHigh(Refusal):
    """More would be credited than is left. Fields: requested_minor, creditable_minor, currency; line for a line."""

    code = "credit_above_invoice"


class DiscountTooHigh(Refusal):
    """More would be taken off a draft than its charges come to. Fields: amount_minor, limit_minor, currency."""

    code = "discount_too_high"


class SettlementTooHigh(Refusal):
    """More would be settled than is open. Fields: invoice_id, open_minor, amount_minor, currency."""

    code = "settlement_above_open"


class NotReady(Conflict):
    """A document's files are made within seconds of issue, and are not made yet. Fields: invoice_id."""

    code = "document_not_ready"


class RenderingFailed(Refusal):
    """Some documents could not be rendered in this run; they wait. Fields: invoice_ids, rendered_count, cause."""

    code = "rendering_failed"


class PrefixTaken(Conflict):
    """Documents were numbered with this prefix: another seller's, or of another kind. Fields: field, prefix, seller."""

    code = "prefix_taken"


class SellerChanged(Conflict):
    """Somebody else changed the seller since it was read. Fields: seller."""

    code = "seller_changed"


class TaxEvidenceMissing(Refusal):
    """Reverse charge without a VAT id that was found valid. Fields: vat_id, check."""

    code = "tax_evidence_missing"


class TaxEvidenceOld(Refusal):
    """The VAT id, or the provider's calculation, was looked at too long ago. Fields: vat_id, at, limit_days."""

    code = "tax_evidence_old"


class TaxMixed(Refusal):
    """Treatments that one document may not bear together (BR-O-11). Fields: categories; reason not_subject or jurisdictions."""

    code = "tax_mixed"


class TaxCalculationNeeded(Refusal):
    """The seller's taxes are worked out by a provider, who was not asked about this draft as it is. Fields: invoice_id, provider."""

    code = "tax_calculation_needed"


class ProFormaTooLong(Refusal):
    """More lines than are printed while somebody waits. Fields: lines, limit."""

    code = "pro_forma_too_long"


class ProFormaFailed(Refusal):
    """The worker that prints died or was too slow; nothing was stored. Fields: cause."""

    code = "pro_forma_failed"
