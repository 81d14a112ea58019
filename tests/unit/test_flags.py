"""A flag column is asked by itself (`Row.flag`, `~Row.flag`): `flag IS TRUE` with a bound value is no SQL on PostgreSQL."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ASKED_WITH_IS = re.compile(r"\.is_\((True|False)\)")


def test_no_flag_is_asked_in_a_way_that_only_sqlite_understands() -> None:
    sources = sorted((ROOT / "billing").rglob("*.py"))
    assert len(sources) > 300
    assert [str(path.relative_to(ROOT)) for path in sources if _ASKED_WITH_IS.search(path.read_text("utf-8"))] == []
    assert _ASKED_WITH_IS.search("query.where(Row.flag.is_(True))")
