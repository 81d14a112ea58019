"""The tiers, the floors and the evidence check what they say they check."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.confidence import evidence, floors, run
from tests.confidence.floors import Covered, by_room, fallen, read_floors, shortfalls
from tests.confidence.tiers import TIERS

ROOMS = {path.name for path in (floors.ROOT / "billing").iterdir() if (path / "__init__.py").exists()}


def covered(lines: int, of: int, branches: int, branches_of: int) -> Covered:
    return Covered(lines=lines, lines_of=of, branches=branches, branches_of=branches_of)


def entry(lines: int, of: int, branches: int, branches_of: int) -> dict[str, Any]:
    names = ("covered_lines", "num_statements", "covered_branches", "num_branches")
    return {"summary": dict(zip(names, (lines, of, branches, branches_of), strict=True))}


COVERAGE = {
    "files": {
        "billing/rating/rater.py": entry(90, 100, 30, 40),
        "billing/rating/curves/flat.py": entry(10, 10, 0, 0),
        "billing/ledger/book.py": entry(50, 100, 10, 20),
        "billing/__init__.py": entry(0, 1, 0, 0),
        "portal/access.py": entry(0, 100, 0, 100),
    }
}


def test_rooms_are_summed_over_their_files_and_nothing_else_counts() -> None:
    found = by_room(COVERAGE)
    assert found == {"rating": covered(100, 110, 30, 40), "ledger": covered(50, 100, 10, 20)}
    assert (found["ledger"].line_percent, found["rating"].branch_percent) == (50.0, 75.0)


def test_each_room_stands_alone_so_that_a_good_one_hides_no_bad_one() -> None:
    found = {"rating": covered(100, 100, 10, 10), "ledger": covered(1, 100, 10, 10)}
    floor = {"rating": {"line": 90.0, "branch": 90.0}, "ledger": {"line": 90.0, "branch": 90.0}}
    assert list(shortfalls(found, floor)) == ["ledger: line coverage is 1.00 %, its floor is 90.00 %"]


def test_a_room_without_a_floor_and_a_floor_without_a_room_are_shortfalls() -> None:
    assert list(shortfalls({"rating": covered(1, 1, 1, 1)}, {"ledger": {"line": 0.0, "branch": 0.0}})) == [
        "rating has no floor: add it to tests/confidence/floors.toml",
        "ledger was not measured",
    ]


def test_every_room_of_billing_has_a_floor_in_every_environment() -> None:
    present = read_floors(floors.FILE.read_text())
    assert set(present) == set(floors.ENVIRONMENTS)
    for environment, rooms in present.items():
        assert set(rooms) == ROOMS, environment
    for room in ROOMS:  # an environment that runs more is held to no less
        for kind in ("line", "branch"):
            assert present["local"][room][kind] <= present["ci"][room][kind] <= present["release"][room][kind], room


def test_no_floor_ever_fell() -> None:
    present = read_floors(floors.FILE.read_text())
    assert [sentence for before in floors.earlier_floors() for sentence in fallen(before, present)] == []


def test_a_floor_that_falls_or_goes_is_named() -> None:
    before = {"ci": {"rating": {"line": 90.0, "branch": 80.0}, "ledger": {"line": 90.0, "branch": 80.0}}}
    now = {"ci": {"rating": {"line": 90.0, "branch": 79.9}}}
    assert list(fallen(before, now)) == [
        "ci.rating: the branch floor fell from 80.0 to 79.9",
        "ci.ledger: the line floor fell from 90.0 to None",
        "ci.ledger: the branch floor fell from 80.0 to None",
    ]
    gone = {"ci": {"no_such_room": {"line": 90.0, "branch": 80.0}}}
    assert list(fallen(gone, {})) == []


@pytest.mark.parametrize(
    "text", ["[moon.rating]\nline=1\nbranch=1", "[ci.rating]\nline=1", "[ci.rating]\nline=101\nbranch=1"]
)
def test_floors_that_say_nothing_sensible_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"floors\.toml"):
        read_floors(text)


def test_the_checker_runs_alone_on_a_coverage_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "coverage.json"
    rooms = {f"billing/{room}/x.py": entry(100, 100, 100, 100) for room in ROOMS}
    path.write_text(json.dumps({"files": rooms}))
    assert floors.main([str(path), "--environment", "release"]) == 0
    path.write_text(json.dumps({"files": {**rooms, "billing/ledger/x.py": entry(1, 100, 1, 100)}}))
    assert floors.main([str(path), "--environment", "local"]) == 1
    assert "ledger: line coverage is 1.00 %" in capsys.readouterr().err
    path.write_text("no json")
    assert floors.main([str(path)]) == 2


def test_what_was_promised_and_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "none.xml").write_text('<testsuites><testsuite tests="3" skipped="3"/></testsuites>')
    (tmp_path / "some.xml").write_text('<testsuites><testsuite tests="3" skipped="2"/></testsuites>')
    assert list(evidence.missing(tmp_path, ["some.xml"])) == []
    assert list(evidence.missing(tmp_path, ["absent", "empty.json", "none.xml"])) == [
        "absent was promised and is not there",
        "empty.json was promised and is not there",
        "none.xml names no test that ran",
    ]


def test_the_index_shows_what_was_altered_removed_or_added(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    evidence.write(tmp_path, {"run_id": "x"}, ["a"])
    assert list(evidence.differences(tmp_path)) == []
    (tmp_path / "b").write_text("B")
    (tmp_path / "c").write_text("c")
    (tmp_path / "a").unlink()
    assert list(evidence.differences(tmp_path)) == [
        "a was promised and is not there",
        "a is gone",
        "b was altered after the index was made",
        "c was added after the index was made",
    ]
    assert evidence.main([str(tmp_path)]) == 1


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_run_id_that_is_no_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run.main(["pr-fast", run_id, "--runs", str(tmp_path)])
    assert refused.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_evidence_of_an_earlier_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SystemExit) as refused:
        run.main(["pr-fast", "mine", "--runs", str(tmp_path)])
    assert refused.value.code == 2


def test_each_tier_runs_all_that_the_one_before_it_proves() -> None:
    fast, medium, heavy = (
        {stage.name for stage in TIERS[name].stages} for name in ("pr-fast", "merge-medium", "release-heavy")
    )
    assert {"check", "tests", "workflows"} <= fast <= medium <= heavy
    assert all(stage.artifacts for tier in TIERS.values() for stage in tier.stages)
