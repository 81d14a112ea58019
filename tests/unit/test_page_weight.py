"""What a browser loads on its first visit stays light: at most 25 kB of script and 100 kB of the rest, compressed."""

import gzip
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
PAGE_ALLOWANCE = 20_000


def compressed(*patterns: str) -> int:
    files = [file for pattern in patterns for file in STATIC.glob(pattern)]
    assert files, f"nothing matches {patterns}"
    return sum(
        len(file.read_bytes() if file.suffix == ".woff2" else gzip.compress(file.read_bytes(), 6)) for file in files
    )


def test_scripts_are_at_most_25_kilobytes() -> None:
    assert compressed("*.js", "vendor/*.js") <= 25_000


def test_styles_fonts_and_icons_leave_room_for_the_page_itself() -> None:
    assert compressed("*.css", "vendor/*.css", "fonts/*.woff2", "*.svg") <= 100_000 - PAGE_ALLOWANCE
