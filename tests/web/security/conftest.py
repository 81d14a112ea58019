"""The seeded world of the gates, for what is tried against every form and page."""

import json
from pathlib import Path

import pytest

from tests.gates.conftest import _walked, clock, own_walk, own_world, walk

__all__ = ["_walked", "clock", "own_walk", "own_world", "walk"]


@pytest.fixture(scope="session")
def naughty(data_dir: Path) -> list[str]:
    """The big list of naughty strings."""
    texts: list[str] = json.loads((data_dir / "bad-input" / "blns.json").read_text(encoding="utf-8"))
    assert len(texts) > 400
    return texts
