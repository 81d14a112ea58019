"""Code lists of EN 16931 as far as our documents use them. Data, and what follows from it alone."""

# Prefixes that a VAT identifier may bear (BR-CO-09) and, but for the last two, countries (BR-CL-14). EL is Greece in VAT, XI
# Northern Ireland.
_LISTED = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF "
    "CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH "
    "GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW "
    "KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG "
    "NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN "
    "SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT "
    "ZA ZM ZW"
)
COUNTRIES = frozenset(_LISTED.split())
VAT_PREFIXES = COUNTRIES | {"EL", "XI"}

# UN/CEFACT Recommendation 20. What has no code of its own is counted as "one" (C62), its unit said in words.
_UNITS = {
    "core-hour": "HUR",
    "core-second": "SEC",
    "core-millisecond": "C26",
    "GPU-hour": "HUR",
    "GPU-second": "SEC",
    "GPU-millisecond": "C26",
    "instance-hour": "HUR",
    "hour": "HUR",
    "minute": "MIN",
    "second": "SEC",
    "millisecond": "C26",
    "day": "DAY",
    "month": "MON",
    "year": "ANN",
    "byte": "AD",
    "MB": "4L",
    "GB": "E34",
    "TB": "E35",
}
ONE = "C62"

# UNCL 5189, the reason of an allowance: a promotion is a special rebate.
ALLOWANCE_REASONS = {"discount": "95", "promo": "100"}

# UNTDID 1001 (BR-CL-01).
INVOICE, CREDIT_NOTE, PREPAYMENT = "380", "381", "386"

# UNTDID 4461.
CREDIT_TRANSFER, SEPA_CREDIT_TRANSFER, ONLINE = "30", "58", "68"


def unit_code(unit: str) -> str:
    """The code of a unit that a line states, "SEC" for a core-second."""
    return _UNITS.get(unit, ONE)


def is_vat_identifier(text: str | None) -> bool:
    """Whether a number may stand as a VAT identifier: it bears the prefix of a country."""
    return text is not None and text[:2] in VAT_PREFIXES and len(text) > 2
