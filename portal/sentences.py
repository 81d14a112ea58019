"""What a refusal says to a person: one sentence for its code, with the facts of the case filled in.

Used by pages, the API and the command line alike, so that the same mistake is answered in the same words.
"""

from collections.abc import Callable
from typing import Any

from billing.kernel.errors import Refusal
from billing.rendering import formats

Sentence = str | Callable[[dict[str, Any]], str]

_REASONS: dict[str, Sentence] = {
    "naive_time": "The time has no zone: add Z or an offset such as +01:00, or declare a zone.",
    "not_an_instant": "The time cannot be read: write it as 2026-11-21T13:00:00Z.",
    "unknown_zone": "The time zone is not known: use a name such as Europe/Berlin.",
    "end_before_start": "The end lies before the start.",
    "not_a_month": "The month cannot be read: write it as 2026-11.",
    "not_a_plain_decimal": "The amount cannot be read: write plain digits with a point, such as 1234.56.",
    "too_many_decimals": lambda fields: (
        f"The amount has more decimals than {fields.get('currency', 'the currency')} has."
    ),
    "too_large": "The amount is too large.",
    "unknown_currency": "The currency is not an ISO 4217 code that is in use, such as USD or EUR.",
    "currency_mismatch": lambda fields: (
        f"Amounts of different currencies cannot be combined: expected {fields.get('expected')}."
    ),
}
_CODES: dict[str, Sentence] = {
    "not_found": "There is no such object in this billing account.",
    "conflict": "The object has changed or was already used with other content.",
    "invalid": "The input cannot be used.",
}


def register(reasons: dict[str, Sentence] | None = None, codes: dict[str, Sentence] | None = None) -> None:
    """Add the sentences of a room; a code that is already known is an error of ours."""
    for known, more in ((_REASONS, reasons or {}), (_CODES, codes or {})):
        if known.keys() & more.keys():
            raise ValueError(f"sentences given twice: {sorted(known.keys() & more.keys())}")
        known.update(more)


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
