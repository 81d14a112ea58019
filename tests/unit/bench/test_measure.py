"""How benchmarks compare and judge."""

import json
from collections.abc import Iterator

import pytest

from tests.bench import joblog, measure
from tests.bench.measure import Goal, WrongWork, compare, judge, percentile, require

AT_LEAST, AT_MOST = Goal(at_least=0.60), Goal(at_most=1.2)


@pytest.mark.parametrize(
    ("goal", "ratios", "aa_ratio", "verdict"),
    [
        (AT_LEAST, [0.7, 0.8, 0.75], 1.0, "pass"),
        (AT_LEAST, [0.60, 0.8, 0.75], 1.0, "pass"),
        (AT_LEAST, [0.5, 0.55, 0.59], 1.0, "fail"),
        (AT_LEAST, [0.5, 0.7, 0.65], 1.0, "inconclusive"),
        (AT_LEAST, [0.7, 0.8, 0.75], 1.2, "inconclusive"),
        (AT_LEAST, [0.1, 0.1, 0.1], 0.8, "inconclusive"),
        (AT_MOST, [1.0, 1.2], 1.0, "pass"),
        (AT_MOST, [1.3, 1.4], 1.0, "fail"),
        (AT_MOST, [1.1, 1.3], 1.0, "inconclusive"),
    ],
)
def test_a_verdict_needs_rounds_that_agree_and_a_steady_control(
    goal: Goal, ratios: list[float], aa_ratio: float, verdict: str
) -> None:
    assert judge(goal, sorted(ratios)[len(ratios) // 2], ratios, aa_ratio) == verdict


def test_limit_and_figure_are_interleaved_and_their_medians_compared() -> None:
    calls: list[str] = []
    limits, figures = iter([10.0, 11.0, 9.0, 10.0, 100.0, 10.0]), iter([7.0, 8.0, 90.0])

    def taken(name: str, values: Iterator[float]) -> float:
        calls.append(name)
        return next(values)

    result = compare(
        case="x",
        engine="sqlite",
        size=5,
        unit="rows/s",
        goal=AT_LEAST,
        limit=lambda: taken("limit", limits),
        figure=lambda: taken("figure", figures),
    )
    assert calls == ["limit", "figure", "limit"] * 3
    # medians: 8 of 7, 8, 90; 10 of 9, 10, 10, 10, 11, 100; the control 10 of 11, 10, 10 over 10 of 10, 9, 100
    assert (result.figure, result.limit, result.ratio, result.aa_ratio) == (8.0, 10.0, 0.8, 1.0)
    assert result.verdict == "pass"
    assert result.peak_mb > 0
    assert list(json.loads(result.as_json())) == [
        *("case", "engine", "size", "figure", "unit", "limit", "ratio", "peak_mb", "aa_ratio", "verdict")
    ]


def test_the_wrong_work_is_refused() -> None:
    require("rows", 5, 5)
    with pytest.raises(WrongWork, match="rows: found 4, expected 5"):
        require("rows", 4, 5)


def test_the_99th_percentile_of_two_hundred_is_the_198th() -> None:
    assert percentile([float(value) for value in range(200, 0, -1)], 99) == 198
    assert percentile([3.0], 50) == 3


def test_peak_memory_is_measured_anew() -> None:
    measure.start_peak()
    before = measure.peak_mb()
    block = bytearray(64 * 2**20)
    assert measure.peak_mb() >= before + 60
    assert len(block) == 64 * 2**20


def test_a_made_log_streams_as_many_jobs_as_asked() -> None:
    lines = joblog.stream(1000).read().decode().splitlines()
    assert len(lines) == 1000
    assert {line.count("|") for line in lines} == {25}
    assert len({line.split("|")[0] for line in lines}) == 1000
    # two meters each, and GPUs for every fourth
    assert joblog.records_of(1000) == sum(3 if "gres/gpu=" in line else 2 for line in lines)


@pytest.mark.parametrize(
    ("figures", "is_rate", "slope"),
    [
        ([100.0, 100.0, 100.0], True, 0.0),  # as many a second at any size: a unit costs the same
        ([100.0, 50.0, 25.0], True, 1.0),  # each doubling halves the rate: a unit costs as much more as there are
        ([1.0, 2.0, 4.0], False, 1.0),
        ([8.0, 8.0, 8.0], False, 0.0),
    ],
)
def test_the_slope_says_how_the_cost_of_a_unit_grows(figures: list[float], is_rate: bool, slope: float) -> None:
    results = [
        measure.Result(
            case="x",
            engine="sqlite",
            size=size,
            figure=figure,
            unit="",
            limit=1,
            ratio=1,
            peak_mb=1,
            aa_ratio=1,
            verdict="pass",
        )
        for size, figure in zip((1_000, 2_000, 4_000), figures, strict=True)
    ]
    assert measure.slope(results, is_rate=is_rate) == pytest.approx(slope, abs=0.001)
