"""What the refusals of price books and plans say; a price is named by its place in the file."""

from typing import Any

from portal.sentences.words import Sentence


def _where(fields: dict[str, Any]) -> str:
    place = next((name for name in ("price", "product") if name in fields), None)
    return "" if place is None else f" in {place} {fields[place]}"


def _field(fields: dict[str, Any]) -> str:
    return str(fields.get("field", "the figure")).replace("_", " ").capitalize()


_GATE = {
    "no_trial": "no shadow rating of it was made",
    "not_fresh": "its shadow rating is older than 24 hours",
    "not_whole": "its shadow rating stopped before it had seen all usage",
    "some_accounts_only": "its shadow rating looked at some accounts only",
    "looked_at_nothing": "its shadow rating met no usage",
    "outside_limits": "its shadow rating moves charges beyond the limits",
}


def _gate(fields: dict[str, Any]) -> str:
    why = _GATE.get(str(fields.get("fault")), "nothing speaks for it")
    return f"{fields.get('book')} version {fields.get('version')} stays a candidate: {why}. Try it anew, or ask a second person."


def _what(fields: dict[str, Any]) -> str:
    return str(fields.get("value", fields.get("field", "")))


REASONS: dict[str, Sentence] = {
    "subscription_begun": "This change has begun already: change the plan again instead.",
    "only_subscription": "The account would be on no plan at all: change it to another plan instead.",
    "not_toml": lambda fields: (
        f"The text cannot be read as TOML: {fields.get('detail') or 'it is nested too deeply, or holds a number that is too large'}."
    ),
    "missing": lambda fields: f"{fields.get('field', 'A value')} is missing{_where(fields)}.",
    "unknown_key": lambda fields: f"{_what(fields)} is not known{_where(fields)}.",
    "below_zero": lambda fields: (
        f"{_field(fields)} is below zero{_where(fields)}: nothing is sold for less than nothing."
    ),
    "too_many_places": lambda fields: (
        f"{_field(fields)} has more than {fields.get('limit')} digits after the point{_where(fields)}."
    ),
    "not_a_price": lambda fields: (
        f"{_field(fields)} cannot be read{_where(fields)}: write plain digits with a point, such as 2.95."
    ),
    "unknown_sku": lambda fields: f"There is no SKU {_what(fields)}{_where(fields)}.",
    "unknown_model": lambda fields: f"There is no price model {_what(fields)}{_where(fields)}.",
    "not_whole_seconds": lambda fields: f"A price begins at a whole second{_where(fields)}.",
    "overlapping": lambda fields: (
        f"Another price of the account's own begins inside this time, on {fields.get('value')}: end this one there."
        if fields.get("field") == "until"
        else f"Two prices of one SKU begin at the same instant{_where(fields)}."
    ),
    "not_whole_base_units": lambda fields: (
        f"The bound cannot be counted in whole base units of the meter{_where(fields)}."
    ),
    "not_a_list_of_tiers": lambda fields: f"Tiers are a list of tables with unit_price and up_to{_where(fields)}.",
    "only_the_last_tier_is_open": lambda fields: f"Every tier but the last needs up_to{_where(fields)}.",
    "bounds_must_rise": lambda fields: f"The bounds of tiers must rise{_where(fields)}.",
    "not_an_amount": lambda fields: (
        f"A percentage can be taken of an amount only, not of {fields.get('meter')}{_where(fields)}."
    ),
    "unknown_mode": lambda fields: (
        f"There is no mode {_what(fields)}{_where(fields)}: on_demand, spot, reserved or unused."
    ),
    "not_a_sku": lambda fields: f"{_what(fields)} is not a SKU{_where(fields)}: write family/name, such as gpu/h100.",
    "sold_twice": lambda fields: f"The book sells {_what(fields)}, or what it stands for, twice{_where(fields)}.",
    "unknown_fee": lambda fields: f"The price book {fields.get('book')} has no price for the fee {_what(fields)}.",
    "an_overrides_book": "This is an account's own price: it comes into force by its own request.",
    "not_a_percentage": lambda fields: f"{_what(fields)} is not a percentage: write a plain number such as 2.5.",
    "not_text": lambda fields: f"{fields.get('field')} must be text{_where(fields)}.",
    "not_a_list": lambda fields: f"{fields.get('field')} is a list of at most {fields.get('limit')} entries.",
    "not_a_table": lambda fields: f"{fields.get('field')} is a table of names and values.",
    "not_true_or_false": lambda fields: f"{fields.get('field')} is true or false.",
    "twice": lambda fields: f"{_what(fields)} is written twice in {fields.get('field')}.",
    "ends_before_it_begins": "The time must end after it begins.",
    "too_far_ahead": lambda fields: f"A plan begins at most {fields.get('years')} years from now.",
    "minimum_in_other_currency": lambda fields: (
        f"The plan {fields.get('plan')} asks for a minimum, and for none in {fields.get('currency')}, in which {fields.get('account')} "
        f"is billed: give it one in {fields.get('currency')}, or take another plan."
    ),
    "fee_not_flat": lambda fields: (
        f"A plan's fee is one amount a month{_where(fields)}: write the model flat, not {_what(fields)}."
    ),
    "not_exact": lambda fields: f"The figure cannot be kept exactly{_where(fields)}.",
}
CODES: dict[str, Sentence] = {
    "price_exists": "The book has another price from the same instant on: give the new one a later start.",
    "product_exists": lambda fields: (
        f"{fields.get('sku')} cannot be sold as written: {fields.get('sold_as')} is sold as something else already."
    ),
    "gate_closed": _gate,
    "override_exists": "The account has another price of its own for that SKU from the same instant on.",
    "plan_exists": "The plan has another version from the same instant on: give the new one a later start.",
    "subscription_exists": "The account changes to another plan at that instant already.",
}
