"""JSON files of any layout, read value by value."""

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering import json_values
from billing.metering.errors import BrokenInput
from billing.metering.sources.port import Reject

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(content: bytes) -> list[object]:
    return [json.loads(value) for _, value in json_values.read(io.BytesIO(content)) if isinstance(value, bytes)]


@given(values=st.lists(VALUES, max_size=8), indent=st.sampled_from([None, 2]), is_ascii=st.booleans())
def test_an_array_gives_its_values_however_it_is_laid_out(
    values: list[object], indent: int | None, is_ascii: bool
) -> None:
    assert read(json.dumps(values, indent=indent, ensure_ascii=is_ascii).encode()) == values


def test_lines_give_one_value_each_with_their_numbers() -> None:
    found = list(json_values.read(io.BytesIO(b'{"a": 1}\r\n\n  {"b": 2}')))
    assert [(number, json.loads(value)) for number, value in found if isinstance(value, bytes)] == [
        (1, {"a": 1}),
        (3, {"b": 2}),
    ]


def test_a_large_array_and_a_compressed_one_are_read_in_pieces() -> None:
    values = [{"n": number, "text": "é" * 50} for number in range(5_000)]
    content = json.dumps(values, ensure_ascii=False).encode()
    assert read(content) == values
    assert read(gzip.compress(content)) == values


@pytest.mark.parametrize(
    ("content", "reason", "whole"),
    [
        (b'[{"a": 1}, {"b"', "truncated", 1),
        (b'[{"a": 1},', "truncated", 1),
        (b"[", "truncated", 0),
        (b'[{"a": 1} {"b": 2}]', "damaged", 1),
        (b'[{"a": 1}, nonsense]', "damaged", 1),
        (b'[{"a": 1}] more', "damaged", 1),
        (b'[{"a": 1},]', "damaged", 1),
    ],
)
def test_an_array_that_breaks_off_gives_what_was_whole(content: bytes, reason: str, whole: int) -> None:
    found = []
    with pytest.raises(BrokenInput) as broken:
        found.extend(json_values.read(io.BytesIO(content)))
    assert len(found) == whole
    assert (broken.value.fields["reason"], broken.value.fields["lines"]) == (reason, whole)


def test_a_line_that_is_no_text_is_refused_by_itself() -> None:
    found = list(json_values.read(io.BytesIO(b'{"a": 1}\n\xff\n{"b": 2}')))
    assert [isinstance(value, Reject) for _, value in found] == [False, True, False]
    assert read(b"") == read(b"  \n") == []
