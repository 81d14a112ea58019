"""Every topic there is: whom it concerns, whether the portal lists it, and which e-mail tells it. A topic that is not here fails a test.

One fact makes one mail: a payment is told by its receipt, also where it pays an invoice, and an approved refund by the one that
says it was made, which mostly follows within seconds.
"""

from dataclasses import dataclass
from typing import Literal

from billing.kernel.errors import Invalid

# billing: who looks after billing in the tenant. documents: they and the account's confirmed recipients. address: the one an access
# link was made for. recipient: an address that is asked to confirm. person: the user named in the payload. staff: operators who may
# decide the act, without the maker. maker: the operator who asked for it. disputes: operators who may answer disputes.
Audience = Literal["billing", "documents", "address", "recipient", "person", "staff", "maker", "disputes"]


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One kind of notice. `template` names the two parts in templates/emails/, None for what is told in the portal only.

    `carries` names the member of the payload with the id of the document whose PDF the mail brings.
    """

    name: str
    words: str
    audience: Audience
    template: str | None
    is_in_app: bool = False
    carries: str | None = None


_ALL = (
    Topic(name="access.invitation", words="Invitation", audience="address", template="access_invitation"),
    Topic(name="access.reset", words="Password reset", audience="address", template="access_reset"),
    Topic(name="access.changed", words="Access changed", audience="person", template="access_changed"),
    Topic(name="approval.requested", words="Approval asked for", audience="staff", template="approval_requested"),
    Topic(name="approval.decided", words="Approval decided", audience="maker", template="approval_decided"),
    Topic(name="budget.crossed", words="Budget reached", audience="billing", template="budget_crossed", is_in_app=True),
    Topic(name="dispute.opened", words="Dispute opened", audience="disputes", template="dispute"),
    Topic(name="dispute.evidence_due", words="Evidence due", audience="disputes", template="dispute"),
    Topic(name="dispute.won", words="Dispute won", audience="disputes", template="dispute"),
    Topic(name="dispute.lost", words="Dispute lost", audience="disputes", template="dispute"),
    Topic(
        name="payment.disputed",
        words="Payment disputed",
        audience="billing",
        template="payment_disputed",
        is_in_app=True,
    ),
    Topic(
        name="payment.dispute_ended",
        words="Dispute decided",
        audience="billing",
        template="payment_disputed",
        is_in_app=True,
    ),
    Topic(
        name="invoice.issued",
        words="Invoice issued",
        audience="documents",
        template="invoice_issued",
        is_in_app=True,
        carries="invoice_id",
    ),
    Topic(
        name="invoice.copy",
        words="Invoice sent again",
        audience="documents",
        template="invoice_issued",
        carries="invoice_id",
    ),
    Topic(
        name="invoice.reminder",
        words="Payment reminder",
        audience="documents",
        template="invoice_reminder",
        is_in_app=True,
        carries="invoice_id",
    ),
    Topic(name="invoice.paid", words="Invoice paid", audience="billing", template=None, is_in_app=True),
    Topic(
        name="credit_note.issued",
        words="Credit note issued",
        audience="documents",
        template="credit_note_issued",
        is_in_app=True,
        carries="credit_note_id",
    ),
    Topic(
        name="credit_note.copy",
        words="Credit note sent again",
        audience="documents",
        template="credit_note_issued",
        carries="credit_note_id",
    ),
    Topic(
        name="payment.received",
        words="Payment received",
        audience="billing",
        template=None,
        is_in_app=True,
    ),
    Topic(
        name="payment.failed",
        words="Automatic payment failed",
        audience="billing",
        template="payment_failed",
        is_in_app=True,
    ),
    Topic(
        name="payment.action_required",
        words="Automatic payment to be confirmed",
        audience="billing",
        template="payment_action_required",
        is_in_app=True,
    ),
    # The receipt of the payment tells it by mail.
    Topic(name="top_up.automatic", words="Wallet topped up", audience="billing", template=None, is_in_app=True),
    Topic(
        name="top_up.cap_reached",
        words="Cap of automatic top-ups reached",
        audience="billing",
        template="top_up_cap_reached",
        is_in_app=True,
    ),
    Topic(
        name="receipt.issued",
        words="Receipt issued",
        audience="documents",
        template="receipt_issued",
        carries="receipt_id",
    ),
    Topic(
        name="recipient.confirmation",
        words="Address to confirm",
        audience="recipient",
        template="recipient_confirmation",
    ),
    Topic(name="refund.requested", words="Refund asked for", audience="billing", template="refund", is_in_app=True),
    Topic(name="refund.approved", words="Refund approved", audience="billing", template=None, is_in_app=True),
    Topic(name="refund.sent", words="Refund on its way", audience="billing", template="refund", is_in_app=True),
    Topic(
        name="refund.action_required",
        words="Refund waits for details",
        audience="billing",
        template="refund",
        is_in_app=True,
    ),
    Topic(name="refund.rejected", words="Refund declined", audience="billing", template="refund", is_in_app=True),
    Topic(name="refund.succeeded", words="Refund made", audience="billing", template="refund", is_in_app=True),
    Topic(name="refund.failed", words="Refund failed", audience="billing", template="refund", is_in_app=True),
)
TOPICS = {topic.name: topic for topic in _ALL}
IN_APP = tuple(topic.name for topic in _ALL if topic.is_in_app)


def get_topic(name: str) -> Topic:
    """The topic of that name. Raises Invalid(unknown_topic)."""
    if name not in TOPICS:
        raise Invalid(field="topic", value=name[:60], reason="unknown_topic")
    return TOPICS[name]
