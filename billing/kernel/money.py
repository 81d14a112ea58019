"""Money at rest: an integer of minor units beside a three-letter currency. Never a float, never a bare number."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from billing.kernel.errors import Invalid

# ISO 4217 list one (SIX, 2026-01-01): currencies whose minor unit is not a hundredth, and those that are in use.
_EXPONENT_0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENT_3 = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENT_4 = "CLF UYW"
_EXPONENT_2 = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP "
    "COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL "
    "THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in ((0, _EXPONENT_0), (2, _EXPONENT_2), (3, _EXPONENT_3), (4, _EXPONENT_4))
    for code in codes.split()
}
MAX_MINOR = 10**15
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")


def exponent(currency: str) -> int:
    """Digits after the point of a currency's minor unit, by ISO 4217. Raises Invalid(field="currency") if unknown."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise Invalid(field="currency", value=currency, reason="unknown_currency") from None


def currencies() -> frozenset[str]:
    """All currency codes that can hold money here."""
    return frozenset(_EXPONENTS)


@dataclass(frozen=True, kw_only=True, order=False)
class Money:
    """An amount in minor units of one currency; sums across currencies are refused."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if type(self.minor) is not int:  # a float or a bool slips past a type checker at a border
            raise TypeError("minor units are an int")

    def __add__(self, other: "Money") -> "Money":
        return Money(minor=self.minor + self._same(other).minor, currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(minor=self.minor - self._same(other).minor, currency=self.currency)

    def __neg__(self) -> "Money":
        return Money(minor=-self.minor, currency=self.currency)

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise Invalid(field="currency", value=other.currency, expected=self.currency, reason="currency_mismatch")
        return other

    def to_decimal(self) -> Decimal:
        """The amount in major units, exact: 1234 USD -> Decimal("12.34")."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))


def parse(text: str, currency: str) -> Money:
    """Read a plain decimal of major units ("12.34") as exact minor units.

    Our own parser: others accept "1_000", Arabic digits and "1e3". Raises Invalid(field="amount") for anything but plain
    ASCII decimals with at most the currency's digits after the point and at most 10**15 minor units.
    """
    digits = exponent(currency)
    text = text.strip()
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise Invalid(field="amount", value=text[:40], reason="not_a_plain_decimal")
    try:
        scaled = Decimal(text).scaleb(digits)
    except InvalidOperation:
        raise Invalid(field="amount", value=text[:40], reason="not_a_plain_decimal") from None
    if scaled != scaled.to_integral_value():
        raise Invalid(field="amount", value=text, currency=currency, digits=digits, reason="too_many_decimals")
    if abs(scaled) > MAX_MINOR:
        raise Invalid(field="amount", value=text, limit_minor=MAX_MINOR, reason="too_large")
    return Money(minor=int(scaled), currency=currency)
