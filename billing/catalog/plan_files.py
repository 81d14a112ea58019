"""Plans as people write them: TOML. Pure; `plans.load` stores what this reads.

code = "gpu-cloud"
name = "GPU cloud"
book = "gpu-cloud"                     # the price book whose prices in force it uses
valid_from = 2026-01-01T00:00:00Z      # with an offset; left out: always

[terms]                                # see `terms`; left out for prices alone
fees = ["platform"]
minimum = { USD = "1000.00" }
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from billing.accounts import names
from billing.catalog import book_files, terms
from billing.catalog.terms import PlanTerms
from billing.kernel.errors import Invalid

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS = frozenset({"code", "name", "book", "valid_from", "terms"})


@dataclass(frozen=True, kw_only=True)
class PlanFacts:
    """One version of a plan as written, checked."""

    code: str
    name: str
    book_code: str
    valid_from: datetime
    terms: PlanTerms


def read(text: str) -> PlanFacts:
    """The plan that the text holds.

    Raises Invalid: not_toml, unknown_key, missing, not_text, naive_time, not_an_instant, not_whole_seconds, not_a_table, and the
    reasons of `terms.read`.
    """
    content = book_files.parse(text, field="plan")
    for name in content:
        if name not in _KEYS:
            raise Invalid(field=names.shown(name), reason="unknown_key")
    given: Any = content.get("terms", {})
    if not isinstance(given, dict):
        raise Invalid(field="terms", value=ascii(given)[:40], reason="not_a_table")
    return PlanFacts(
        code=names.require_code(book_files.text_of(content, "code"), "plan"),
        name=names.require_name(book_files.text_of(content, "name")),
        book_code=names.require_code(book_files.text_of(content, "book"), "book"),
        valid_from=book_files.instant_of(content) if "valid_from" in content else ALWAYS,
        terms=terms.read(given),
    )
