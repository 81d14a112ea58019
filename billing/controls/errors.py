"""Refusals of controls. Invalid with a stable `reason` serves the forms; there is no other so far."""

from billing.kernel.errors import Conflict


class BudgetNameTaken(Conflict):
    """The account has an active budget of this name. Fields: name."""

    code = "budget_name_taken"
