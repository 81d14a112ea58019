"""Documents say the same in every language: each key is there, is used, and has the same facts in it."""

import re
from pathlib import Path
from string import Formatter

import pytest

from billing.rendering import document_words
from billing.rendering.document_voice import Voice

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "templates" / "documents"
SOURCES = [
    *TEMPLATES.glob("*.html"),
    *TEMPLATES.glob("*.css"),
    ROOT / "billing/invoicing/documents/page.py",
    ROOT / "billing/rendering/document_voice.py",
]
# Keys that are put together: the head of the key, and what may follow.
PUT_TOGETHER = {
    *(f"category_{code}" for code in ("S", "Z", "E", "AE", "K", "G", "O")),
    *("gift", "gift_back", "discount", "discount_back"),
    *("invoice", "credit_note"),  # the document's kind
}


def _used() -> set[str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    quoted = set(re.findall(r"[\"']([a-zA-Z_]+)[\"']", text))
    return quoted & document_words.keys() | PUT_TOGETHER


def test_every_word_of_a_template_is_in_the_table() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    called = set(re.findall(r"\bv\(\"([a-z_A-Z]+)\"", text)) - {"category_"}
    assert called - document_words.keys() == set()
    assert len(called) > 40


def test_no_word_stands_in_the_table_unused() -> None:
    assert document_words.keys() - _used() == set()


@pytest.mark.parametrize("key", sorted(document_words.keys()))
def test_a_word_is_written_in_each_language_with_the_same_facts(key: str) -> None:
    written = [document_words.word(key, language) for language in document_words.LANGUAGES]
    facts = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in written]
    assert all(text.strip() for text in written)
    assert facts[0] == facts[1] == facts[2]


def test_figures_and_days_are_written_as_the_language_writes_them() -> None:
    english, german, french = (Voice(language) for language in document_words.LANGUAGES)
    assert english.money(-123_456, "EUR") == "EUR\u00a0−1,234.56"
    assert german.money(-123_456, "EUR") == "−1.234,56\u00a0EUR"
    assert french.money(123_456, "EUR") == "1\u202f234,56\u00a0EUR"
    assert [voice.day("2026-10-01") for voice in (english, german, french)] == [
        "1 October 2026",
        "1. Oktober 2026",
        "1er octobre 2026",
    ]
    assert [voice.country("DE") for voice in (english, german, french)] == ["Germany", "Deutschland", "Allemagne"]
    assert german.price("0.010", "EUR") == "0,010"
    assert german.rate("1/3") == "≈\u00a00,333333"
    assert german.unit("core-hour", "1") == "Kernstunde"
    assert french.unit("core-hour", "2.5") == "heures-cœur"
    assert german.unit("parsec", "2") == "parsecs"


def test_a_reason_is_said_as_the_law_of_the_language_says_it() -> None:
    stored = "Reverse charge: VAT is due from the recipient"
    assert document_words.reason("reverse_charge", stored, "en") == stored
    assert "Steuerschuldnerschaft des Leistungsempfängers" in document_words.reason("reverse_charge", stored, "de")
    assert "Autoliquidation" in document_words.reason("reverse_charge", stored, "fr")
    assert document_words.reason("manual", "GST 10 %", "de") == "GST 10 %"


def test_details_of_a_line_are_said_in_the_language_and_names_stay() -> None:
    german = Voice("de")
    assert german.detail("Project vision · Late usage for 2026-10 · 5 reports: 3 free") == (
        "Projekt vision · Nachgemeldete Nutzung für Oktober 2026 · 5 reports: 3 free"
    )
    assert Voice("en").detail("Project vision") == "Project vision"


def test_a_language_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="not written in"):
        Voice("tlh")


def test_a_rate_that_is_rounded_says_so_in_place_of_the_equals_sign() -> None:
    english = Voice("en")
    assert english.equal_rate("1.08") == "=\u00a01.08"
    assert english.equal_rate("1/3") == "≈\u00a00.333333"
    assert "=" not in english("tax_rate_of", currency="USD", rate=english.equal_rate("1/3"), to="EUR", day="1 May")
