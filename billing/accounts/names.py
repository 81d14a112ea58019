"""Which texts from outside are kept as codes and names, and which are refused, with the reason.

PostgreSQL cannot hold NUL, UTF-8 no lone surrogate, XML no control character, and a text that turns the reading direction makes
an invoice say something else than it holds. Everything else a person may be called is kept as it is.
"""

import unicodedata

from billing.kernel.errors import Invalid

CODE_MAX = 64
NAME_MAX = 200

_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset({"Cc", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Zs"})


def require_code(text: str, field: str = "code", *, max_length: int = CODE_MAX) -> str:
    """The code in NFC: 1 to `max_length` visible characters, with plain single spaces allowed between them.

    Codes identify, so two that look alike must be alike: zero-width characters and other spaces are refused, not removed. Raises
    Invalid with reason empty, too_long, not_unicode, control_character, direction_control, invisible_character or outer_space.
    """
    if text.isascii() and text.isalnum() and len(text) <= max_length:  # nearly all there are, on bulk paths
        return text
    if text != text.strip(" ") or "  " in text:
        raise _refused(field, text, "outer_space" if text.strip(" ") else "empty")
    text = _require_safe(text, field, max_length)
    if any(unicodedata.category(character) in _INVISIBLE and character != " " for character in text):
        raise _refused(field, text, "invisible_character")
    return text


def require_name(text: str, field: str = "name", *, max_length: int = NAME_MAX) -> str:
    """The text in NFC without outer white space: 1 to `max_length` characters of which at least one is visible.

    Joiners inside are kept: emoji and Persian need them. Raises Invalid with a reason as `require_code` does.
    """
    text = _require_safe(text.strip(), field, max_length)
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise _refused(field, text, "empty")
    return text


def find_name(text: str | None, field: str, *, max_length: int = NAME_MAX) -> str | None:
    """As `require_name`; None for None and for nothing but white space."""
    return require_name(text, field, max_length=max_length) if text is not None and text.strip() else None


def require_email(text: str, field: str = "email") -> str:
    """The address in lower case: one @, a domain of letters, digits, dots and hyphens, at most 254 characters.

    Only the shape is checked; that it reaches someone is shown by a mail that is answered. Raises Invalid(not_an_address).
    """
    address = _require_safe(text.strip(), field, 254).lower()
    local, _, domain = address.rpartition("@")
    labels = domain.split(".")
    if (
        not local
        or len(local) > 64
        or any(character in '"(),:;<>[\\]@' or unicodedata.category(character) in _INVISIBLE for character in local)
        or not all(label and label.replace("-", "").isalnum() and label == label.strip("-") for label in labels)
    ):
        raise _refused(field, text, "not_an_address")
    return address


def is_safe(text: str) -> bool:
    """Whether a text may be looked up at all: PostgreSQL raises at NUL and lone surrogates, where nothing can be found anyway."""
    return text.isprintable()


def shown(text: str) -> str:
    """The start of a refused text, with everything that cannot be printed written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[:40]
    )


def _require_safe(text: str, field: str, max_length: int) -> str:
    text = unicodedata.normalize("NFC", text)
    if not text:
        raise _refused(field, text, "empty")
    if len(text) > max_length:
        raise Invalid(field=field, value=shown(text), limit=max_length, reason="too_long")
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs" or _is_noncharacter(character):
            raise _refused(field, text, "not_unicode")
        if category in _LINE_BREAKS:
            raise _refused(field, text, "control_character")
        if character in _DIRECTION_CONTROLS:
            raise _refused(field, text, "direction_control")
    return text


def _is_noncharacter(character: str) -> bool:
    point = ord(character)
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


def _refused(field: str, text: str, reason: str) -> Invalid:
    return Invalid(field=field, value=shown(text), reason=reason)
