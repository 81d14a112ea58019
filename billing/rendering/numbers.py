"""Figures as text: money, prices, quantities, shares. Exact digit by digit, so a figure here is the figure in the books."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, Protocol

from babel import Locale, UnknownLocaleError, units
from babel.numbers import format_compact_decimal

from billing.kernel.money import exponent
from billing.kernel.rounding import half_up

MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
EN_DASH = "\N{EN DASH}"
ROUNDED = "\N{ALMOST EQUAL TO}" + NBSP
PRICE_PLACES = 12
MICRO = 1_000_000
PICO = 10**12
Exact = int | Decimal | Fraction


class MoneyLike(Protocol):
    """Anything with minor units and a currency; billing.kernel.money.Money is one."""

    @property
    def minor(self) -> int: ...
    @property
    def currency(self) -> str: ...


@lru_cache(maxsize=64)
def locale_of(code: str) -> Locale:
    """Babel's locale for "en", "de-CH" or "fr_FR"; English for one that Babel does not know."""
    try:
        return Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def money(minor: int, currency: str, *, locale: str = "en", signed: bool = False, trim: bool = False) -> str:
    """An amount of minor units with its ISO code: 123456 USD is "USD 1,234.56", in German "1.234,56 USD".

    The code is written and never a symbol: "$" names some twenty currencies. With `signed`, credits show their plus.
    `trim` leaves out the digits after the point when all are zero: for the axis of a chart, never for a figure.
    Raises Invalid for a currency that ISO 4217 does not know.
    """
    figure = amount(minor, currency, locale=locale, signed=signed, trim=trim)
    return with_code(figure, currency, locale=locale)


def of(value: MoneyLike, *, locale: str = "en", signed: bool = False) -> str:
    """`money` of a Money."""
    return money(value.minor, value.currency, locale=locale, signed=signed)


def amount(minor: int, currency: str, *, locale: str = "en", signed: bool = False, trim: bool = False) -> str:
    """The figure alone, for a column whose heading names the currency: -5 JPY is "−5", 1 KWD is "0.001"."""
    places = exponent(currency)
    exact = Fraction(_int(minor), 10**places)
    if trim and exact.denominator == 1:
        places = 0
    return _plus(minor, signed) + decimal(exact, places=places, trim=False, locale=locale)


def axis_money(minor: Exact, currency: str, *, locale: str = "en") -> str:
    """An amount for the axis of a chart: no zero cents, and from a million on in the locale's short form ("USD 2.5M").

    Never for a figure: what a short form leaves out is not marked.
    """
    major = Fraction(minor) / 10 ** exponent(currency)
    if abs(major) < 1_000_000:
        return money(int(minor), currency, locale=locale, trim=True)
    short = format_compact_decimal(
        Decimal(int(major)), format_type="short", locale=locale_of(locale), fraction_digits=2
    )
    return with_code(short.replace("-", MINUS), currency, locale=locale)


def with_code(figure: str, currency: str, *, locale: str = "en") -> str:
    """A figure beside its currency code, on the side where the locale puts it, held together by a no-break space.

    The mark of a rounded figure leads both: "≈ USD 0.33".
    """
    if figure.startswith(ROUNDED):
        return ROUNDED + with_code(figure.removeprefix(ROUNDED), currency, locale=locale)
    pattern: str = locale_of(locale).currency_formats["standard"].pattern
    leads = pattern.split(";", maxsplit=1)[0].lstrip("\u200e\u200f\u061c\u00a0 ").startswith("¤")
    return f"{currency}{NBSP}{figure}" if leads else f"{figure}{NBSP}{currency}"


def micro(amount_micro: int, currency: str, *, locale: str = "en") -> str:
    """An exact amount in millionths of a minor unit, all digits that are not zero, at least the currency's own.

    1_234_500 micro-cents of USD is "USD 0.012345": what a rated line adds before its charge is rounded once.
    """
    exact = Fraction(_int(amount_micro), MICRO * 10 ** exponent(currency))
    return with_code(_priced(exact, currency, locale, limit=exponent(currency) + 6), currency, locale=locale)


def unit_price(price: Exact, currency: str, *, locale: str = "en") -> str:
    """A price per unit in major units, exactly: at least the currency's digits, at most twelve, no further zeros.

    A value that twelve digits cannot hold (an average of 1/3) is marked as rounded.
    """
    return with_code(_priced(_exact(price), currency, locale, limit=PRICE_PLACES), currency, locale=locale)


def unit_price_pico(pico: int, currency: str, *, locale: str = "en") -> str:
    """`unit_price` of a stored price: an integer of 10**-12 major units."""
    return unit_price(Fraction(_int(pico), PICO), currency, locale=locale)


def quantity(value: Exact, *, places: int = 4, trim: bool = True, locale: str = "en") -> str:
    """A quantity with up to `places` digits after the point; marked "≈" where those digits are not the whole value.

    With `trim=False` it keeps all its places, so that a column lines up at the point.
    """
    return decimal(value, places=places, trim=trim, locale=locale)


def integer(value: int, *, locale: str = "en") -> str:
    """A whole number with its groups: 11704 is "11,704"."""
    return decimal(_int(value), places=0, locale=locale)


def percent(basis_points: int, *, locale: str = "en") -> str:
    """A rate in hundredths of a percent: 1900 is "19%", 550 is "5.5%", in German "19 %"."""
    return _percent(Fraction(_int(basis_points), 100), 2, locale, mark=True)


def share(part: Exact, whole: Exact, *, places: int = 0, locale: str = "en") -> str:
    """How much of the whole a part is, in percent with all its places, so that a column lines up; unmarked; a dash when the whole is zero."""
    if not whole:
        return EN_DASH
    return _percent(_exact(part) / _exact(whole) * 100, places, locale, mark=False, trim=False)


def file_size(size_bytes: int, *, locale: str = "en") -> str:
    """Bytes in decimal units with at most one digit after the point: 1250000 is "1.3 MB", in French "1,3 Mo"."""
    size, unit = Fraction(_int(size_bytes)), ""
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    if not unit:
        return units.format_unit(int(size), "digital-byte", "long", locale=locale_of(locale)).replace(" ", NBSP)
    if locale_of(locale).language == "fr":
        unit = unit.replace("B", "o")
    return decimal(size, places=1, mark=False, locale=locale) + NBSP + unit


def decimal(value: Exact, *, places: int, trim: bool = True, mark: bool = True, locale: str = "en") -> str:
    """An exact value with its groups and point, half up at `places`, with the minus sign U+2212.

    `mark` puts "≈" before a value that those places cannot hold. A value that rounds to nothing keeps no minus.
    """
    # Two integers in place of a Fraction: a long invoice writes thousands of figures.
    numerator, denominator = _ratio(value)
    shifted = numerator * 10**places
    scaled = half_up(shifted, denominator)
    digits = str(abs(scaled)).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    if trim:
        fraction = fraction.rstrip("0")
    signs = _signs_of(locale)
    text = _grouped(whole, signs) + (signs.point + fraction if fraction else "")
    is_rounded = mark and scaled * denominator != shifted
    return (ROUNDED if is_rounded else "") + (MINUS if scaled < 0 else "") + text


def _priced(value: Fraction, currency: str, locale: str, *, limit: int) -> str:
    """The shortest figure that is exact: between the currency's digits and `limit` of them."""
    places = exponent(currency)
    while places < limit and (value * 10**places).denominator != 1:
        places += 1
    return decimal(value, places=places, trim=False, locale=locale)


def _percent(value: Fraction, places: int, locale: str, *, mark: bool, trim: bool = True) -> str:
    pattern: str = locale_of(locale).percent_formats[None].pattern
    gap = next((space for space in (NBSP, NARROW) if space in pattern), "")
    return decimal(value, places=places, trim=trim, mark=mark, locale=locale) + gap + "%"


def _grouped(digits: str, signs: "_Signs") -> str:
    """Digits in the locale's groups; India's are 3 and then 2."""
    if len(digits) <= signs.first:
        return digits
    groups = [digits[-signs.first :]]
    rest = digits[: -signs.first]
    while rest:
        groups.append(rest[-signs.further :])
        rest = rest[: -signs.further]
    return signs.group.join(reversed(groups))


class _Signs(NamedTuple):
    """How a locale writes a figure."""

    point: str
    group: str
    first: int
    further: int


@lru_cache(maxsize=64)
def _signs_of(locale: str) -> _Signs:
    found = locale_of(locale)
    symbols = found.number_symbols["latn"]
    first, further = found.decimal_formats[None].grouping
    return _Signs(point=symbols["decimal"], group=symbols["group"], first=first, further=further)


def _plus(minor: int, signed: bool) -> str:
    return "+" if signed and minor > 0 else ""


def _int(value: object) -> int:
    """The int itself; bool and float are programming errors that must not become a figure."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a figure is an int, not {type(value).__name__}")
    return value


def _exact(value: Exact) -> Fraction:
    return Fraction(*_ratio(value))


def _ratio(value: object) -> tuple[int, int]:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Fraction):
        raise TypeError(f"a figure is int, Decimal or Fraction, not {type(value).__name__}")
    return value.as_integer_ratio()
