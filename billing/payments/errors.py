"""Refusals of this room, and the two ways in which a call to a provider can fail."""

from billing.kernel.errors import Conflict, Invalid, Refusal


class WebhookRefused(Refusal):
    """An event that does not come from the provider, or cannot be read; `reason` says which."""

    code = "webhook_refused"


class ProviderMismatch(Refusal):
    """The provider's object contradicts our stored intent (amount, currency, reference, state): nothing is credited."""

    code = "provider_mismatch"


class NotPayable(Conflict):
    """The invoice cannot be paid: it is not issued, or nothing is open."""

    code = "invoice_not_payable"


class AmountOutOfRange(Invalid):
    """An amount below or above what may be paid; fields `min_minor`, `max_minor`, `currency`."""

    code = "amount_out_of_range"


class AboveRefundable(Refusal):
    """More than may leave: above the payment's refundable rest, or above refundable funds; `limit_minor` is what may."""

    code = "above_refundable"


class DisputedAccount(Refusal):
    """No refund while a dispute holds money of this billing account."""

    code = "refund_during_dispute"


class AboveAuthority(Refusal):
    """More than the person's role may ask for or allow, per refund or per day; `limit_minor` is what it may still."""

    code = "above_authority"


class ProviderRefused(Exception):
    """The provider answered no, for certain: nothing happened there. `reason` is a stable word, `detail` is the provider's."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail[:300]
        super().__init__(f"{reason}: {self.detail}")


class OutcomeUnknown(Exception):
    """The provider did not answer, or not clearly: the call may have had its effect. Look it up before anything else."""
