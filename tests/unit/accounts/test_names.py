"""Which texts are kept and which are refused."""

import json
import unicodedata
from pathlib import Path

import pytest

from billing.accounts import names
from billing.kernel.errors import Invalid


def reason_of(text: str, *, is_code: bool) -> str | None:
    try:
        (names.require_code if is_code else names.require_name)(text)
    except Invalid as invalid:
        shown = json.dumps(invalid.fields, ensure_ascii=False)
        shown.encode()  # a refusal can be shown and logged: this raises where it holds half a character
        return str(invalid.fields["reason"])
    return None


@pytest.mark.parametrize(
    "code",
    [
        "calla",
        "balsh-2",
        "gpu.lab_7",
        "A/B",
        "x" * 64,
        "Zürich",
        "研究室",
        "🚀",
        "a b",
        "';DROP TABLE--",
        "<script>",
        "=1+1",
    ],
)
def test_visible_codes_are_kept_as_they_are(code: str) -> None:
    assert names.require_code(code) == code


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "empty"),
        (" ", "empty"),
        (" a", "outer_space"),
        ("a  b", "outer_space"),
        ("x" * 65, "too_long"),
        ("a\tb", "control_character"),
        ("a\n", "control_character"),
        ("a\x00b", "control_character"),
        ("a\x85b", "control_character"),
        ("a\u2028b", "control_character"),
        ("a\ud800b", "not_unicode"),
        ("a\uffffb", "not_unicode"),
        ("a\u200bb", "invisible_character"),
        ("a\ufeff", "invisible_character"),
        ("a\u00a0b", "invisible_character"),
        ("a\u202eb", "direction_control"),
    ],
)
def test_codes_that_could_not_be_told_apart_or_kept_are_refused(code: str, reason: str) -> None:
    assert reason_of(code, is_code=True) == reason


def test_two_spellings_of_one_letter_are_one_code() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Zürich"), unicodedata.normalize("NFD", "Zürich")
    assert composed != decomposed
    assert names.require_code(decomposed) == composed


@pytest.mark.parametrize("name", ["O'Brien & Söhne GmbH", "👩‍👩‍👧", "می‌خواهم", "  outer space goes  "])
def test_names_are_kept_with_their_joiners(name: str) -> None:
    assert names.require_name(name) == name.strip()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("  ", "empty"),
        ("\u200b\ufeff", "empty"),
        ("a\x1b[31mred", "control_character"),
        ("Acme\u202egnp.exe", "direction_control"),
        ("\udfff", "not_unicode"),
        ("x" * 201, "too_long"),
    ],
)
def test_names_that_cannot_be_kept_or_shown_are_refused(name: str, reason: str) -> None:
    assert reason_of(name, is_code=False) == reason


def test_every_naughty_string_is_kept_or_refused_with_a_reason(data_dir: Path) -> None:
    strings = json.loads((data_dir / "bad-input" / "blns.json").read_text(encoding="utf-8"))
    assert len(strings) == 485
    refused_names = {text for text in strings if reason_of(text, is_code=False)}
    refused_codes = {text for text in strings if reason_of(text, is_code=True)}
    for text in strings:
        if text not in refused_names:
            kept = names.require_name(text)
            assert kept.encode()
            assert "\x00" not in kept
        has_control = any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text.strip())
        if has_control:
            assert text in refused_names, text
            assert text in refused_codes, text
    assert len(strings) - len(refused_names) > 450  # refusing everything would also "keep nothing unsafe"
    assert len(strings) - len(refused_codes) > 350


@pytest.mark.parametrize(
    "address", ["ann@acme.example", "Ann.O'Hara+x@Sub.Acme.example", "ops@localhost", "ü@bücher.example"]
)
def test_addresses_are_kept_in_lower_case(address: str) -> None:
    assert names.require_email(f" {address} ") == address.lower()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@acme.example",
        "ann@",
        "ann@acme..example",
        "a b@c.example",
        "<a@b.example>",
        "a@b@c.example",
        "a@-b.example",
        "a\x00@b.example",
    ],
)
def test_texts_that_are_no_address_are_refused(address: str) -> None:
    with pytest.raises(Invalid):
        names.require_email(address)
