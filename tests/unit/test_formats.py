"""Figures and times as text: exact, unambiguous, right in each language."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.rendering import formats

NB = "\N{NO-BREAK SPACE}"
NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", f"USD{NB}−1,234,567.89"),
        ("de", f"−1.234.567,89{NB}USD"),
        ("fr", f"−1{NARROW}234{NARROW}567,89{NB}USD"),
        ("ja", f"USD{NB}−1,234,567.89"),
        ("en-IN", f"USD{NB}−12,34,567.89"),
        ("xx", f"USD{NB}−1,234,567.89"),
    ],
)
def test_money_is_written_with_its_code_and_a_true_minus_in_each_language(locale: str, text: str) -> None:
    assert formats.money(-123456789, "USD", locale=locale) == text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (487143, "JPY", "487,143"),
        (1, "KWD", "0.001"),
        (-5, "KWD", "−0.005"),
        (0, "USD", "0.00"),
        (1, "CLF", "0.0001"),
        (10**15, "USD", "10,000,000,000,000.00"),
        (5, "USD", "0.05"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert formats.amount(minor, currency) == text


def test_a_signed_credit_shows_its_plus_and_zero_shows_none() -> None:
    assert formats.amount(500, "USD", signed=True) == "+5.00"
    assert formats.amount(0, "USD", signed=True) == "0.00"
    assert formats.amount(-500, "USD", signed=True) == "−5.00"


def test_only_an_axis_may_leave_out_zero_cents() -> None:
    assert formats.money(200000, "USD", trim=True) == f"USD{NB}2,000"
    assert formats.money(200050, "USD", trim=True) == f"USD{NB}2,000.50"


def test_a_money_value_is_written_like_its_minor_units() -> None:
    assert formats.of(Money(minor=1234, currency="EUR"), locale="de") == f"12,34{NB}EUR"


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(Invalid):
        formats.money(1, "XXX")


@pytest.mark.parametrize("value", [1.5, True, "12", None])
def test_what_is_no_exact_number_never_becomes_a_figure(value: object) -> None:
    with pytest.raises(TypeError):
        formats.money(value, "USD")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        formats.quantity(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (123456789012, "0.123456789012"),
        (10_000_000_000, "0.01"),
        (500_000_000_000, "0.50"),
        (2_950_000_000_000, "2.95"),
        (12_345_678, "0.000012345678"),
        (3_000_000_000_000, "3.00"),
        (1, "0.000000000001"),
        (-20_000_000_000, "−0.02"),
    ],
)
def test_a_unit_price_is_exact_and_has_at_least_its_cents(pico: int, text: str) -> None:
    assert formats.unit_price_pico(pico, "USD") == f"USD{NB}{text}"


def test_a_unit_price_of_yen_needs_no_point() -> None:
    assert formats.unit_price(Decimal(3), "JPY") == f"JPY{NB}3"
    assert formats.unit_price(Decimal("0.125"), "JPY", locale="de") == f"0,125{NB}JPY"


def test_a_price_that_twelve_digits_cannot_hold_says_so() -> None:
    assert formats.unit_price(Fraction(1, 3), "EUR") == f"≈{NB}EUR{NB}0.333333333333"


def test_an_exact_line_amount_keeps_every_digit() -> None:
    assert formats.micro(1_234_500, "USD") == f"USD{NB}0.012345"
    assert formats.micro(688_333_333, "USD") == f"USD{NB}6.88333333"
    assert formats.micro(500_000_000, "USD") == f"USD{NB}5.00"


@pytest.mark.parametrize(
    ("value", "places", "trim", "text"),
    [
        (Fraction(7, 3), 4, True, f"≈{NB}2.3333"),
        (Fraction(5, 2), 4, True, "2.5"),
        (Fraction(5, 2), 4, False, "2.5000"),
        (Decimal("26233.1522"), 4, True, "26,233.1522"),
        (Fraction(-1, 3), 2, True, f"≈{NB}−0.33"),
        (Fraction(1, 10**9), 4, True, f"≈{NB}0"),
        (Fraction(-1, 10**9), 4, True, f"≈{NB}0"),
        (Fraction(5, 100_000), 4, True, f"≈{NB}0.0001"),
        (10**30, 4, True, "1" + ",000" * 10),
        (0, 4, True, "0"),
    ],
)
def test_a_quantity_is_exact_or_marked_as_rounded(value: Fraction, places: int, trim: bool, text: str) -> None:
    assert formats.quantity(value, places=places, trim=trim) == text


def test_rates_and_shares_in_percent() -> None:
    assert formats.percent(1900) == "19%"
    assert formats.percent(550, locale="de") == f"5,5{NB}%"
    assert formats.share(1, 3) == "33%"
    assert formats.share(2, 3, places=1, locale="de") == f"66,7{NB}%"
    assert formats.share(1, 20, places=1) == "5.0%"
    assert formats.share(5, 0) == "–"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_250_000, "1.3 MB"), (4 * 10**15, "4,000 TB")],
)
def test_file_sizes_in_decimal_units(size: int, text: str) -> None:
    assert formats.file_size(size) == text.replace(" ", NB)


AT = datetime(2026, 7, 1, 12, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "text"),
    [("en", "1 Jul 2026,"), ("de", "01.07.2026,"), ("fr", "1er juil. 2026,"), ("ja", "2026/07/01")],
)
def test_an_instant_names_its_zone_and_uses_twenty_four_hours(locale: str, text: str) -> None:
    assert formats.instant(AT, zone="Europe/Berlin", locale=locale) == f"{text} 14:05{NB}CEST"


def test_a_zone_without_letters_is_named_in_full() -> None:
    assert formats.instant(AT, zone="Asia/Dubai") == f"1 Jul 2026, 16:05{NB}Asia/Dubai"


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        formats.instant(datetime(2026, 7, 1, 12, 5))  # noqa: DTZ001


def test_iso_is_utc() -> None:
    assert formats.iso(AT.astimezone()) == "2026-07-01T12:05:30Z"


def test_whole_local_days_are_inclusive() -> None:
    start, end = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert formats.period(start, end, zone="Europe/Berlin") == "1 to 31 October 2026"
    assert formats.period(start, end, zone="Europe/Berlin", name_zone=True) == "1 to 31 October 2026 (Europe/Berlin)"
    assert formats.period(start, end, zone="Europe/Berlin", locale="de") == "1. bis 31. Oktober 2026"


def test_parts_of_days_show_both_instants() -> None:
    start = datetime(2026, 10, 1, 5, tzinfo=UTC)
    assert formats.period(start, start + timedelta(minutes=50)) == f"1 Oct 2026, 05:00 to 05:50{NB}UTC"
    assert formats.period(start, start + timedelta(seconds=5)) == f"1 Oct 2026, 05:00:00 to 05:00:05{NB}UTC"
    assert formats.period(start, start + timedelta(hours=20)) == f"1 Oct 2026, 05:00 to 2 Oct 2026, 01:00{NB}UTC"


def test_a_window_over_the_change_of_clocks_names_both_zones() -> None:
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    words = formats.period(start, start + timedelta(hours=1), zone="Europe/Berlin")
    assert words == f"25 Oct 2026, 02:30{NB}CEST to 02:30{NB}CET"


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2026, 10, 5), date(2026, 10, 5), "5 October 2026"),
        (date(2026, 9, 28), date(2026, 10, 3), "28 September to 3 October 2026"),
        (date(2026, 12, 20), date(2027, 1, 3), "20 December 2026 to 3 January 2027"),
    ],
)
def test_ranges_of_days_say_no_more_than_needed(first: date, last: date, text: str) -> None:
    assert formats.days(first, last) == text


@pytest.mark.parametrize(
    ("seconds", "text", "oldest"),
    [
        (0, "0 s", "0 seconds"),
        (50, "50 s", "50 seconds"),
        (7_980, "2 h 13 min", "2 hours"),
        (3_600, "1 h", "1 hour"),
        (86_400 + 4 * 3_600, "1 day 4 h", "1 day"),
        (3 * 86_400, "3 days", "3 days"),
        (86_400 + 5, "1 day", "1 day"),
    ],
)
def test_durations_in_two_units_and_ages_in_one(seconds: int, text: str, oldest: str) -> None:
    assert formats.duration(seconds).replace(NB, " ") == text
    assert formats.age(timedelta(seconds=seconds)).replace(NB, " ") == oldest


@pytest.mark.parametrize("locale", ["en", "de", "fr", "ja", "ar", "pl", "sw"])
def test_no_language_leaks_a_key_of_the_library(locale: str) -> None:
    words = [formats.age(n, locale=locale) + formats.duration(n, locale=locale) for n in (1, 70, 4000, 90_000)]
    assert not [word for word in words if "duration" in word]
    assert formats.month(date(2026, 10, 31), locale=locale)


# What each of the four languages writes, by hand: the figures of one invoice, one event, one month.
@pytest.mark.parametrize(
    ("locale", "amount", "yen", "dinar", "unit_price", "quantity", "rate", "size"),
    [
        ("en", f"USD{NB}1,234,567.89", f"JPY{NB}−487,143", f"KWD{NB}0.005", f"USD{NB}0.0000125", f"≈{NB}1,724.3667", "5.5%", f"1.3{NB}MB"),
        ("de", f"1.234.567,89{NB}USD", f"−487.143{NB}JPY", f"0,005{NB}KWD", f"0,0000125{NB}USD", f"≈{NB}1.724,3667", f"5,5{NB}%", f"1,3{NB}MB"),
        ("fr", f"1{NARROW}234{NARROW}567,89{NB}USD", f"−487{NARROW}143{NB}JPY", f"0,005{NB}KWD", f"0,0000125{NB}USD", f"≈{NB}1{NARROW}724,3667", f"5,5{NB}%", f"1,3{NB}Mo"),
        ("ja", f"USD{NB}1,234,567.89", f"JPY{NB}−487,143", f"KWD{NB}0.005", f"USD{NB}0.0000125", f"≈{NB}1,724.3667", "5.5%", f"1.3{NB}MB"),
    ],
)  # fmt: skip
def test_figures_in_each_language(
    locale: str, amount: str, yen: str, dinar: str, unit_price: str, quantity: str, rate: str, size: str
) -> None:
    assert formats.money(123456789, "USD", locale=locale) == amount
    assert formats.money(-487143, "JPY", locale=locale) == yen
    assert formats.money(5, "KWD", locale=locale) == dinar
    assert formats.unit_price(Decimal("0.0000125"), "USD", locale=locale) == unit_price
    assert formats.quantity(Fraction(620772, 360), locale=locale) == quantity
    assert formats.percent(550, locale=locale) == rate
    assert formats.file_size(1_250_000, locale=locale) == size


@pytest.mark.parametrize(
    ("locale", "in_month", "in_year", "over_years", "single"),
    [
        ("en", "1 to 31 October 2026", "28 September to 3 October 2026", "20 December 2026 to 3 January 2027", "1 October 2026"),
        ("de", "1. bis 31. Oktober 2026", "28. September bis 3. Oktober 2026", "20. Dezember 2026 bis 3. Januar 2027", "1. Oktober 2026"),
        ("fr", "du 1er au 31 octobre 2026", "du 28 septembre au 3 octobre 2026", "du 20 décembre 2026 au 3 janvier 2027", "1er octobre 2026"),
        ("ja", "2026年10月1日から31日まで", "2026年9月28日から10月3日まで", "2026年12月20日から2027年1月3日まで", "2026年10月1日"),
        ("pl", "1 października 2026 – 31 października 2026", "28 września 2026 – 3 października 2026", "20 grudnia 2026 – 3 stycznia 2027", "1 października 2026"),
    ],
)  # fmt: skip
def test_ranges_of_days_in_each_language_say_both_ends(
    locale: str, in_month: str, in_year: str, over_years: str, single: str
) -> None:
    assert formats.days(date(2026, 10, 1), date(2026, 10, 31), locale=locale) == in_month
    assert formats.days(date(2026, 9, 28), date(2026, 10, 3), locale=locale) == in_year
    assert formats.days(date(2026, 12, 20), date(2027, 1, 3), locale=locale) == over_years
    assert formats.days(date(2026, 10, 1), date(2026, 10, 1), locale=locale) == single


@pytest.mark.parametrize(
    ("locale", "window", "on", "month", "three_hours", "just_now"),
    [
        ("en", f"1 Oct 2026, 05:00 to 05:50{NB}UTC", "1 Nov", "October 2026", "3 hours ago", "1 second ago"),
        ("de", f"01.10.2026, 05:00 bis 05:50{NB}UTC", "1. Nov.", "Oktober 2026", "vor 3 Stunden", "vor 1 Sekunde"),
        ("fr", f"1er oct. 2026, 05:00 à 05:50{NB}UTC", "1er nov.", "octobre 2026", "il y a 3 heures", "il y a 1 seconde"),
        ("ja", f"2026/10/01 05:00～05:50{NB}UTC", "11月1日", "2026年10月", "3 時間前", "1 秒前"),
    ],
)  # fmt: skip
def test_times_in_each_language(locale: str, window: str, on: str, month: str, three_hours: str, just_now: str) -> None:
    start = datetime(2026, 10, 1, 5, tzinfo=UTC)
    assert formats.period(start, start + timedelta(minutes=50), locale=locale) == window
    assert formats.day_of_year(date(2026, 11, 1), locale=locale) == on
    assert formats.month(date(2026, 10, 31), locale=locale) == month
    assert formats.ago(3 * 3600 + 59, locale=locale) == three_hours.replace(" ", NB)
    assert formats.ago(0, locale=locale) == just_now.replace(" ", NB)


@pytest.mark.parametrize(
    ("locale", "small", "large", "yen"),
    [
        ("en", f"USD{NB}2,500", f"USD{NB}1.25M", f"JPY{NB}−12T"),
        ("de", f"2.500{NB}USD", f"1,25{NB}Mio.{NB}USD", f"−12{NB}Bio.{NB}JPY"),
        ("fr", f"2{NARROW}500{NB}USD", f"1,25{NB}M{NB}USD", f"−12{NB}Bn{NB}JPY"),
        ("ja", f"USD{NB}2,500", f"USD{NB}125万", f"JPY{NB}−12兆"),
    ],
)
def test_an_axis_shortens_what_would_not_fit_beside_a_chart(locale: str, small: str, large: str, yen: str) -> None:
    assert formats.axis_money(250_000, "USD", locale=locale) == small
    assert formats.axis_money(Fraction(125_000_000), "USD", locale=locale) == large
    assert formats.axis_money(-12 * 10**12, "JPY", locale=locale) == yen
