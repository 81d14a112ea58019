"""What the refusals of reservations say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "not_whole_hours": "A reservation begins and ends at a full hour of UTC, such as 13:00.",
    "not_a_capacity": "The capacity is a plain number above zero, such as 8 or 0.5.",
    "capacity_not_exact": "That capacity cannot be counted in whole base units: use a rounder number.",
    "not_reservable": lambda fields: f"{fields.get('value')} is no usage and cannot be reserved.",
    "no_mode_price": lambda fields: (
        f"The account's plan has no {fields.get('mode')} price of {fields.get('value')} in {fields.get('currency')} at that time."
    ),
    "mode_price_in_other_currency": lambda fields: (
        f"The {fields.get('mode')} price of {fields.get('value')} is in another currency than the account's {fields.get('currency')}."
    ),
    "not_the_accounts_currency": lambda fields: f"The account's currency is {fields.get('account_currency')}.",
    "too_far_back": lambda fields: f"A reservation begins at most {fields.get('days')} days back.",
    "end_in_the_past": lambda fields: (
        f"Hours that have begun stay reserved: the earliest end is {fields.get('earliest')}."
    ),
}
CODES: dict[str, Sentence] = {
    "reservation_exists": lambda fields: (
        f"A reservation named {fields.get('name')} is running already: choose another name."
    ),
    "reservation_ended": lambda fields: f"The reservation ended at {fields.get('ends_at')}.",
}
