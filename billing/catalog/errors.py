"""Refusals of this room."""

from billing.kernel.errors import Conflict


class PriceExists(Conflict):
    """The book already has another price of the SKU from that instant on: a price is superseded, never edited."""

    code = "price_exists"


class PlanExists(Conflict):
    """A plan of that code exists with another book, or a version of it begins at that instant with another book."""

    code = "plan_exists"


class SubscriptionExists(Conflict):
    """The account already changes to another plan at that instant."""

    code = "subscription_exists"
