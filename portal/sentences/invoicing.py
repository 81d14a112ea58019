"""What the refusals of invoicing and budgets say."""

from typing import Any

from portal.sentences.words import Sentence


def _money(fields: dict[str, Any], name: str) -> str:
    return str(fields.get(name, fields.get(f"{name}_minor", "")))


_NO_NUMBER = "The seller has neither a VAT id nor a tax number"
# What a rule of EN 16931 means where master data can break it; every other is a figure that another contradicts.
_RULES = {
    "BR-06": "The name of the seller or the buyer says nothing",
    "BR-CL-14": "The country of the seller or the buyer is not known",
    "BR-S-02": _NO_NUMBER,
    "BR-Z-02": _NO_NUMBER,
    "BR-E-02": _NO_NUMBER,
    "BR-AE-02": "A reverse charge needs the VAT ids of both sides",
    "BR-IC-02": "A supply inside the Union needs the VAT ids of both sides",
    "BR-G-02": "An export needs the seller's VAT id",
    "BR-29": "The billing period ends before it starts",
    "BR-30": "The period of a line ends before it starts",
}
_NO_XML = {
    "decimals": "There is no electronic invoice in a currency with more than two decimals: take the PDF or the CSV.",
    "mixed": "There is no electronic invoice of lines of which only some are subject to VAT: take the PDF or the CSV.",
    "rules": "There is no electronic invoice of this document: take the PDF or the CSV.",
}


REASONS: dict[str, Sentence] = {
    "no_vat_rate": lambda fields: f"There is no VAT rate for {fields.get('country', 'this country')} on that day.",
    "not_a_sha256": "A SHA-256 is 64 characters, 0 to 9 and a to f.",
    "nothing_chosen": "Choose what is to be credited.",
    "one_way_to_credit": "Credit an amount, lines, or the whole: one of them.",
    "credit_the_rest": "The rest is smaller than can be split: credit the whole of it.",
    "not_percentages": "Thresholds are one to ten percentages from 1 to 1000, such as 50, 80, 100.",
    "unknown_line": lambda fields: f"The invoice has no line {fields.get('value')}.",
    "other_currency": lambda fields: (
        f"The account is billed in {fields.get('expected')}: a commitment in {fields.get('value')} could never be drawn down."
    ),
    "ends_before_start": "It must end after it starts.",
    "term_too_long": "A commitment runs for at most ten years.",
    "unknown_family": lambda fields: f"Nothing is sold under {fields.get('value')}.",
    "no_discount_on_a_sale": "The sale of a commitment takes no discount: agree on another amount.",
    "no_discount_on_a_credit_note": "A credit note takes no discount: it gives back what was billed too much.",
    "sale_not_reissued": "The sale of a commitment is not billed again: credit it, and sell the commitment anew.",
    "already_credited": "Something of this invoice was credited already, so it cannot be billed again whole: credit the rest of it.",
    "nothing_to_correct": "Neither the parties nor the tax are other than on the invoice: correct the billing profile first.",
    "commitment_sold": "Its sale is drafted or issued: void the draft, or credit the invoice.",
    "commitment_prices_include_tax": "The account's prices include tax: a commitment is agreed without it and cannot be sold to it.",
    "commitment_withdrawn": "The commitment was withdrawn: agree on a new one.",
    "reason_needed": "Say why: the reason is printed and kept.",
}
CODES: dict[str, Sentence] = {
    "pro_forma_too_long": lambda fields: (
        f"A pro forma has at most {fields.get('limit')} lines, and this has {fields.get('lines')}: read it on the page."
    ),
    "pro_forma_failed": "The pro forma could not be printed just now. Try again in a minute.",
    "prefix_taken": lambda fields: (
        f"Numbers that begin with {fields.get('prefix')} belong to other documents of the seller {fields.get('seller')}: choose another prefix."
    ),
    "seller_changed": "Somebody else changed this seller while you were writing: look at it again, then make your change.",
    "tax_evidence_missing": lambda fields: (
        f"Reverse charge needs a VAT id that was found valid: {fields.get('vat_id')} was not"
        f"{', VIES has not confirmed it' if fields.get('check') == 'vies' else ''}. Ask VIES, or record a look of your own."
    ),
    "tax_evidence_old": lambda fields: (
        f"What proves the tax is older than {fields.get('limit_days')} days: it is of {str(fields.get('at', ''))[:10]}. Have it looked at again."
    ),
    "tax_mixed": "What is billed is partly not subject to VAT and partly taxed, or by two countries: one document cannot bear both.",
    "tax_calculation_needed": "The tax provider has not been asked about this draft as it is now. It is asked within minutes.",
    "invoice_not_approved": lambda fields: f"The draft is not approved: it is {fields.get('state', 'a draft')}.",
    "invoice_not_a_draft": lambda fields: (
        "Only drafts can be changed or voided: an issued invoice is corrected by a credit note"
        + (
            f" (its own page, or POST /api/v1/billing/invoices/{fields['number']}/credit-notes)."
            if fields.get("number")
            else "."
        )
    ),
    "outlier_needs_reason": "This document is more than three times the month before, or less than a third of it: say why that is right.",
    "usage_without_price": lambda fields: (
        f"{fields.get('records')} usage records of {fields.get('account')} wait for a price and are on no document."
    ),
    "period_not_ended": lambda fields: f"The period {fields.get('period')} still runs until {fields.get('ends_at')}.",
    "draft_outdated": "The draft no longer says what the books say: void it and generate it again.",
    "draft_dearer": lambda fields: (
        f"{_money(fields, 'approved')} was approved and {_money(fields, 'total')} would be issued, because a gift or a commitment no "
        "longer covers what it did. It is a draft again with the new total: look at it, and approve it anew."
    ),
    "profile_incomplete": lambda fields: f"The billing profile is incomplete: {fields.get('missing')} is missing.",
    "negative_total": "The charges sum below zero: that is a matter for a credit note.",
    "document_invalid": lambda fields: (
        f"{_RULES.get(str(fields.get('rule')), 'The document contradicts itself')} (rule {fields.get('rule')}):"
        " nothing was issued."
    ),
    "no_electronic_invoice": lambda fields: _NO_XML.get(str(fields.get("why")), _NO_XML["rules"]),
    "credit_above_invoice": lambda fields: f"At most {_money(fields, 'creditable')} is left to credit.",
    "commitment_overlaps": lambda fields: (
        f"The commitment {fields.get('name')} runs then for the same charges, from {fields.get('starts_at')} to {fields.get('ends_at')}."
    ),
    "discount_too_high": lambda fields: f"At most {_money(fields, 'limit')} is left on the draft to take off.",
    "settlement_above_open": lambda fields: f"Only {_money(fields, 'open')} is open on this invoice.",
    "rendering_failed": "Some documents could not be rendered: they wait and are tried again.",
    "budget_name_taken": "There is an active budget of this name already.",
}
