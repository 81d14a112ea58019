"""What the refusals of payments say to a person, on pages, in the API and on the command line alike."""

from typing import Any

from portal.sentences.words import Sentence


def _out_of_range(fields: dict[str, Any]) -> str:
    if fields["amount_minor"] < fields["min_minor"]:
        return f"The amount is too small: at least {fields.get('min', fields['min_minor'])}."
    return f"The amount is too large: at most {fields.get('max', fields['max_minor'])}."


CODES: dict[str, Sentence] = {
    "webhook_refused": "The event cannot be accepted.",
    "provider_mismatch": "What the payment provider holds differs from what was asked: nothing was credited.",
    "invoice_not_payable": "Nothing is open on this invoice.",
    "amount_out_of_range": _out_of_range,
    "above_refundable": lambda fields: f"At most {fields.get('limit', fields.get('limit_minor'))} can be refunded.",
    "refund_during_dispute": "There can be no refund while a dispute holds money of this billing account.",
}
REASONS: dict[str, Sentence] = {
    "above_rest": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} is left to refund, "
        "counting requests that wait."
    ),
    "above_funds": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} in the wallet can leave. "
        "What has been spent on invoices is given back by a credit note first."
    ),
    "nothing_open": "Nothing is open on this invoice.",
    "form_key_missing": "The form was sent without its key: reload the page and send it again.",
    "form_key_reused": "This form was sent before with other content: reload the page and look at what was stored.",
    "not_positive": "Enter an amount above zero.",
    "not_payable": lambda fields: (
        f"Cards cannot be charged that amount in {fields.get('currency')}: use steps of "
        f"{fields.get('step', fields.get('step_minor'))}."
    ),
    "currency_not_payable": lambda fields: f"Cards cannot be charged in {fields.get('value')}.",
    "unknown_purpose": "A payment is for top_up or for an invoice.",
    "unknown_refund_mode": "A refund goes to the card of a payment, or as credit on an invoice.",
    "not_an_invoice": "A credit note cannot be refunded.",
    "provider_not_configured": lambda fields: (
        f"The payment provider {fields.get('value')} is not configured: set its keys first."
    ),
    "checkout_not_open": "This checkout is over.",
    "reason_missing": lambda fields: f"Say why, in 1 to {fields.get('limit', 500)} characters.",
    "not_retryable": "Trying again changes nothing: this event has no effect here.",
    "not_failed": lambda fields: f"Only a failed event can be closed; this one is {fields.get('state')}.",
    "already_ended": lambda fields: f"Nothing is left to decide about this payment: it is {fields.get('state')}.",
    "already_credited": "This payment has been credited: it cannot be closed any more.",
    "given_back": (
        "The provider has refunded this payment, or it is disputed: crediting it would give the money twice. Close it instead."
    ),
    "unknown_invoice_of_account": "That account has no issued invoice with this number.",
    "signature_missing": "The signature header is missing.",
    "signature_malformed": "The signature header cannot be read.",
    "signature_wrong": "The signature does not belong to this body.",
    "timestamp_out_of_range": "The signature was made more than 300 seconds before or after now.",
    "body_too_large": "The body is larger than 1 MiB.",
    "not_json": "The body is not JSON.",
    "not_an_event": "The body is not an event with an id, a type and an object.",
}
