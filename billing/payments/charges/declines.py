"""What a decline means for the next try.

Stripe's words (https://docs.stripe.com/declines/codes, read 2026-11). Those that no retry can mend are the ones that Stripe itself
does not retry (https://docs.stripe.com/billing/revenue-recovery/smart-retries) and those whose next step there is another card.
Its own advice, `advice_code` do_not_try_again (https://docs.stripe.com/declines/card), counts before any list.
"""

from typing import Literal

Verdict = Literal["soft", "method", "request", "person"]
"""soft: the same method may be asked again later. method: never this method again. person: somebody must confirm or choose another.
request: what we asked for cannot be charged, by whatever method."""

NEVER_REACHED = "never_reached_provider"

_METHOD = frozenset(
    {
        # Never retried by Stripe.
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "stolen_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stop_payment_order",
        "highest_risk_level",
        "transaction_not_allowed",
        "do_not_try_again",
        # The card itself is at its end or cannot be used for this.
        "expired_card",
        "invalid_account",
        "invalid_number",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "card_not_supported",
        "currency_not_supported",
        "new_account_information_available",
        "restricted_card",
        "security_violation",
        "fraudulent",
        "merchant_blacklist",
        # Debits: the bank will not pay on this account again.
        "account_closed",
        "bank_account_restricted",
        "debit_not_authorized",
        "no_account",
        "charge_exceeds_source_limit",
        # The method is gone at the provider.
        "resource_missing",
        "payment_method_unactivated",
        "payment_intent_incompatible_payment_method",
    }
)
_PERSON = frozenset({"authentication_required", "payment_intent_authentication_failure", "mandate_invalid"})
_REQUEST = frozenset(
    {"amount_too_small", "amount_too_large", "invalid_amount", "invalid_request", "parameter_invalid_integer"}
)
# Stripe: present these to the customer as any other decline.
_UNSPOKEN = frozenset(
    {"fraudulent", "lost_card", "stolen_card", "pickup_card", "merchant_blacklist", "highest_risk_level"}
)


def verdict_of(code: str | None, *, is_final: bool = False) -> Verdict:
    """What follows from the provider's word for a decline; a word that nobody knows is soft, as most are."""
    if code in _PERSON:
        return "person"
    if code in _REQUEST:
        return "request"
    return "method" if is_final or code in _METHOD else "soft"


def told_as(code: str | None) -> str:
    """The word under which a customer may be told of it."""
    return "generic_decline" if code is None or code in _UNSPOKEN else code
