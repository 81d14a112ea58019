"""Decision 0003: only `storage.database` commits."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMITTER = Path("billing/storage/database.py")


def attribute_calls(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (node.func.attr, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def test_no_module_commits_or_rolls_back_by_hand() -> None:
    modules = [path for room in ("billing", "portal") for path in (ROOT / room).rglob("*.py")]
    assert len(modules) > 50
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules
        for name, line in attribute_calls(path)
        if name in ("commit", "rollback") and path.relative_to(ROOT) != COMMITTER
    ]
    assert found == []


def test_the_search_finds_a_commit_where_there_is_one(tmp_path: Path) -> None:
    module = tmp_path / "service.py"
    module.write_text("def pay(session):\n    session.flush()\n    session.commit()\n")
    assert ("commit", 3) in attribute_calls(module)
