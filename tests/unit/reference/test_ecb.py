"""The ECB's table is read as it is published; a bad row is named and the rest is kept."""

import os
from datetime import date
from pathlib import Path

import pytest

from billing.kernel.errors import Invalid
from billing.reference import ecb

TODAY = date(2026, 11, 21)
HEAD = "Date,USD,JPY,RUB,\n"


def read(text: str, today: date = TODAY) -> ecb.Table:
    return ecb.read(text.encode(), today=today)


def test_the_history_is_read_newest_first_with_its_trailing_column_and_its_gaps() -> None:
    table = read(HEAD + "2026-10-30,1.1172,175.68,N/A,\r\n2026-10-29,1.113,175.92,N/A,\r\n")
    assert table.bad == ()
    assert [(day.published_on.isoformat(), dict(day.rates)) for day in table.days] == [
        ("2026-10-29", {"USD": "1.113", "JPY": "175.92"}),
        ("2026-10-30", {"USD": "1.1172", "JPY": "175.68"}),
    ]


def test_the_file_of_one_day_is_read_too() -> None:
    (day,) = read("Date, USD, JPY, \n30 October 2026, 1.1172, 175.68, \n").days
    assert (day.published_on, dict(day.rates)) == (date(2026, 10, 30), {"USD": "1.1172", "JPY": "175.68"})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("30.10.2026,1.1,1,N/A,", "not_a_day"),
        ("2026-02-30,1.1,1,N/A,", "not_a_day"),
        ("2026-11-22,1.1,1,N/A,", "in_future"),
        ("1998-12-31,1.1,1,N/A,", "too_early"),
        ("2026-10-28,1.1,1", "wrong_width"),
        ("2026-10-28,1.1,1,N/A,7", "wrong_width"),
        ("2026-10-28,1e3,1,N/A,", "not_a_rate"),
        ("2026-10-28,-1,1,N/A,", "not_a_rate"),
        ("2026-10-28,0.000,1,N/A,", "not_a_rate"),
        ("2026-10-28,NaN,1,N/A,", "not_a_rate"),
        ("2026-10-28,\u0661,1,N/A,", "not_a_rate"),
        ("2026-10-28,1.1111111111111,1,N/A,", "not_a_rate"),
        ("2026-10-28,N/A,N/A,,", "no_rates"),
        ("2026-10-30,1.2,1,N/A,", "twice"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_on(row: str, reason: str) -> None:
    table = read(f"{HEAD}2026-10-30,1.1172,175.68,N/A,\n{row}\n2026-10-27,1.1,170,N/A,\n")
    assert [day.published_on.isoformat() for day in table.days] == ["2026-10-27", "2026-10-30"]
    assert [(bad.line, bad.reason) for bad in table.bad] == [(3, reason)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no_rate_header"),
        (b"<html></html>", "no_rate_header"),
        (b"Date,USD,USD\n", "no_rate_header"),
        (b"Date,us$\n", "no_rate_header"),
        (b"Date\n", "no_rate_header"),
        (b"Date,USD\n\xff\xfe", "rates_not_text"),
        (b"Date,USD\n2026-10-30,1\0", "rates_not_text"),
        (b"PK\x03\x04zip", "no_rate_header"),
        (b"x" * (ecb.MAX_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_such_table_is_refused_whole(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        ecb.read(content, today=TODAY)
    assert refused.value.fields["reason"] == reason


def test_the_published_file_of_three_years_is_read_without_a_bad_row() -> None:
    path = Path(os.environ.get("PLUMBLINE_DATA", "../shared/data")) / "fx/ecb_eurofxref_2023-11-01_2026-10-30.csv"
    if not path.exists():
        pytest.skip("the shared data is not here")
    table = ecb.read(path.read_bytes(), today=TODAY)
    assert (len(table.days), table.bad) == (765, ())
    newest = dict(table.days[-1].rates)
    assert (newest["USD"], newest["ISK"], "RUB" in newest, "BGN" in newest) == ("1.1172", "136", False, False)
