"""Refusals of metering. Lines and events that are refused in bulk are `Reject` values instead: one bad line stops nothing."""

from billing.kernel.errors import Conflict, Invalid, Refusal


class BrokenInput(Refusal):
    """A file that ends or breaks before its end. What was read before the break is stored; `read` says how much."""

    code = "broken_input"


class UnknownSource(Invalid):
    """No source of usage of that name."""

    code = "unknown_source"


class OtherContent(Conflict):
    """An id that was used before, now with other content: neither the old nor the new is touched."""

    code = "other_content"


class AlreadyReleased(Conflict):
    """An allocation that has ended can neither change nor end again."""

    code = "already_released"


class OutOfOrder(Conflict):
    """A change that lies before the allocation's last change."""

    code = "out_of_order"
