"""How Stripe counts money and the least and most it charges. https://docs.stripe.com/currencies

A second reading beside billing/reference/provider_currencies.py, on purpose: the peer must not repeat a mistake of ours.
"""

from tests.peers.stripe.errors import InvalidParameter

THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
# Amounts must be a multiple. ISK keeps two digits for old callers, of which the last two are zero.
STEPS = {"isk": 100} | dict.fromkeys(THREE_DECIMALS, 10)
_LEAST = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
_MOST = 99_999_999


def check(currency: str, amount: int | None = None, *, param: str = "amount") -> str:
    """The currency in lower case. Raises InvalidParameter for what Stripe would not charge."""
    code = currency.lower()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise InvalidParameter(f"Invalid currency: {currency}.", param="currency")
    if amount is None:
        return code
    if amount > _MOST:
        raise InvalidParameter(f"Amount must be no more than {_MOST} in {code}", param=param, code="amount_too_large")
    if amount < _LEAST.get(code, 1):
        raise InvalidParameter(
            f"Amount must be at least {_LEAST[code]} in {code}", param=param, code="amount_too_small"
        )
    check_step(code, amount, param=param)
    return code


def check_step(code: str, amount: int, *, param: str = "amount") -> None:
    """Raises InvalidParameter for a part of a unit that the currency does not have at Stripe."""
    step = STEPS.get(code, 1)
    if amount % step:
        raise InvalidParameter(
            f"Invalid amount: amounts in {code} must be a multiple of {step}", param=param, code="invalid_charge_amount"
        )
