"""Codes for why no VAT is charged (CEF code list VATEX, BT-121), and the category of UNCL 5305 that each belongs to."""

from billing.kernel.errors import Invalid

_DIRECTIVE = "Directive 2006/112/EC"

# Codes that belong to one category, with the sentence that an invoice prints (BT-120).
_OWN: dict[str, tuple[str, str]] = {
    "VATEX-EU-AE": ("AE", f"Reverse charge: VAT is due from the recipient ({_DIRECTIVE}, article 196)"),
    "VATEX-EU-IC": ("K", f"Intra-community supply ({_DIRECTIVE}, article 138)"),
    "VATEX-EU-G": ("G", f"Export outside the European Union ({_DIRECTIVE}, article 146)"),
    "VATEX-EU-O": ("O", "Not subject to VAT"),
    "VATEX-EU-D": ("E", "Travel agents: margin scheme"),
    "VATEX-EU-F": ("E", "Second-hand goods: margin scheme"),
    "VATEX-EU-I": ("E", "Works of art: margin scheme"),
    "VATEX-EU-J": ("E", "Collectors' items and antiques: margin scheme"),
    "VATEX-FR-FRANCHISE": ("E", "TVA non applicable, art. 293 B du CGI"),
}
# Codes that name an article under which a supply is exempt: article, and the points of it that have a code.
_ARTICLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("79", ("C",)),
    ("132", ("", *(f"1{letter}" for letter in "ABCDEFGHIJKLMNOPQ"))),
    ("135", ("1",)),
    ("143", ("", *(f"1{letter}" for letter in ("A", "B", "C", "D", "E", "F", "FA", "G", "H", "I", "J", "K", "L")))),
    ("144", ("",)),
    ("146", ("1E",)),
    ("148", ("", *"ABCDEFG")),
    ("151", ("", "1A", "1AA", "1B", "1C", "1D", "1E")),
    ("159", ("",)),
    ("309", ("",)),
)


def _all() -> dict[str, tuple[str, str]]:
    found = dict(_OWN)
    for article, points in _ARTICLES:
        for point in points:
            code = f"VATEX-EU-{article}" + (f"-{point}" if point else "")
            where = f"article {article}" + (f"({point[0]})({point[1:].lower()})" if point[1:] else "")
            where += f"({point.lower()})" if len(point) == 1 else ""
            found[code] = ("E", f"Exempt from VAT ({_DIRECTIVE}, {where})")
    return found


_CODES = _all()


def codes(category: str) -> list[str]:
    """The codes that may stand beside a category, in the list's order."""
    return [code for code, (of, _) in _CODES.items() if of == category]


def words(code: str) -> str:
    """The sentence of a code. Raises Invalid(field="vatex") for one that is not on the list."""
    if code not in _CODES:
        raise Invalid(field="vatex", value=ascii(code[:40]), reason="unknown_vatex")
    return _CODES[code][1]


def require_code(code: str, category: str) -> str:
    """The code, if it may stand beside the category. Raises Invalid(field="vatex")."""
    words(code)
    if _CODES[code][0] != category:
        raise Invalid(field="vatex", value=code, category=category, reason="vatex_of_other_category")
    return code
