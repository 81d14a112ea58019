"""Refusals of this room."""

from billing.kernel.errors import Conflict


class PriceExists(Conflict):
    """Another price of the SKU is in force from that instant on: a price is superseded, never edited."""

    code = "price_exists"


class ProductExists(Conflict):
    """The SKU is sold already as something else, or the item under another SKU."""

    code = "product_exists"


class GateClosed(Conflict):
    """No fresh trial inside its limits speaks for the candidate, and no second person has let it in; `fault` says which."""

    code = "gate_closed"


class PlanExists(Conflict):
    """A plan of that code exists with another book, or a version of it begins at that instant with another book or terms."""

    code = "plan_exists"


class SubscriptionExists(Conflict):
    """The account already changes to another plan at that instant."""

    code = "subscription_exists"


class OverrideExists(Conflict):
    """The account already has another price of its own for that SKU from that instant on."""

    code = "override_exists"


class CommitmentOverlaps(Conflict):
    """Another commitment of the account runs at that time for one of the families. Fields: contract_id, name, starts_at, ends_at."""

    code = "commitment_overlaps"


class ReservationEnded(Conflict):
    """The reservation has ended already: its hours are matched, and no time is added or taken."""

    code = "reservation_ended"


class ReservationExists(Conflict):
    """A reservation of the account has this name already, with other facts."""

    code = "reservation_exists"
