"""Which characters the packaged fonts can show. What they cannot is written by its number, never as an empty box.

Fonts of the machine are never used: the same document has the same bytes everywhere, and PDF/A forbids glyphs that are not there.
"""

import unicodedata
from functools import lru_cache
from typing import Any

from billing.invoicing.documents import texts
from billing.invoicing.documents.pdf import ASSETS

_PLAIN_BELOW = 0x180  # Latin: in every one of our fonts
_IGNORED = frozenset(
    {0x200C, 0x200D, *range(0xFE00, 0xFE10)}
)  # joiners and variation selectors show nothing themselves


def shown(value: Any, missing: set[str]) -> Any:
    """The same value with every character that has no glyph as "[U+1F680]", composed first; adds those characters to `missing`.

    Texts, tuples and dataclasses are walked; every other value stays as it is.
    """
    return texts.mapped(value, lambda text: text if text.isascii() else _of_text(text, missing))


def _of_text(text: str, missing: set[str]) -> str:
    composed = unicodedata.normalize("NFC", text)
    lacking = {character for character in composed if not _has_glyph(ord(character))}
    missing |= lacking
    if not lacking:
        return composed
    return "".join(f"[U+{ord(character):04X}]" if character in lacking else character for character in composed)


def _has_glyph(point: int) -> bool:
    return point < _PLAIN_BELOW or point in _IGNORED or point in _covered()


@lru_cache(maxsize=1)
def _covered() -> frozenset[int]:
    """All characters of all packaged fonts; read once, when a document first needs one beyond Latin."""
    from fontTools.ttLib import TTFont

    found: set[int] = set()
    for path in ASSETS.values():
        with TTFont(path, lazy=True) as font:
            found.update(font.getBestCmap())
    return frozenset(found)
