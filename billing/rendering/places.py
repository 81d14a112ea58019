"""Names of countries for people."""

from billing.rendering.numbers import locale_of


def country(code: str, *, locale: str = "en") -> str:
    """The country's name by its ISO 3166 code, "Ireland" for IE; the code itself where it is not known."""
    return str(locale_of(locale).territories.get(code, code))
