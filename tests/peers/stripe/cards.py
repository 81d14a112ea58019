"""Stripe's test cards: by number at the hosted page, by name (`pm_card_visa`) over the API. https://docs.stripe.com/testing"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A card and what its bank says to a charge."""

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    code: str | None = None  # the bank declines with this
    decline_code: str | None = None
    message: str = ""
    asks: str = "never"  # for authentication: "never", "until_set_up", "always"
    is_attachable: bool = True
    then: str = ""  # what its bank does after it was charged: a dispute of that reason, "inquiry", or "warning"
    refund: str = "succeeded"  # "failed": it succeeds, then fails; "pending": it is pending, then succeeds


def _declined(name: str, number: str, decline_code: str, *, is_attachable: bool = False) -> Card:
    message = {
        "insufficient_funds": "Your card has insufficient funds.",
        "generic_decline": "Your card was declined.",
    }.get(decline_code, "Your card was declined.")
    return Card(
        name,
        number,
        code="card_declined",
        decline_code=decline_code,
        message=message,
        is_attachable=is_attachable,
    )


def _faulty(name: str, number: str, code: str, message: str) -> Card:
    return Card(name, number, code=code, decline_code=code, message=message, is_attachable=False)


CARDS = (
    Card("visa", "4242424242424242"),
    Card("visa_debit", "4000056655665556", funding="debit"),
    Card("mastercard", "5555555555554444", brand="mastercard"),
    Card("amex", "378282246310005", brand="amex"),
    Card("de", "4000002760000016", country="DE"),
    _declined("chargeDeclined", "4000000000000002", "generic_decline"),
    _declined("chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    _declined("chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    _declined("chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    _declined("chargeCustomerFail", "4000000000000341", "generic_decline", is_attachable=True),
    _faulty("chargeDeclinedExpiredCard", "4000000000000069", "expired_card", "Your card has expired."),
    _faulty(
        "chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    _faulty(
        "chargeDeclinedProcessingError",
        "4000000000000119",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    Card("authenticationRequiredOnSetup", "4000002500003155", asks="until_set_up"),
    Card("authenticationRequired", "4000002760003184", asks="always"),
    Card("threeDSecure2Required", "4000000000003220", asks="always"),
    Card("createDispute", "4000000000000259", then="fraudulent"),
    Card("createDisputeProductNotReceived", "4000000000002685", then="product_not_received"),
    Card("createDisputeInquiry", "4000000000001976", then="inquiry"),
    Card("createIssuerFraudRecord", "4000000000005423", then="warning"),
    Card("refundFail", "4000000000005126", refund="failed"),
    Card("pendingRefund", "4000000000007726", refund="pending"),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_NAME = {f"pm_card_{card.name}": card for card in CARDS}
VISA, BROKE = BY_NAME["pm_card_visa"], BY_NAME["pm_card_chargeDeclinedInsufficientFunds"]
