"""A plan's terms as written: what is read, and what is refused with which reason."""

import json
import tomllib
from fractions import Fraction

import pytest

from billing.catalog import terms
from billing.kernel.errors import Invalid
from billing.kernel.money import Money

WHOLE = """
fees = ["platform", "desk"]
locks_price = true
minimum = { USD = 1000.00, JPY = "150000" }
grant = { USD = "20" }
[[percentages]]
code = "support"
percent = 2.5
families = ["compute"]
"""


def read(text: str) -> terms.PlanTerms:
    return terms.read(tomllib.loads(text, parse_float=str))


def test_terms_are_read_whole() -> None:
    found = read(WHOLE)
    assert found.fees == ("desk", "platform")
    assert found.locks_price
    assert found.minimum_in("USD") == Money(minor=100_000, currency="USD")
    assert found.minimum_in("JPY") == Money(minor=150_000, currency="JPY")
    assert found.minimum_in("EUR") is None
    assert found.grant_in("USD") == Money(minor=2_000, currency="USD")
    [support] = found.percentages
    assert (support.code, support.share, support.families) == ("support", Fraction(1, 40), ("compute",))


def test_what_is_stored_is_read_back_the_same() -> None:
    found = read(WHOLE)
    assert terms.read(json.loads(json.dumps(found.content))) == found


def test_a_plan_of_prices_alone_has_no_terms() -> None:
    assert terms.read({}) == terms.NONE
    assert terms.NONE.content == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fee = []", "unknown_key"),
        ("fees = 3", "not_a_list"),
        ("fees = [3]", "not_text"),
        ('fees = ["a", "a"]', "twice"),
        ('fees = [""]', "empty"),
        ("locks_price = 1", "not_true_or_false"),
        ("minimum = 3", "not_a_table"),
        ("minimum = { XXX = 3 }", "unknown_currency"),
        ("minimum = { USD = 0 }", "not_positive"),
        ("minimum = { USD = -5 }", "not_positive"),
        ("minimum = { USD = 0.001 }", "too_many_decimals"),
        ("minimum = { JPY = 0.5 }", "too_many_decimals"),
        ("minimum = { USD = true }", "not_text"),
        ("grant = { USD = 99999999999999 }", "too_large"),
        ("percentages = [1]", "not_a_table"),
        ("percentages = [{ percent = 1 }]", "missing"),
        ('percentages = [{ code = "a" }]', "missing"),
        ('percentages = [{ code = "a", percent = 0 }]', "not_a_percentage"),
        ('percentages = [{ code = "a", percent = "-1" }]', "not_a_percentage"),
        ('percentages = [{ code = "a", percent = "1e2" }]', "not_a_percentage"),
        ('percentages = [{ code = "a", percent = 1, of = [] }]', "unknown_key"),
        ('percentages = [{ code = "a", percent = 1 }, { code = "a", percent = 2 }]', "twice"),
    ],
)
def test_terms_that_cannot_be_right_are_refused(text: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read(text)
    assert refusal.value.fields["reason"] == reason
