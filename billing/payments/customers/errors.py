"""Refusals of this room."""

from billing.kernel.errors import Conflict, Refusal


class CustomerUnfit(Refusal):
    """The provider's customer cannot be this billing account's; `reason` says why, `customer_id` which."""

    code = "provider_customer_unfit"


class CustomerBusy(Conflict):
    """Something that began earlier is not ended yet: a payment of unknown outcome, or another change of the customer."""

    code = "provider_customer_busy"


class MethodGone(Conflict):
    """The saved method is removed, or hangs on another customer: it can be neither chosen nor charged."""

    code = "payment_method_gone"
