"""docs/asvs.yaml is OWASP ASVS 5.0.0 whole for levels 1 and 2, and every test that it names exists."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# {section: the level of each of its requirements in their order}, as the standard's own table of 2025-05 has them.
LEVELS = {
    "V1.1": "22", "V1.2": "1111122223", "V1.3": "112222222223", "V1.4": "222", "V1.5": "123",
    "V2.1": "122", "V2.2": "112", "V2.3": "12223", "V2.4": "23",
    "V3.1": "3", "V3.2": "113", "V3.3": "12223", "V3.4": "11222233", "V3.5": "11122333", "V3.6": "3", "V3.7": "22333",
    "V4.1": "12233", "V4.2": "23333", "V4.3": "22", "V4.4": "1222",
    "V5.1": "2", "V5.2": "112333", "V5.3": "113", "V5.4": "222",
    "V6.1": "122", "V6.2": "111111112222", "V6.3": "11223333", "V6.4": "112233", "V6.5": "22222333", "V6.6": "2223", "V6.7": "33",
    "V6.8": "2222",
    "V7.1": "222", "V7.2": "1111", "V7.3": "22", "V7.4": "11222", "V7.5": "223", "V7.6": "22",
    "V8.1": "1233", "V8.2": "1123", "V8.3": "133", "V8.4": "23",
    "V9.1": "111", "V9.2": "1222",
    "V10.1": "22", "V10.2": "223", "V10.3": "22223", "V10.4": "1111122222233333", "V10.5": "22222", "V10.6": "22", "V10.7": "222",
    "V11.1": "2233", "V11.2": "22233", "V11.3": "11233", "V11.4": "1222", "V11.5": "23", "V11.6": "23", "V11.7": "33",
    "V12.1": "12233", "V12.2": "11", "V12.3": "22223",
    "V13.1": "2333", "V13.2": "222223", "V13.3": "2233", "V13.4": "1222233",
    "V14.1": "22", "V14.2": "12223333", "V14.3": "122",
    "V15.1": "12233", "V15.2": "12233", "V15.3": "1222222", "V15.4": "3333",
    "V16.1": "2", "V16.2": "22222", "V16.3": "2222", "V16.4": "222", "V16.5": "2223",
    "V17.1": "23", "V17.2": "22223333", "V17.3": "22",
}  # fmt: skip
FIRST_STEP_TO_COME, LAST_STEP = 3, 12


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.load((ROOT / "docs" / "asvs.yaml").read_bytes(), yaml.CSafeLoader)
    return found


def required() -> dict[str, int]:
    """{id: level} of every requirement of levels 1 and 2."""
    return {
        f"{section}.{number}": int(level)
        for section, levels in LEVELS.items()
        for number, level in enumerate(levels, start=1)
        if level in "12"
    }


@cache
def names_in(path: Path) -> set[str]:
    """The names of the tests in a file, found without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def faults(rows: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the rows, each named by its id."""
    wanted, ids = required(), Counter(row.get("id") for row in rows)
    found = [f"{name}: missing" for name in wanted if name not in ids]
    found += [f"{name}: {count} times" for name, count in ids.items() if count > 1]
    for row in rows:
        name = str(row.get("id"))
        if not re.fullmatch(r"V\d{1,2}\.\d{1,2}\.\d{1,2}", name) or wanted.get(name) != row.get("level"):
            found.append(f"{name}: no requirement of level {row.get('level')}")
        if len(row.get("text", "")) < 15:
            found.append(f"{name}: says nothing")
        found += [f"{name}: {fault}" for fault in _of_status(row)]
    return found


def _of_status(row: dict[str, Any]) -> list[str]:
    status, reason = row.get("status"), row.get("reason", "")
    if status == "met":
        return _of_test(str(row.get("test")))
    if status == "not_applicable":
        return [] if len(reason) >= 15 and "test" not in row else ["does not apply, and says not why"]
    if status == "later":
        is_to_come = isinstance(row.get("step"), int) and FIRST_STEP_TO_COME <= row["step"] <= LAST_STEP
        return (
            [] if is_to_come and len(reason) >= 15 else ["is to come, and says not in which step and what is missing"]
        )
    return [f"has the status {status}"]


def _of_test(node_id: str) -> list[str]:
    path, _, name = node_id.partition("::")
    if not (ROOT / path).is_file() or not path.endswith(".py"):
        return [f"names {path}, which does not exist"]
    return [] if name in names_in(ROOT / path) else [f"names {name}, which is not in {path}"]


def test_the_standard_has_its_345_requirements() -> None:
    assert Counter("".join(LEVELS.values())) == {"1": 70, "2": 183, "3": 92}
    assert len(required()) == 253


def test_every_requirement_has_one_row_with_its_test_or_its_reason(rows: list[dict[str, Any]]) -> None:
    told = faults(rows)
    assert not told, "\n".join(told)
    assert len(rows) == 253


def test_what_is_to_come_is_known(rows: list[dict[str, Any]]) -> None:
    """Shown in the run, so that nobody takes it for done."""
    later = [f"{row['id']} (step {row['step']})" for row in rows if row["status"] == "later"]
    met = sum(row["status"] == "met" for row in rows)
    print(f"ASVS 5.0 level 2: {met} met, {len(later)} to come: {', '.join(later)}")
    assert met > 130
    assert len(later) < 45


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "V1.2.10"}, "V1.2.10: no requirement of level 1"),
        ({"id": "V99.1.1"}, "V99.1.1: no requirement"),
        ({"id": "V1.2.4"}, "V1.2.4: 2 times"),
        ({"level": 2}, "V1.2.1: no requirement of level 2"),
        ({"test": "tests/unit/test_asvs.py::test_gone"}, "V1.2.1: names test_gone, which is not in"),
        ({"test": "tests/gone.py::test_x"}, "V1.2.1: names tests/gone.py, which does not exist"),
        ({"status": "later", "step": 3}, "V1.2.1: is to come, and says not"),
        (
            {"status": "later", "step": 2, "reason": "all of it is missing"},
            "V1.2.1: is to come, and says not in which step",
        ),
        ({"status": "not_applicable"}, "V1.2.1: does not apply, and says not why"),
        ({"status": "done"}, "V1.2.1: has the status done"),
        ({"text": ""}, "V1.2.1: says nothing"),
    ],
)
def test_a_row_that_is_wrong_is_named(rows: list[dict[str, Any]], change: dict[str, Any], named: str) -> None:
    altered = [{**row, **change} if row["id"] == "V1.2.1" else row for row in rows]
    assert any(fault.startswith(named) for fault in faults(altered))
