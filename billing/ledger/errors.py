"""Refusals of the ledger."""

from billing.kernel.errors import Conflict, Refusal


class LedgerConflict(Conflict):
    """The same (type, source) was posted before with other content. Fields: type, source_type, source_id, transaction_id."""

    code = "ledger_conflict"


class EntryRefused(Refusal):
    """An entry, or a transaction, that the books have no place for. Fields: reason, and what it was about."""

    code = "entry_refused"


class NotReversible(Conflict):
    """The transaction cannot be mirrored: it is a mirror itself, or charges, documents or refunds stand on it.

    Fields: transaction_id, reason, and for `held_elsewhere` the ledger account's name.
    """

    code = "not_reversible"


class PeriodNotClosable(Conflict):
    """The accounting period still runs, or is not the one that may be reopened. Fields: month, reason."""

    code = "accounting_period"


class AboveHeld(Conflict):
    """More is to be taken from a book account of the tenant than stands there; `limit_minor` is what does."""

    code = "above_held"


class GrantSpent(Conflict):
    """Less is left of a promo grant than is to be used or taken back. Fields: grant_id (or none), amount_minor, limit_minor, currency."""

    code = "grant_spent"
