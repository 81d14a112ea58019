"""What the ledger's refusals say to a person."""

from portal import sentences

_REASONS: dict[str, sentences.Sentence] = {
    "still_runs": lambda fields: f"The month {fields.get('month')} still runs: books are closed after it has ended.",
    "not_the_last_closed": lambda fields: (
        f"{fields.get('month')} is not the last closed month: only that one opens again."
    ),
    "is_a_reversal": "This transaction is a reversal itself: post the original fact again instead.",
    "nothing_to_reverse": "This transaction moved no money: there is nothing to reverse.",
    "held_elsewhere": lambda fields: (
        f"This transaction moves {fields.get('ledger_account')}, which charges, invoices, refunds or disputes account for: "
        "correct it there, by correction usage, a credit note or a refund."
    ),
}
_CODES: dict[str, sentences.Sentence] = {
    "ledger_conflict": lambda fields: (
        f"This was posted before with other content, as transaction {fields.get('transaction_id')}."
    ),
    "entry_refused": lambda fields: f"The books have no place for this entry ({fields.get('reason')}).",
}


def load() -> None:
    """Register them once per process."""
    if not _loaded:
        sentences.register(reasons=_REASONS, codes=_CODES)
        _loaded.append(True)


_loaded: list[bool] = []
