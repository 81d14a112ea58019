"""Why a saved method was not charged, in words: the provider's codes as people understand them."""

_DECLINES = {
    "insufficient_funds": "there is not enough money on the account behind it",
    "withdrawal_count_limit_exceeded": "its limit is used up",
    "card_velocity_exceeded": "its limit is used up",
    "expired_card": "the card has expired",
    "incorrect_number": "its number is not right",
    "invalid_number": "its number is not right",
    "invalid_account": "the account behind it is not valid",
    "account_closed": "the account behind it is closed",
    "no_account": "the account behind it is not known to the bank",
    "debit_not_authorized": "the bank does not allow debits from it",
    "card_not_supported": "it cannot be used for this kind of payment",
    "currency_not_supported": "it cannot be used in this currency",
    "transaction_not_allowed": "it cannot be used for this kind of payment",
    "revocation_of_authorization": "the permission to charge it was taken back at the bank",
    "revocation_of_all_authorizations": "the permission to charge it was taken back at the bank",
    "authentication_required": "the bank wants it confirmed",
    "payment_intent_authentication_failure": "it was not confirmed",
    "processing_error": "the bank could not be reached",
    "issuer_not_available": "the bank could not be reached",
    "reenter_transaction": "the bank could not be reached",
    "try_again_later": "the bank asked to try again later",
    "amount_too_small": "the amount is too small to be charged",
    "amount_too_large": "the amount is too large to be charged",
    "resource_missing": "the payment provider does not know it any more",
    "never_reached_provider": "the payment provider could not be reached",
    "canceled": "it was cancelled at the payment provider",
}


def decline(code: str | None) -> str:
    """Why a method was not charged, to stand behind a comma or a colon: "the card has expired"."""
    return _DECLINES.get(code or "", "the bank gave no reason")
