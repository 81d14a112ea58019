"""What kinds of movement mean to the books (money.md). Pure. A kind that is not here means nothing until a person says so.

https://docs.stripe.com/reports/balance-transaction-types
"""

from dataclasses import dataclass

RECEIVED = frozenset({"charge", "payment"})
RECEIVED_BACK = frozenset({"payment_failure_refund", "payment_reversal"})
RETURNED = frozenset({"refund", "payment_refund"})
RETURN_FAILED = frozenset({"refund_failure"})
PAID_OUT = frozenset({"payout", "payout_failure", "payout_cancel"})


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a person may book a movement as: the entry's kind, and the house's account on the other side of cash:stripe."""

    code: str
    words: str
    kind: str
    other: str


_FEES = Meaning(code="fees", words="Fees of the provider", kind="processor_fee", other="processor_fees")
_BANK = Meaning(code="bank", words="Money between the bank and the provider", kind="payout", other="cash:bank")
BY_TYPE: dict[str, Meaning] = {
    "stripe_fee": _FEES,
    "stripe_fx_fee": _FEES,
    "network_cost": _FEES,
    "topup": _BANK,
    "topup_reversal": _BANK,
    **dict.fromkeys(PAID_OUT, _BANK),
}
"""Type of movement -> its one fixed meaning, which two persons may book where the job may not."""

WHY = {
    "no_payment": "there is no payment of ours for it",
    "no_refund": "there is no refund of ours for it",
    "refund_not_booked": "the refund is not booked",
    "refund_under_way": "the refund is under way",
    "dispute_not_booked": "the dispute is not booked",
    "payout_not_booked": "the payout is not booked",
    "seller_unclear": "it does not say which seller's money it is",
    "unknown_kind": "no movement of that kind is booked without two persons",
    "amount_differs": "the ledger holds another amount",
    "fee_differs": "another fee was booked",
    "fee_not_booked": "its fee is not booked",
    "conversion_differs": "another conversion was booked",
    "booked_otherwise": "something else was booked under its id",
    "explained_twice": "what explains it explains another movement already",
}
"""Why a movement is not explained, as the end of a sentence."""

_WORDS = {
    "charge": "Payment",
    "payment": "Payment",
    "payment_failure_refund": "Payment that failed later",
    "payment_reversal": "Payment taken back",
    "refund": "Refund",
    "payment_refund": "Refund",
    "refund_failure": "Failed refund",
    "adjustment": "Adjustment",
    "payout": "Payout",
    "payout_failure": "Failed payout",
    "payout_cancel": "Canceled payout",
    "stripe_fee": "Fee of the provider",
    "stripe_fx_fee": "Fee of a conversion",
    "tax_fee": "Tax on fees",
    "topup": "Top-up of the balance",
    "topup_reversal": "Top-up taken back",
}


def words_of(type: str, *, is_dispute: bool = False) -> str:
    """What people call a movement of that type."""
    return "Dispute" if is_dispute else _WORDS.get(type, type.replace("_", " ").capitalize())
