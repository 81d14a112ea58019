"""Columns of an export are written as columns: the same bytes as cell by cell, however the values are mixed."""

import itertools
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.exports import csv

_SIGNS = st.text(alphabet="=+-@|%＝＋－＠ \t\r\n\0\"',;ab1", max_size=6)
_INSTANTS = st.datetimes(  # UTC has them all: no hour of year 1 or 9999 in another zone
    min_value=datetime(2, 1, 1),  # noqa: DTZ001
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]),
)
_CELLS = {
    "texts": st.none() | _SIGNS,
    "integers": st.none() | st.integers(),
    "instants": st.none() | _INSTANTS,
    "mixed": st.none() | _SIGNS | st.integers() | _INSTANTS | st.dates() | st.fractions(),
}


@pytest.mark.parametrize("kind", _CELLS)
@given(data=st.data())
def test_a_column_has_the_bytes_of_its_cells(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(_CELLS[kind], max_size=8))
    assert csv.column_texts(values) == [csv.cell(value) for value in values]


@given(st.lists(st.tuples(st.integers(), st.integers(min_value=1)), max_size=8))
def test_quotients_are_written_and_summed_like_fractions(pairs: list[tuple[int, int]]) -> None:
    column = csv.Quotients(numerators=[top for top, _ in pairs], denominators=[bottom for _, bottom in pairs])
    fractions = [Fraction(top, bottom) for top, bottom in pairs]
    assert csv.column_texts(column) == [csv.cell(fraction) for fraction in fractions]
    export = csv.Export(columns=["share"], blocks=[[column]] if pairs else [], sum_column="share")
    assert b"".join(export).count(b"\r\n") == len(pairs) + 1
    assert export.manifest.total == sum(fractions)


def test_a_flag_is_refused_among_numbers() -> None:
    with pytest.raises(TypeError):
        csv.column_texts([1, True])


def test_texts_and_dates_have_no_sum() -> None:
    for value in ("1", date(2026, 11, 21)):
        with pytest.raises(TypeError):
            b"".join(csv.Export(columns=["a"], rows=[(value,)], sum_column="a"))


def test_the_first_chunk_takes_a_thousand_rows_and_no_more() -> None:
    taken = 0

    def rows() -> Iterator[tuple[int]]:
        nonlocal taken
        for taken in itertools.count(1):
            yield (taken,)

    first = next(iter(csv.Export(columns=["n"], rows=rows(), sum_column="n")))
    assert first.startswith(b"n\r\n1\r\n")
    assert taken == 1000


def test_memory_does_not_grow_with_the_rows() -> None:
    export = csv.Export(
        columns=["text", "n"], rows=(("x" * 50, n) for n in range(10**9, 10**9 + 30_000)), sum_column="n"
    )
    tracemalloc.start()
    try:
        held = [tracemalloc.get_traced_memory()[0] for _ in export]
    finally:
        tracemalloc.stop()
    assert len(held) == 30
    assert max(held[5:]) < 1.1 * max(held[:5])


def test_naive_times_are_refused_in_columns_too() -> None:
    with pytest.raises(Exception, match="naive_time"):
        csv.column_texts([datetime(2026, 11, 21)])  # noqa: DTZ001
