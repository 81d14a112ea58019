"""Charts: exact geometry, words for those who do not see them, nothing the content security policy would stop."""

from decimal import Decimal
from fractions import Fraction
from xml.etree import ElementTree

import pytest

from billing.rendering import charts

SVG = "{http://www.w3.org/2000/svg}"


def chart(*rows: tuple[charts.Exact, ...], names: tuple[str, ...] = ()) -> charts.Chart:
    series = tuple(charts.Series(name=names[i] if names else f"series {i}", values=row) for i, row in enumerate(rows))
    labels = tuple(f"day {i}" for i in range(len(rows[0]) if rows else 0))
    return charts.Chart(id="c", title="Cost", description="By day", labels=labels, series=series, tick=str)


def tree(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)  # noqa: S314 - our own markup; parsing proves that it is well formed


def bars(markup: str) -> list[ElementTree.Element]:
    return [rect for rect in tree(markup).iter("rect") if rect.get("y") is not None]


def test_a_stack_ends_where_its_sum_stands_on_the_axis() -> None:
    drawn = bars(charts.stacked_bars(chart((60,), (40,))))
    assert [(rect.get("y"), rect.get("height")) for rect in drawn] == [("80.00", "120.00"), ("0.00", "80.00")]


def test_negative_values_hang_below_zero() -> None:
    markup = charts.stacked_bars(chart((100,), (-100,)))
    drawn = {rect.get("class"): (rect.get("y"), rect.get("height")) for rect in bars(markup)}
    assert drawn == {"s1": ("0.00", "100.00"), "s2": ("100.00", "100.00")}


def test_at_most_nine_series_and_the_rest_is_summed() -> None:
    series = [charts.Series(name=f"s{i:02}", values=(100 - i, Decimal("0.5"))) for i in range(12)]
    folded = charts.fold(series)
    assert [row.name for row in folded] == [f"s{i:02}" for i in range(9)] + ["Other"]
    assert folded[-1].values == (Fraction(91 + 90 + 89), Fraction(3, 2))


def test_amounts_that_are_folded_are_still_amounts() -> None:
    folded = charts.fold([charts.Series(name=f"s{i:02}", values=(i, 1)) for i in range(12)])
    assert all(type(value) is int for row in folded for value in row.values)
    assert folded[-1].values == (0 + 1 + 2, 3)


def test_folding_keeps_the_total() -> None:
    series = [charts.Series(name=str(i), values=(Fraction(i, 7), -i)) for i in range(1, 30)]
    total = sum(Fraction(value) for row in charts.fold(series) for value in row.values)
    assert total == sum(Fraction(i, 7) - i for i in range(1, 30))


def test_a_chart_is_named_and_described() -> None:
    root = tree(charts.stacked_bars(chart((1, 2))))
    plot = next(root.iter("svg"))
    assert plot.get("role") == "img"
    assert plot.get("aria-labelledby") == "c-title c-desc"
    assert [(e.tag, e.get("id"), e.text) for e in plot if e.tag in ("title", "desc")] == [
        ("title", "c-title", "Cost"),
        ("desc", "c-desc", "By day"),
    ]


def test_hostile_names_stay_text() -> None:
    hostile = '<script>alert(1)</script>"&\u202e'
    for draw in (charts.stacked_bars, charts.lines):
        markup = draw(chart((1, 2), names=(hostile,)))
        assert "<script" not in markup
        assert hostile in "".join(tree(markup).itertext())
    assert "<script" not in charts.level(1, 2, title=hostile)
    assert "<script" not in charts.sparkline("x", hostile, (1, 2))


def test_braces_in_names_are_not_a_template() -> None:
    assert "{id}" in "".join(tree(charts.stacked_bars(chart((1, 2), names=("{id}",)))).itertext())


@pytest.mark.parametrize(
    "markup",
    [
        charts.stacked_bars(chart((1, 2), (3, -4))),
        charts.lines(chart((1, 2))),
        charts.sparkline("s", "Trend", (1, 5, 2)),
        charts.level(84, 100, title="84 of 100", marks=(50, 80, 100)),
    ],
)
def test_nothing_inline_that_the_policy_would_stop(markup: str) -> None:
    for element in tree(markup).iter():
        assert element.tag not in ("script", "style")
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("rows", [(), ((),), ((0, 0),), ((5,),)])
def test_empty_and_zero_charts_are_drawn(rows: tuple[tuple[int, ...], ...]) -> None:
    for draw in (charts.stacked_bars, charts.lines):
        assert tree(draw(chart(*rows))).get("class") == "chart"
    tree(charts.sparkline("s", "Nothing yet", ()))


@pytest.mark.parametrize(
    ("used", "tone", "over"),
    [(0, "level-within", "0.00"), (49, "level-within", "0.00"), (50, "level-near", "0.00"), (100, "level-over", "0.00"), (200, "level-over", "500.00")],
)  # fmt: skip
def test_a_level_turns_at_its_marks(used: int, tone: str, over: str) -> None:
    root = tree(charts.level(used, 100, title="t", marks=(50, 80, 100)))
    assert root.get("class") == f"level-bar {tone}"
    assert [rect.get("width") for rect in root.iter("rect")][2] == over


def test_a_limit_of_zero_is_all_over() -> None:
    assert tree(charts.level(5, 0, title="t")).get("class") == "level-bar level-over"


def test_rows_that_do_not_fit_their_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 values for 3 labels"):
        charts.Chart(
            id="c",
            title="t",
            description="d",
            labels=("a", "b", "c"),
            series=(charts.Series(name="x", values=(1, 2)),),
            tick=str,
        )
    with pytest.raises(TypeError):
        chart((1.5,))  # type: ignore[arg-type]


@pytest.mark.parametrize(("top", "ticks"), [(100, 5), (99, 5), (1, 5), (2_623_315, 4), (Fraction(1, 1000), 5)])
def test_the_axis_has_few_round_steps(top: charts.Exact, ticks: int) -> None:
    root = tree(charts.stacked_bars(chart((top,))))
    axis = next(e for e in root.iter("div") if e.get("class") == "chart-y")
    assert len(list(axis)) == ticks


def test_an_axis_of_nothing_says_zero_once() -> None:
    for draw in (charts.stacked_bars, charts.lines):
        root = tree(draw(chart((0, 0, 0))))
        assert words_of(root, "chart-y") == ["0"]


def test_whole_units_have_no_step_below_one() -> None:
    cents = charts.Chart(
        id="c", title="t", description="d", labels=("a",), series=(charts.Series(name="x", values=(2,)),), tick=str, is_whole=True
    )  # fmt: skip
    assert words_of(tree(charts.stacked_bars(cents)), "chart-y") == ["2", "1", "0"]


def test_a_line_of_one_value_is_a_dot_that_can_be_seen() -> None:
    dots = [e for e in tree(charts.lines(chart((5,), (3,)))).iter("line") if "dot" in (e.get("class") or "")]
    assert [(dot.get("class"), dot.get("y1")) for dot in dots] == [("dot s1", "33.33"), ("dot s2", "100.00")]
    spark = next(tree(charts.sparkline("s", "One", (7,))).iter("polyline")).get("points", "")
    assert len(spark.split()) == 2


def test_four_hundred_bars_are_drawn_without_gaps_between_them() -> None:
    root = tree(charts.stacked_bars(chart(tuple(range(400)))))
    assert root.get("class") == "chart chart-dense"
    assert len(bars(charts.stacked_bars(chart(tuple(range(1, 401)))))) == 400
    assert [word for word in words_of(root, "chart-x") if word] == [f"day {i}" for i in range(0, 400, 67)]


def test_huge_and_tiny_numbers_stay_inside_the_drawing() -> None:
    drawn = bars(charts.stacked_bars(chart((10**30, Fraction(1, 10**9), -(10**30)))))
    for bar in drawn:
        top, height = float(bar.get("y", "")), float(bar.get("height", ""))
        assert 0 <= top <= top + height <= 200


def words_of(root: ElementTree.Element, name: str) -> list[str]:
    part = next(e for e in root.iter("div") if e.get("class") == name)
    return ["".join(e.itertext()) for e in part]
