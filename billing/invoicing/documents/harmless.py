"""Text of a document without what can do harm in a page, an XML file or a table: the same for every format."""

import unicodedata
from typing import Any

from billing.invoicing.documents import texts


def cleaned(value: Any) -> Any:
    """The same value with harmless text: no control characters, and none that turn the direction of what follows.

    What is left may stand in XML 1.0. Texts, tuples and dataclasses are walked; every other value stays as it is.
    """
    return texts.mapped(value, _without_hostile)


def _without_hostile(text: str) -> str:
    if text.isprintable():
        return text  # most texts: no character of it belongs to the categories below
    return "".join(" " if character in "\n\t" else character for character in text if not _is_hostile(character))


def _is_hostile(character: str) -> bool:
    if character in "\n\t\u200c\u200d":  # joiners belong to several scripts
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
