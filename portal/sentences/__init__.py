"""What a refusal says to a person: one sentence for its code, with the facts of the case filled in.

Used by pages, the API and the command line alike, so that the same mistake is answered in the same words.
"""

from typing import Any

from billing.kernel.errors import Refusal
from billing.rendering import formats
from portal.sentences import (
    accounts,
    api,
    catalog,
    customers,
    invoicing,
    kernel,
    ledger,
    metering,
    notices,
    payments,
    reference,
    reservations,
    storage,
    trials,
)
from portal.sentences.words import Sentence

_ROOMS = (
    kernel,
    reference,
    accounts,
    catalog,
    metering,
    ledger,
    invoicing,
    payments,
    customers,
    notices,
    api,
    storage,
    trials,
    reservations,
)


def _merged(name: str) -> dict[str, Sentence]:
    """The sentences of all rooms. A code that two rooms give differently would say the wrong thing for one of them."""
    merged: dict[str, Sentence] = {}
    for room in _ROOMS:
        more: dict[str, Sentence] = getattr(room, name)
        if merged.keys() & more.keys():
            raise ValueError(f"sentences given twice: {sorted(merged.keys() & more.keys())}")
        merged |= more
    return merged


_REASONS, _CODES = _merged("REASONS"), _merged("CODES")


def of(refusal: Refusal) -> str:
    """The sentence of a refusal: by its reason, else by its code, else the code itself in words."""
    sentence = _REASONS.get(str(refusal.fields.get("reason"))) or _CODES.get(refusal.code)
    if sentence is None:
        words = refusal.code.replace("_", " ")
        facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in refusal.fields.items())
        return f"Refused: {words}{f' ({facts})' if facts else ''}."
    return sentence if isinstance(sentence, str) else sentence(_shown(refusal.fields))


def _shown(fields: dict[str, object]) -> dict[str, Any]:
    """The facts with every `*_minor` beside its currency also as readable money under the name without `_minor`."""
    shown: dict[str, Any] = dict(fields)
    currency = fields.get("currency")
    for name, value in fields.items():
        if name.endswith("_minor") and isinstance(value, int) and isinstance(currency, str):
            shown[name.removesuffix("_minor")] = formats.money(value, currency, locale="en")
    return shown
