"""What the refusals of the books and of rating say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "still_runs": lambda fields: f"The month {fields.get('month')} still runs: books are closed after it has ended.",
    "not_the_last_closed": lambda fields: (
        f"{fields.get('month')} is not the last closed month: only that one opens again."
    ),
    "out_of_balance": lambda fields: (
        f"The books of {fields.get('month')} are out of balance: they are put right first."
    ),
    "is_a_reversal": "This transaction is a reversal itself: post the original fact again instead.",
    "already_reversed": lambda fields: f"This transaction is reversed already, by {fields.get('reversal_id')}.",
    "nothing_to_reverse": "This transaction moved no money: there is nothing to reverse.",
    "held_elsewhere": lambda fields: (
        f"This transaction moves {fields.get('ledger_account')}, which charges, invoices, refunds or disputes account for: "
        "correct it there, by correction usage, a credit note or a refund."
    ),
    "of_the_provider": "The payment provider's balance shows this movement, so it stands: a refund gives the money back.",
    "refund_request": "This is a step of a refund, which says what of its payment has gone: correct it there.",
    "unknown_pair": "Choose what to give or to take.",
    "only_gifts_expire": "Only a gift can have an end.",
    "in_the_past": "Choose a time that is still to come.",
    "gift_used": "Some of this gift is used: take back what is left of it instead.",
    "finding_closed": "This difference is gone already: the last run no longer found it.",
    "not_of_the_staff": "Choose somebody of the staff.",
    "unknown_sort": "The list cannot be sorted by that.",
    "out_of_range": lambda fields: f"The {fields.get('field', 'value')} is out of range.",
    "unknown_account": lambda fields: f"There is no ledger account of the name {fields.get('name')}.",
    "price_changed_after_rating": "The price was changed after usage had been rated with it.",
}
CODES: dict[str, Sentence] = {
    "above_held": lambda fields: (
        f"The amount is too large: {fields.get('limit', fields.get('limit_minor'))} stands in the {fields.get('ledger_account')}."
    ),
    "grant_spent": lambda fields: (
        f"Less is left of the gift than that: {fields.get('limit', fields.get('limit_minor'))}."
    ),
    "ledger_conflict": lambda fields: (
        f"This was posted before with other content, as transaction {fields.get('transaction_id')}."
    ),
    "entry_refused": lambda fields: f"The books have no place for this entry ({fields.get('reason')}).",
    "not_reversible": "The transaction cannot be reversed.",
    "accounting_period": "The accounting period cannot be closed or reopened now.",
    "unposted_lines": "Some rated usage is not in the ledger yet: try again in a minute.",
    "already_rated": lambda fields: (
        f"{fields.get('sku')} of {fields.get('account')} was rated with the price in force up to {fields.get('rated_until')}: "
        f"the change cannot begin at {fields.get('valid_from')}. Let it begin later, or correct by credit note."
    ),
    "already_invoiced": lambda fields: (
        f"{fields.get('period')} of {fields.get('account')} is invoiced: what its plan asks for in that month can no longer "
        f"change, here from {fields.get('valid_from')} on. Let the change begin in a later month, or correct by credit note."
    ),
    "charge_closed": "The charge belongs to another draft or invoice already.",
}
