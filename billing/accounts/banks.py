"""Bank accounts on documents: the one spelling of IBAN and BIC that we keep, and whether their check digits are right."""

from billing.accounts import names
from billing.kernel.errors import Invalid

_IBAN_MAX = 42  # 34 characters and the spaces people put between groups of four


def find_iban(text: str | None, field: str = "bank_account") -> str | None:
    """The IBAN in capitals without spaces (ISO 13616); None for none. Raises Invalid(reason="iban_wrong")."""
    if text is None or not text.strip():
        return None
    from stdnum import iban  # loads a module per country
    from stdnum.exceptions import ValidationError

    plain = names.require_name(text, field, max_length=_IBAN_MAX)
    try:
        return str(iban.validate(plain))
    except ValidationError:
        raise Invalid(field=field, value=names.shown(plain), reason="iban_wrong") from None


def find_bic(text: str | None, iban: str | None, field: str = "bic") -> str | None:
    """The BIC in capitals (ISO 9362, 8 or 11 characters); None for none.

    Raises Invalid with reason bic_wrong, or bic_of_other_country where the IBAN is of another one.
    """
    if text is None or not text.strip():
        return None
    from stdnum import bic
    from stdnum.exceptions import ValidationError

    plain = names.require_name(text, field, max_length=20)
    try:
        found = str(bic.validate(plain))
    except ValidationError:
        raise Invalid(field=field, value=names.shown(plain), reason="bic_wrong") from None
    if iban is not None and _bank_country(found[4:6]) != _bank_country(iban[:2]):
        raise Invalid(field=field, value=found, country=iban[:2], reason="bic_of_other_country")
    return found


def _bank_country(code: str) -> str:
    """France's overseas territories bank under FR, and Guernsey, Jersey and Man under GB."""
    return _UNDER.get(code, code)


_UNDER = dict.fromkeys(("GP", "MQ", "GF", "RE", "YT", "PM", "MF", "BL", "NC", "PF", "WF", "TF"), "FR") | dict.fromkeys(
    ("GG", "JE", "IM"), "GB"
)
