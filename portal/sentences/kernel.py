"""What the refusals of money, time and periods say, and the general ones."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "no_such_file": lambda fields: (
        f"{fields.get('words', '')} No file was made: correct the address, or go back to the page."
    ),
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
    "unknown_job": lambda fields: f"There is no job {fields.get('value')}; there are: {fields.get('known')}.",
    "unknown_currency": "The currency is not an ISO 4217 code that is in use, such as USD or EUR.",
    "currency_mismatch": lambda fields: (
        f"Amounts of different currencies cannot be combined: expected {fields.get('expected')}."
    ),
}
CODES: dict[str, Sentence] = {
    "not_found": "There is no such object in this billing account.",
    "conflict": "The object has changed or was already used with other content.",
    "invalid": "The input cannot be used.",
}
