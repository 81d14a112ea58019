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
