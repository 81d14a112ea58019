"""VAT identification numbers: the one spelling we keep, and whether the check digits are right. Nobody is asked online."""

import re

from billing.accounts import names
from billing.kernel.errors import Invalid

# Greece's numbers begin with EL; Northern Ireland's with XI, under the country GB; Monaco's are French.
_PREFIX_OF = {"GR": "EL", "MC": "FR"}
_SEPARATORS = re.compile(r"[\s.:/_-]")
_EU_TEXT = "AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI"
_EU_PREFIXES = frozenset(_EU_TEXT.split())


def find_vat_id(text: str | None, country: str) -> str | None:
    """The number of a party of that country (ISO 3166), in capitals without separators; None for none.

    Numbers of the EU need their prefix, the country's own, and right check digits; others are kept as codes. Raises
    Invalid(field="vat_id") with reason vat_id_wrong, vat_id_of_other_country or one of `names.require_code`.
    """
    if text is None or not text.strip():
        return None
    compact = _SEPARATORS.sub("", names.require_name(text, "vat_id", max_length=40)).upper()
    if not compact.isascii() or not compact.isalnum():
        raise Invalid(field="vat_id", value=names.shown(text), reason="vat_id_wrong")
    prefix = _PREFIX_OF.get(country, country)
    if prefix not in _EU_PREFIXES and compact[:2] not in _EU_PREFIXES:
        return names.require_code(compact, "vat_id", max_length=20)
    if compact[:2] != prefix and not (compact.startswith("XI") and country == "GB"):
        raise Invalid(field="vat_id", value=compact[:20], country=country, reason="vat_id_of_other_country")
    return _checked(compact, country)


def _checked(compact: str, country: str) -> str:
    from stdnum.eu import vat  # loads a module per country
    from stdnum.exceptions import ValidationError

    try:
        return str(vat.validate(compact))  # Belgium and the Netherlands: with the zeros in front
    except ValidationError:
        raise Invalid(field="vat_id", value=compact[:20], country=country, reason="vat_id_wrong") from None
