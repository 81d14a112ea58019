"""Standard VAT rates of the EU's member states by date, as law gives them in local dates (Directive 2006/112, article 96).

The rate in force on a day is the last row of the country that starts on or before it. Two public collections are compared with
it in a test, day by day. Reduced rates do not apply to cloud services. The table begins on 2015-01-01, when electronic services
came to be taxed where the customer is (Directive 2008/8, article 5); earlier tax points are refused.

Monaco counts as France, the Isle of Man as the United Kingdom (Directive 2006/112, article 7). Northern Ireland is in the EU for
goods only: services there are supplied outside of it, whatever the prefix XI of a number. Parts of a member state that lie outside
its VAT territory and have no country code of their own (article 6: the Canary Islands, Ceuta, Melilla, Livigno, Büsingen,
Heligoland, Mount Athos, Campione d'Italia) are not told apart by an address: finance enters an override for such an account.
"""

from datetime import date

from billing.kernel.errors import Invalid

_BEGIN = date(2015, 1, 1)

# country -> (first day, basis points), rising
_STANDARD: dict[str, tuple[tuple[date, int], ...]] = {
    "AT": ((_BEGIN, 2000),),
    "BE": ((_BEGIN, 2100),),
    "BG": ((_BEGIN, 2000),),
    "CY": ((_BEGIN, 1900),),
    "CZ": ((_BEGIN, 2100),),
    "DE": ((_BEGIN, 1900), (date(2020, 7, 1), 1600), (date(2021, 1, 1), 1900)),
    "DK": ((_BEGIN, 2500),),
    "EE": ((_BEGIN, 2000), (date(2024, 1, 1), 2200), (date(2025, 7, 1), 2400)),
    "ES": ((_BEGIN, 2100),),
    "FI": ((_BEGIN, 2400), (date(2024, 9, 1), 2550)),
    "FR": ((_BEGIN, 2000),),
    "GR": ((_BEGIN, 2300), (date(2016, 6, 1), 2400)),
    "HR": ((_BEGIN, 2500),),
    "HU": ((_BEGIN, 2700),),
    "IE": ((_BEGIN, 2300), (date(2020, 9, 1), 2100), (date(2021, 3, 1), 2300)),
    "IT": ((_BEGIN, 2200),),
    "LT": ((_BEGIN, 2100),),
    "LU": ((_BEGIN, 1700), (date(2023, 1, 1), 1600), (date(2024, 1, 1), 1700)),
    "LV": ((_BEGIN, 2100),),
    "MT": ((_BEGIN, 1800),),
    "NL": ((_BEGIN, 2100),),
    "PL": ((_BEGIN, 2300),),
    "PT": ((_BEGIN, 2300),),
    "RO": ((_BEGIN, 2400), (date(2016, 1, 1), 2000), (date(2017, 1, 1), 1900), (date(2025, 8, 1), 2100)),
    "SE": ((_BEGIN, 2500),),
    "SI": ((_BEGIN, 2200),),
    "SK": ((_BEGIN, 2000), (date(2025, 1, 1), 2300)),
}


_COUNTS_AS = {"MC": "FR", "IM": "GB"}


def vat_country(country: str) -> str:
    """The country whose VAT territory an address belongs to: Monaco's is France."""
    return _COUNTS_AS.get(country, country)


def is_member_state(country: str) -> bool:
    """Whether the ISO 3166 code names a member state of the EU (Greece is GR here, although its VAT ids begin with EL)."""
    return country in _STANDARD


def standard_rate_bp(country: str, on: date) -> int:
    """The member state's standard rate on a day, in basis points (19 % = 1900). Raises Invalid where we hold none."""
    for first_on, rate_bp in reversed(_STANDARD.get(country, ())):
        if on >= first_on:
            return rate_bp
    raise Invalid(field="country", value=country, on=on.isoformat(), reason="no_vat_rate")


def member_states() -> frozenset[str]:
    """The countries whose rates are held here."""
    return frozenset(_STANDARD)
