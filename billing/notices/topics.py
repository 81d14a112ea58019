"""Every topic there is: whom it concerns, whether the portal lists it, and which e-mail tells it. A topic that is not here fails a test.

One fact makes one mail: an invoice paid by card is told by the payment's, and an approved refund by the one that says it was made,
which mostly follows within seconds.
"""

from dataclasses import dataclass
from typing import Literal

from billing.kernel.errors import Invalid

# billing: who looks after billing in the tenant. address: the one an access link was made for. person: the user named in the
# payload. staff: operators who may decide the act, without the maker. maker: the operator who asked for it.
Audience = Literal["billing", "address", "person", "staff", "maker"]


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One kind of notice. `template` names the two parts in templates/emails/, None for what is told in the portal only."""

    name: str
    words: str
    audience: Audience
    template: str | None
    is_in_app: bool = False


_ALL = (
    Topic(name="access.invitation", words="Invitation", audience="address", template="access_invitation"),
    Topic(name="access.reset", words="Password reset", audience="address", template="access_reset"),
    Topic(name="access.changed", words="Access changed", audience="person", template="access_changed"),
    Topic(name="approval.requested", words="Approval asked for", audience="staff", template="approval_requested"),
    Topic(name="approval.decided", words="Approval decided", audience="maker", template="approval_decided"),
    Topic(name="budget.crossed", words="Budget reached", audience="billing", template="budget_crossed", is_in_app=True),
    Topic(name="invoice.issued", words="Invoice issued", audience="billing", template="invoice_issued", is_in_app=True),
    Topic(name="invoice.paid", words="Invoice paid", audience="billing", template=None, is_in_app=True),
    Topic(
        name="credit_note.issued",
        words="Credit note issued",
        audience="billing",
        template="credit_note_issued",
        is_in_app=True,
    ),
    Topic(
        name="payment.received",
        words="Payment received",
        audience="billing",
        template="payment_received",
        is_in_app=True,
    ),
    Topic(name="refund.requested", words="Refund asked for", audience="billing", template="refund", is_in_app=True),
    Topic(name="refund.approved", words="Refund approved", audience="billing", template=None, is_in_app=True),
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
