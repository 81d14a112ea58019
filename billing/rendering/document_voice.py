"""How a document speaks: its words, figures and days in its language, for templates."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.kernel.money import exponent
from billing.rendering import document_words, formats, places

_RATE_PLACES = 6


class Voice:
    """Everything a printed page writes, in one language. Raises ValueError for a language that documents are not written in."""

    def __init__(self, language: str) -> None:
        if language not in document_words.LANGUAGES:
            raise ValueError(f"documents are not written in {language[:20]!r}")
        self.language = language

    def __call__(self, key: str, **facts: str) -> str:
        return document_words.word(key, self.language).format(**facts)

    def money(self, minor: int, currency: str) -> str:
        """ "EUR 1,234.50", in German "1.234,50 EUR"."""
        return formats.money(minor, currency, locale=self.language)

    def amount(self, minor: int, currency: str, *, signed: bool = False) -> str:
        """The figure alone; the currency stands at the head of its column."""
        return formats.amount(minor, currency, signed=signed, locale=self.language)

    def figure(self, text: str) -> str:
        """A plain decimal of the snapshot with its groups: "94439347.2" is "94,439,347.2"; no digit is lost."""
        return formats.quantity(Decimal(text), places=12, locale=self.language)

    def price(self, text: str, currency: str) -> str:
        """A price with all digits it was stored with, at least those of its currency."""
        value = Decimal(text)
        written = -int(value.as_tuple().exponent) if isinstance(value.as_tuple().exponent, int) else 0
        return formats.decimal(value, places=max(exponent(currency), written), trim=False, locale=self.language)

    def rate(self, text: str) -> str:
        """An exchange rate of the snapshot, a decimal or a fraction "a/b": to six digits, marked where it has more."""
        return formats.decimal(Fraction(text), places=_RATE_PLACES, locale=self.language)

    def equal_rate(self, text: str) -> str:
        """The rate with the sign that leads to it: "= 1.08", "≈ 0.89815"."""
        rate = self.rate(text)
        return rate if rate.startswith("≈") else f"=\u00a0{rate}"

    def exact_money(self, text: str, currency: str) -> str:
        """An exact amount of major units, a decimal or a fraction, with its currency."""
        value = Fraction(text)
        return formats.with_code(
            formats.decimal(value, places=max(exponent(currency), _RATE_PLACES), locale=self.language)
            if (value * 10 ** exponent(currency)).denominator != 1
            else formats.decimal(value, places=exponent(currency), trim=False, locale=self.language),
            currency,
            locale=self.language,
        )

    def percent(self, basis_points: int) -> str:
        """1900 is "19%", in German "19 %"."""
        return formats.percent(basis_points, locale=self.language)

    def day(self, on: date | str, *, long: bool = True) -> str:
        """A day in words; texts are ISO days of the snapshot."""
        return formats.day(date.fromisoformat(on) if isinstance(on, str) else on, locale=self.language, long=long)

    def days(self, first_on: date, last_on: date) -> str:
        """A range of days with both ends in it."""
        return formats.days(first_on, last_on, locale=self.language)

    def period(self, start_at: datetime, end_at: datetime, zone: str) -> str:
        """A window in words, with its zone where that is not UTC."""
        return formats.period(start_at, end_at, zone=zone, locale=self.language, name_zone=zone != "UTC")

    def instant(self, at: datetime, zone: str) -> str:
        """An instant in its zone."""
        return formats.instant(at, zone=zone, locale=self.language)

    def month(self, label: str) -> str:
        """ "2026-10" as "October 2026"; another label stays as it is."""
        try:
            return formats.month(date.fromisoformat(f"{label}-01"), locale=self.language)
        except ValueError:
            return label

    def country(self, code: str) -> str:
        """The country's name."""
        return places.country(code, locale=self.language)

    def unit(self, name: str, quantity_text: str = "2") -> str:
        """A unit's name beside that quantity."""
        return document_words.unit(name, self.language, is_one=abs(Decimal(quantity_text)) == 1)

    def reason(self, scheme: str | None, stored: str) -> str:
        """Why no VAT is charged."""
        return document_words.reason(scheme, stored, self.language)

    def detail(self, text: str) -> str:
        """What stands under a line: the parts that every document has are said in its language, names and prices stay."""
        if self.language == "en":
            return text
        return " · ".join(self._part(part) for part in text.split(" · "))

    def _part(self, text: str) -> str:
        for head, key, name in (
            ("Project ", "project", "code"),
            ("Late usage for ", "late_usage", "month"),
            ("For ", "for_month", "month"),
        ):
            if text.startswith(head):
                rest = text.removeprefix(head)
                return self(key, **{name: self.month(rest) if name == "month" else rest})
        return text
