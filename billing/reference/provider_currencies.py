"""How Stripe counts money, where that differs from ISO 4217 (docs.stripe.com/currencies, read 2026-10).

Ledger amounts are minor units of ISO 4217; only the adapter of the provider uses these. MGA has two decimals by ISO and none at
Stripe; ISK none by ISO and two at Stripe, of which the last two digits must be zero since 2023-04-14; three-decimal currencies
end in zero.
"""

from dataclasses import dataclass

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.money import Money

_NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD JOD KWD OMR TND"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Digits after the point that the provider counts, and the step its amounts must be a multiple of."""

    exponent: int
    step: int = 1


_SCALES: dict[str, Scale] = {
    **{code: Scale(exponent=0) for code in _NO_DECIMALS.split()},
    **{code: Scale(exponent=3, step=10) for code in _THREE_DECIMALS.split()},
    "ISK": Scale(exponent=2, step=100),
}


def stripe_scale(currency: str) -> Scale:
    """How Stripe counts a currency. Raises Invalid(reason="currency_not_payable") where neither its table nor ISO says two digits."""
    if currency in _SCALES:
        return _SCALES[currency]
    if money.exponent(currency) != 2:
        raise Invalid(field="currency", value=currency, reason="currency_not_payable")
    return Scale(exponent=2)


def require_payable(amount: Money) -> Money:
    """The amount itself. Raises Invalid(reason="not_payable", step_minor=) where Stripe cannot take it to the last digit."""
    step_minor = payable_step_minor(amount.currency)
    if amount.minor % step_minor:
        raise Invalid(
            field="amount",
            amount_minor=amount.minor,
            currency=amount.currency,
            step_minor=step_minor,
            reason="not_payable",
        )
    return amount


def payable_step_minor(currency: str) -> int:
    """The smallest amount Stripe can tell apart, in our minor units: mostly 1, for KWD 10, for MGA 100."""
    theirs, ours = stripe_scale(currency), _units(money.exponent(currency))
    return max(theirs.step * ours // _units(theirs.exponent), 1)


def to_stripe(amount: Money) -> int:
    """The amount as Stripe counts it: 5 ISK -> 500, 12.00 MGA -> 12. Exact, else Invalid (`require_payable`)."""
    require_payable(amount)
    return amount.minor * _units(stripe_scale(amount.currency).exponent) // _units(money.exponent(amount.currency))


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe calls `amount` as our money: 500 ISK -> 5, 12 MGA -> 1200 minor units. Stripe's lower case will do.

    Raises Invalid(reason="not_exact") where it holds a part that ISO has no unit for: it must not be rounded into the ledger.
    """
    currency = currency.upper()
    minor, rest = divmod(amount * _units(money.exponent(currency)), _units(stripe_scale(currency).exponent))
    if rest:
        raise Invalid(field="amount", value=amount, currency=currency, reason="not_exact")
    return Money(minor=minor, currency=currency)


def _units(exponent: int) -> int:
    return int(10**exponent)
