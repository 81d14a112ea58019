"""Price books as written: what is read, and what is refused with which reason."""

from datetime import UTC, datetime

import pytest

from billing.catalog import book_files
from billing.catalog.skus import SKUS
from billing.kernel.errors import Invalid
from billing.rating import curves
from billing.rating.curves.terms import Terms

METER_OF = {code: sku.meter_code for code, sku in SKUS.items()}
HEADER = 'code = "acme"\nname = "Acme"\ncurrency = "USD"\nvalid_from = 2026-01-01T00:00:00Z\n'


def book(price: str, header: str = HEADER) -> str:
    return f"{header}[[prices]]\n{price}\n"


def read(text: str) -> book_files.BookFacts:
    return book_files.read(text, meter_of=METER_OF)


def reason_of(text: str) -> str:
    with pytest.raises(Invalid) as refusal:
        read(text)
    return str(refusal.value.fields["reason"])


CPU = 'sku = "compute/cpu_hour"\n'


def test_a_bare_number_keeps_its_digits() -> None:
    [price] = read(book(CPU + 'model = "per_unit"\nunit_price = 0.10')).prices
    assert price.parameters == {"unit_price": "0.10"}
    assert price.currency == "USD"
    assert price.valid_from == datetime(2026, 1, 1, tzinfo=UTC)


def test_twelve_decimals_are_kept_and_thirteen_refused() -> None:
    [price] = read(book('sku = "inference/token_input"\nmodel = "per_unit"\nunit_price = 0.000000006001')).prices
    assert price.parameters == {"unit_price": "0.000000006001"}
    assert reason_of(book(CPU + 'model = "per_unit"\nunit_price = 0.0000000060011')) == "too_many_places"


def test_spelling_order_and_zone_do_not_change_the_content() -> None:
    one = read(
        book(CPU + 'model = "per_unit"\nunit_price = 0.50')
        + book('sku = "analytics/query"\nmodel = "per_unit"\nunit_price = 1', "")
    )
    other = read(
        'name = "Acme"\ncode = "acme"\n'
        '[[prices]]\nsku = "analytics/query"\ncurrency = "USD"\nvalid_from = 2026-01-01T01:00:00+01:00\nunit_price = "1.000"\nmodel = "per_unit"\n'
        '[[prices]]\nmodel = "per_unit"\nsku = "compute/cpu_hour"\ncurrency = "USD"\nvalid_from = 2025-12-31T19:00:00-05:00\nunit_price = "0.5"\n'
    )
    assert one.content_hash == other.content_hash
    assert one.content_hash != read(book(CPU + 'model = "per_unit"\nunit_price = 0.51')).content_hash


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('model = "per_unit"\nunit_price = -0.10', "below_zero"),
        ('model = "per_unit"\nunit_price = 1e-3', "not_a_price"),
        ('model = "per_unit"\nunit_price = nan', "not_a_price"),
        ('model = "per_unit"\nunit_price = inf', "not_a_price"),
        ('model = "per_unit"\nunit_price = 1_000.5', "not_a_price"),
        ('model = "per_unit"\nunit_price = "٣"', "not_a_price"),
        ('model = "per_unit"\nunit_price = true', "not_a_price"),
        ('model = "per_unit"\nunit_price = [1]', "not_a_price"),
        ('model = "per_unit"\nunit_price = 99999999999999', "too_large"),
        ('model = "per_unit"', "missing"),
        ('model = "per_unit"\nunit_price = 1\nunit_prize = 2', "unknown_key"),
        ('model = "hourly"\nunit_price = 1', "unknown_model"),
        ("unit_price = 1", "missing"),
        ("model = 3\nunit_price = 1", "not_text"),
        ('model = "per_unit"\nunit_price = 1\ncurrency = "XXX"', "unknown_currency"),
        ('model = "per_unit"\nunit_price = 1\ncurrency = "usd"', "unknown_currency"),
        ('model = "per_unit"\nunit_price = 1\nvalid_from = 2026-01-01T00:00:00', "naive_time"),
        ('model = "per_unit"\nunit_price = 1\nvalid_from = 2026-01-01', "naive_time"),
        ('model = "per_unit"\nunit_price = 1\nvalid_from = "2026-01-01T00:00:00Z"', "not_an_instant"),
        ('model = "per_unit"\nunit_price = 1\nvalid_from = 0001-01-01T00:00:00+14:00', "not_an_instant"),
        ('model = "per_unit"\nunit_price = 1\nvalid_from = 2026-01-01T00:00:00.5Z', "not_whole_seconds"),
        ('model = "graduated"\ntiers = []', "not_a_list_of_tiers"),
        ('model = "graduated"\ntiers = [1]', "not_a_list_of_tiers"),
        ('model = "graduated"\ntiers = [{ up_to = 100, unit_price = 1 }]', "only_the_last_tier_is_open"),
        ('model = "volume"\ntiers = [{ unit_price = 1 }, { unit_price = 2 }]', "only_the_last_tier_is_open"),
        (
            'model = "graduated"\ntiers = [{ up_to = 9, unit_price = 1 }, { up_to = 9, unit_price = 1 }, { unit_price = 2 }]',
            "bounds_must_rise",
        ),
        ('model = "graduated"\ntiers = [{ up_to = 0, unit_price = 1 }, { unit_price = 2 }]', "bounds_must_rise"),
        ('model = "allowance"\nfree = 0.00000001\nunit_price = 1', "not_whole_base_units"),
        ('model = "package"\npackage_size = 0\npackage_price = 1', "not_positive"),
    ],
)
def test_a_price_that_cannot_be_right_is_refused_and_numbered(line: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read(book(CPU + line))
    assert refusal.value.fields["reason"] == reason
    assert refusal.value.fields["price"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing"),
        ("code = ", "not_toml"),
        (HEADER, "missing"),
        (HEADER + "prices = 3", "missing"),
        ("x = 1\n" + book(CPU + 'model = "per_unit"\nunit_price = 1'), "unknown_key"),
        (book('sku = "compute/tpu_hour"\nmodel = "per_unit"\nunit_price = 1'), "unknown_sku"),
        (book(CPU + 'model = "per_unit"\nunit_price = 1', HEADER.replace("acme", "a\\u0000b")), "control_character"),
        (book(CPU + 'model = "per_unit"\nunit_price = 1', HEADER.replace("valid_from", "#")), "missing"),
        (book(CPU + 'model = "per_unit"\nunit_price = 1', HEADER.replace("currency", "#")), "missing"),
        ("a = " + "[" * 100_000, "not_toml"),
        ("a = " + "9" * 10_000, "not_toml"),
        ("#" * 1_000_001, "too_large"),
    ],
    ids=lambda value: value[:30],
)
def test_a_book_that_cannot_be_read_is_refused(text: str, reason: str) -> None:
    assert reason_of(text) == reason


def test_two_prices_from_the_same_instant_are_refused() -> None:
    twice = book(CPU + 'model = "per_unit"\nunit_price = 1') + book(
        CPU + 'model = "per_unit"\nunit_price = 1\nvalid_from = 2026-01-01T02:00:00+02:00', ""
    )
    assert reason_of(twice) == "overlapping"


@pytest.mark.parametrize(
    ("line", "quantity_hours", "cost_minor"),
    [
        ('model = "per_unit"\nunit_price = 0.50', 3, 150),
        ('model = "flat"\namount = 25.00', 3, 2500),
        ('model = "package"\npackage_size = 10\npackage_price = 2.00', 11, 400),
        ('model = "allowance"\nfree = 100\nunit_price = 0.10', 300, 2000),
        ('model = "graduated"\ntiers = [{ up_to = 100, unit_price = 0.015 }, { unit_price = 0.010 }]', 200, 250),
        ('model = "volume"\ntiers = [{ up_to = 1000, unit_price = 1.00 }, { unit_price = 0.80 }]', 1100, 88000),
    ],
)
def test_what_a_book_holds_is_what_rating_reads(line: str, quantity_hours: int, cost_minor: int) -> None:
    [price] = read(book(CPU + line)).prices
    curve = curves.of(price.model)(price.parameters, Terms(currency="USD", base_per_unit=3_600_000))
    assert curve.cost(quantity_hours * 3_600_000) == cost_minor


def test_catalog_and_rating_know_the_same_models() -> None:
    from billing.catalog import models

    assert set(models.MODELS) == set(curves.MODELS)
