"""Text of a document without what can do harm in a page, an XML file or a table: the same for every format."""

import unicodedata
from dataclasses import fields, is_dataclass, replace
from typing import Any


def cleaned(value: Any) -> Any:
    """The same value with harmless text: no control characters, and none that turn the direction of what follows.

    What is left may stand in XML 1.0. Texts, tuples and dataclasses are walked; every other value stays as it is.
    """
    if isinstance(value, str):
        if value.isprintable():
            return value  # most texts: no character of it belongs to the categories below
        return "".join(" " if character in "\n\t" else character for character in value if not _is_hostile(character))
    if isinstance(value, tuple):
        return tuple(cleaned(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: cleaned(getattr(value, field.name)) for field in fields(value)})
    return value


def _is_hostile(character: str) -> bool:
    if character in "\n\t\u200c\u200d":  # joiners belong to several scripts
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
