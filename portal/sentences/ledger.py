"""What the refusals of the books and of rating say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "is_a_reversal": "A reversal cannot be reversed: post a new correction instead.",
    "nothing_to_reverse": "The transaction moved no money: there is nothing to reverse.",
    "held_elsewhere": "Charges, documents or refunds stand on this transaction: correct those instead.",
    "still_runs": "The accounting period still runs.",
    "not_the_last_closed": "Only the accounting period that was closed last can be reopened.",
    "unknown_sort": "The list cannot be sorted by that.",
    "out_of_range": lambda fields: f"The {fields.get('field', 'value')} is out of range.",
    "unknown_account": lambda fields: f"There is no ledger account of the name {fields.get('name')}.",
    "price_changed_after_rating": "The price was changed after usage had been rated with it.",
}
CODES: dict[str, Sentence] = {
    "ledger_conflict": "The same act was posted before with other content: nothing was changed.",
    "entry_refused": "The books have no place for this entry.",
    "not_reversible": "The transaction cannot be reversed.",
    "accounting_period": "The accounting period cannot be closed or reopened now.",
    "unposted_lines": "Some rated usage is not in the ledger yet: try again in a minute.",
    "charge_closed": "The charge belongs to another draft or invoice already.",
}
