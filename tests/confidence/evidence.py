"""The index of a run: every file it left, with size and hash; what was promised and is not there makes the run fail.

Usable alone:  python -m tests.confidence.evidence artifacts/billing-confidence/RUN
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

INDEX = "index.json"


def files_of(run: Path) -> list[dict[str, Any]]:
    """Path, bytes and SHA-256 of every file of the run but the index itself."""
    found = sorted(path for path in run.rglob("*") if path.is_file() and path != run / INDEX)
    return [
        {
            "path": path.relative_to(run).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in found
    ]


def missing(run: Path, promised: Sequence[str]) -> Iterator[str]:
    """Each promised artifact that is absent, empty, or a JUnit file in which no test ran."""
    for name in promised:
        path = run / name
        if not path.is_file() or path.stat().st_size == 0:
            yield f"{name} was promised and is not there"
        elif path.suffix == ".xml" and not _tests_in(path):
            yield f"{name} names no test that ran"


def write(run: Path, facts: dict[str, Any], promised: Sequence[str]) -> None:
    """Write the index: the run's facts, what was promised, and every file."""
    content = {**facts, "promised": list(promised), "files": files_of(run)}
    (run / INDEX).write_text(json.dumps(content, indent=2) + "\n")


def differences(run: Path) -> Iterator[str]:
    """In what the folder differs from its index: promised but absent, altered, removed, or added since."""
    try:
        index = json.loads((run / INDEX).read_text())
    except (OSError, ValueError) as error:
        yield f"the index cannot be read: {error}"
        return
    yield from missing(run, index["promised"])
    indexed = {entry["path"]: entry for entry in index["files"]}
    present = {entry["path"]: entry for entry in files_of(run)}
    for path in sorted(indexed.keys() | present.keys()):
        if path not in present:
            yield f"{path} is gone"
        elif path not in indexed:
            yield f"{path} was added after the index was made"
        elif present[path] != indexed[path]:
            yield f"{path} was altered after the index was made"


def _tests_in(path: Path) -> int:
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  our own file
    except ElementTree.ParseError:
        return 0
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    return sum(int(suite.get("tests", "0")) - int(suite.get("skipped", "0")) for suite in suites)


def main(arguments: list[str]) -> int:
    """Compare a run's folder with its index; 1 when they differ."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.confidence.evidence FOLDER\n")
        return 2
    found = list(differences(Path(arguments[0])))
    for sentence in found:
        sys.stderr.write(sentence + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
