"""CSV that leaves: safe in a spreadsheet, exact in its manifest, flat in memory."""

import csv as reader
import hashlib
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from billing.exports import csv


def read_back(export: csv.Export) -> tuple[bytes, list[list[str]]]:
    content = b"".join(export)
    return content, list(reader.reader(io.StringIO(content.decode(), newline="")))


def test_no_payload_can_run_in_a_spreadsheet(data_dir: Path) -> None:
    payloads = (data_dir / "bad-input" / "csv_injection.txt").read_text().splitlines()
    assert len(payloads) == 11
    more = ["+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", '"=1', "＝1+1", "|calc", "\n=1"]
    _, rows = read_back(csv.Export(columns=["text"], rows=[(payload,) for payload in payloads + more]))
    for payload, (cell,) in zip(payloads + more, rows[1:], strict=True):
        assert cell.endswith(payload)
        assert cell.lstrip(" \"'")[:1] not in tuple("=+-@|\t\r\n＝") or cell.startswith("'")
        assert cell == payload or cell == "'" + payload


def test_a_separator_in_another_locale_starts_no_new_cell() -> None:
    content, _ = read_back(csv.Export(columns=["text"], rows=[("a;=1+1",), ("b\t=1+1",)]))
    assert content == b'text\r\n"a;=1+1"\r\n"b\t=1+1"\r\n'


def test_numbers_stay_numbers() -> None:
    row = (
        -5,
        Decimal("-0.50"),
        Fraction(7, 3),
        Fraction(-1, 3),
        datetime(2016, 12, 22, 7, 3, 30, tzinfo=UTC),
        date(2016, 12, 22),
        None,
    )
    _, rows = read_back(csv.Export(columns=list("abcdefg"), rows=[row]))
    assert rows[1] == ["-5", "-0.5", "2.333333333333", "-0.333333333333", "2016-12-22T07:03:30Z", "2016-12-22", ""]


@pytest.mark.parametrize(
    ("value", "least", "text"),
    [
        (Fraction(0), 6, "0.000000"),
        (Fraction(5109), 6, "5109.000000"),
        (Fraction(2033, 10), 6, "203.300000"),
        (Fraction(2, 3), 6, "0.666666666667"),
        (Fraction(-1, 10**13), 6, "0.000000"),
        (Fraction(5, 10**13), 0, "0.000000000001"),
        (Fraction(10**20), 0, "100000000000000000000"),
    ],
)
def test_decimals_are_plain_and_rounded_half_up_at_twelve_places(value: Fraction, least: int, text: str) -> None:
    assert csv.decimal_text(value, least=least) == text


def test_the_manifest_says_what_the_file_holds() -> None:
    export = csv.Export(columns=["name", "minor"], rows=((f"row {n}", n) for n in range(2500)), sum_column="minor")
    content, rows = read_back(export)
    assert len(rows) == 2501
    assert export.manifest.to_json() == {
        "columns": ["name", "minor"],
        "count": 2500,
        "sum_column": "minor",
        "sum": "3123750",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert export.manifest.is_complete


def test_an_export_that_is_broken_off_has_no_hash() -> None:
    def rows() -> object:
        yield ("a",)
        raise RuntimeError

    export = csv.Export(columns=["text"], rows=rows())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        b"".join(export)
    assert not export.manifest.is_complete
    assert export.manifest.sha256 == ""


def test_quotes_commas_and_lines_come_back_as_they_were() -> None:
    texts = ['say "hi"', "a,b", "two\nlines", " padded ", "plain"]
    _, rows = read_back(csv.Export(columns=["text"], rows=[(text,) for text in texts]))
    assert [row[0] for row in rows[1:]] == texts


def test_a_missing_sum_column_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="no column"):
        csv.Export(columns=["a"], rows=[], sum_column="b")
