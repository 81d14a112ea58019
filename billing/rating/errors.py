"""Refusals of rating."""

from billing.kernel.errors import Conflict


class UnpostedLines(Conflict):
    """Rated lines are not in the ledger yet: post the account first."""

    code = "unposted_lines"


class ChargeClosed(Conflict):
    """The charge already belongs to another draft or invoice."""

    code = "charge_closed"


class AlreadyRated(Conflict):
    """Usage that starts in the new price's time was rated with the old one: begin later, or correct by credit note."""

    code = "already_rated"


class AlreadyInvoiced(Conflict):
    """A period that is invoiced would be asked for other fees, minimums, gifts or percentages. Fields: account, period, valid_from."""

    code = "already_invoiced"
