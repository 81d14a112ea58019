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
    "above_authority": lambda fields: (
        f"Your role may not go above {fields.get('limit', fields.get('limit_minor'))} for a refund."
    ),
    "dispute_deadline_passed": "The time to answer this dispute is over: the provider takes no evidence any more.",
    "dispute_not_answerable": "This dispute waits for no answer.",
    "evidence_changed": "Somebody has changed the evidence meanwhile: look at it as it is now, and send it again.",
    "refund_during_dispute": "There can be no refund while a dispute holds money of this billing account.",
}
REASONS: dict[str, Sentence] = {
    "deadline_passed": "The time to answer this dispute is over: the provider takes no evidence any more.",
    "dispute_answered": "This dispute waits for no answer any more.",
    "answer_under_way": "An answer to this dispute is on its way or has arrived already: there is only one.",
    "inquiry_is_refunded": "An inquiry cannot be accepted: refund the payment, which ends it, or answer it.",
    "evidence_changed": "Somebody has changed the evidence meanwhile: look at it as it is now, and send it again.",
    "evidence_empty": "There is no evidence yet: put some together first.",
    "unknown_field": "The provider has no such field.",
    "evidence_text_too_long": lambda fields: (
        f"This text is too long: {fields.get('length')} characters, at most {fields.get('limit')}."
    ),
    "evidence_texts_too_long": lambda fields: (
        f"All texts together are too long: {fields.get('length')} characters, at most {fields.get('limit')}."
    ),
    "evidence_file_empty": "The file is empty.",
    "evidence_file_too_large": "The file is too large: at most 5 MB.",
    "evidence_files_too_large": "All files together are too large: at most 4.5 MB.",
    "evidence_file_type": "Only PDF, JPEG and PNG files are taken.",
    "dispute_open": "A dispute of this payment is open already.",
    "dispute_not_open": "The dispute cannot be decided so.",
    "nothing_to_dispute": "Nothing was paid here.",
    "one_subject_only": "Name an invoice or a payment.",
    "not_a_day": "Write a day such as 2026-11-21.",
    "value_date_ahead": "The value date is still to come: book the line when the bank has.",
    "value_date_old": "The value date is more than a year ago: look at the line again.",
    "line_booked": "This line of the statement is booked already.",
    "invoice_named_twice": lambda fields: f"Invoice {fields.get('value')} is named twice.",
    "transfer_reversed": "This booking was taken back already.",
    "transfer_refunded": "Some of its money was refunded: the booking stands.",
    "bank_transfer": "A booking from a bank statement is taken back on its own page.",
    "above_rest": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} is left to refund, "
        "counting requests that wait."
    ),
    "above_funds": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} in the wallet can leave. "
        "What has been spent on invoices is given back by a credit note first."
    ),
    "above_creditable": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} of the invoice can still be credited, "
        "counting requests that wait."
    ),
    "invoice_open": (
        "Something is still open on this invoice, and a credit goes against that first: ask for a credit note before money "
        "is refunded."
    ),
    "above_role_refund": lambda fields: (
        f"Your role may go up to {fields.get('limit', fields.get('limit_minor'))} for one refund: somebody with a higher "
        "limit must do it."
    ),
    "above_role_day": lambda fields: (
        f"{fields.get('limit', fields.get('limit_minor'))} is left of what your role may do in refunds today: somebody else "
        "must do it, or you tomorrow."
    ),
    "day_below_refund": "The limit of a day cannot be below the limit of one refund.",
    "limit_unchanged": "These limits are in force already.",
    "payee_needed": "Say whose bank account the money goes to: a name and an IBAN.",
    "payee_not_needed": "A bank account is named only where the money goes by bank transfer.",
    "not_paid_by_card": "This payment came by bank transfer: it goes back by bank transfer.",
    "card_first": (
        "Money paid by card goes back to the card. A bank transfer is possible once the card has not taken it."
    ),
    "transfer_confirmed": "This transfer is recorded already, with another day or reference.",
    "transfer_day_outside": lambda fields: f"The day must lie between {fields.get('first')} and today.",
    "not_a_transfer": "This refund does not go by bank transfer.",
    "refund_in_other_state": lambda fields: f"This is not possible any more: the refund is {fields.get('state')}.",
    "refund_not_cancellable": "The provider can cancel a refund only while it waits for details from the customer.",
    "nothing_to_ask": "The provider was not asked for this refund.",
    "already_adopted": "Somebody has taken up this refund already.",
    "nothing_open": "Nothing is open on this invoice.",
    "charge_under_way": (
        "The saved payment method is being charged for this invoice at this moment. Wait for the outcome: nothing is paid twice."
    ),
    "no_payment_method": "Save a payment method as default first: there is nothing to charge.",
    "method_refused": lambda fields: (
        f"The bank said that {fields.get('label', 'the default method')} must not be charged again: choose another one first."
    ),
    "top_up_without_amount": "Enter an amount, such as 50.00.",
    "cap_below_amount": lambda fields: f"The cap is less than one top-up of {fields.get('amount')}.",
    "cap_out_of_range": lambda fields: f"The cap is too large: at most {fields.get('max')}.",
    "threshold_out_of_range": lambda fields: f"The threshold is too large: at most {fields.get('max')}.",
    "unknown_charge_day": "The first charge is on the due date, at issue, or never.",
    "retry_before_due": "A charge is tried again after the due date only: enter days such as 1, 3, 7.",
    "retries_without_charge": "Without a first charge there is nothing to try again: leave the days empty.",
    "restrictions_come_later": "Calendars cannot restrict accounts yet.",
    "unknown_step": lambda fields: f"There is no step “{fields.get('value')}” in a calendar.",
    "day_out_of_range": "Days are from 30 before to 120 after the due date.",
    "day_named_twice": "A day stands twice in the calendar.",
    "too_many_days": lambda fields: f"At most {fields.get('most')} days.",
    "not_days": lambda fields: f"“{fields.get('value')}” is not a number of days: enter days such as 1, 3, 7.",
    "dunning_reason": lambda fields: f"Give a reason of at most {fields.get('most')} characters.",
    "changed_meanwhile": "This was changed meanwhile: look at what is in force now, and decide again.",
    "form_key_missing": "The form was sent without its key: reload the page and send it again.",
    "form_key_reused": "This form was sent before with other content: reload the page and look at what was stored.",
    "not_positive": "Enter an amount above zero.",
    "not_payable": lambda fields: (
        f"Cards cannot be charged that amount in {fields.get('currency')}: use steps of "
        f"{fields.get('step', fields.get('step_minor'))}."
    ),
    "currency_not_payable": lambda fields: f"Cards cannot be charged in {fields.get('value')}.",
    "unknown_purpose": "A payment is for top_up or for an invoice.",
    "unknown_refund_mode": "A refund goes to the card or the bank account of a payment, or as credit on an invoice.",
    "not_an_invoice": "A credit note cannot be refunded.",
    "provider_not_configured": lambda fields: (
        f"The payment provider {fields.get('value')} is not configured: set its keys first."
    ),
    "checkout_not_open": "This checkout is over.",
    "reason_missing": lambda fields: f"Say why, in 1 to {fields.get('limit', 500)} characters.",
    "not_retryable": "Trying again changes nothing: this event has no effect here.",
    "not_failed": lambda fields: f"Only a failed event can be closed; this one is {fields.get('state')}.",
    "already_ended": lambda fields: f"Nothing is left to decide about this payment: it is {fields.get('state')}.",
    "payment_credited": "This payment has been credited: it cannot be closed any more.",
    "given_back": (
        "The provider has refunded this payment, or it is disputed: crediting it would give the money twice. Close it instead."
    ),
    "no_account_of_that_code": lambda fields: f"There is no billing account with the code “{fields.get('value')}”.",
    "unknown_invoice_of_account": "That account has no issued invoice with this number.",
    "no_fixed_meaning": (
        "A movement of that kind has no fixed meaning: explain the difference in reconciliation, or correct the ledger."
    ),
    "movement_explained": "This movement is explained already.",
    "nothing_to_pay_out": "Nothing is available to be paid out.",
    "payout_failed": "This payout has failed already.",
    "signature_missing": "The signature header is missing.",
    "signature_malformed": "The signature header cannot be read.",
    "signature_wrong": "The signature does not belong to this body.",
    "timestamp_out_of_range": "The signature was made more than 300 seconds before or after now.",
    "body_too_large": "The body is larger than 1 MiB.",
    "not_json": "The body is not JSON.",
    "not_an_event": "The body is not an event with an id, a type and an object.",
}
