"""Charts as SVG made on the server: no script, no inline style, coordinates computed exactly.

The drawing stretches with the page while its words stay words: axis labels and legend are HTML beside the SVG, so that they read as
well at 320 pixels as at 1,280. Colours are classes (`s1` to `s9`, `s0` for "Other") that the stylesheet fills for light and dark.
Every chart has a title and a description; the page puts the same numbers in a table below it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from markupsafe import Markup

Exact = int | Decimal | Fraction
MOST_SERIES = 9
_HEIGHT = 200
_SLOT = 20
_WIDTHS = ((2, 4), (5, 8), (10**9, 14))  # up to so many bars: so wide in their slot; a lone bar is no wall
_TICKS = 4
_LABELS = 6
_DENSE = 60  # from so many bars on, the gaps between them would be wider than the bars at 320 pixels
_BAR = Markup('<rect class="{colour}" x="{x}" y="{y}" width="{width}" height="{height}"><title>{words}</title></rect>')
_LINE = Markup('<polyline class="line {colour}" points="{points}"><title>{name}</title></polyline>')
_DOT = Markup('<line class="dot {colour}" x1="{x}" y1="{y}" x2="{x}" y2="{y}"><title>{name}</title></line>')
_MARK = Markup('<line class="level-mark" x1="{x}" x2="{x}" y1="0" y2="10"/>')
_GRID = Markup('<line class="{kind}" x1="0" x2="{width}" y1="{y}" y2="{y}"/>')
_WORD = Markup('<span class="{kind}">{label}</span>')
_KEY = Markup(
    '<li><svg class="key" viewBox="0 0 10 10" aria-hidden="true"><rect class="{colour}" width="10" height="10" rx="2"/></svg>{name}</li>'
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One named row of values, one value for each label of its chart."""

    name: str
    values: tuple[Exact, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn: a unique id, words for those who do not see it, labels along the bottom, and how a value is written.

    `tick` writes a value in full, `axis` a shorter form for the axis where there is one. `is_whole`: values are counts or minor
    units, so the axis has no step below one.
    """

    id: str
    title: str
    description: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    tick: Callable[[Fraction], str]
    axis: Callable[[Fraction], str] | None = None
    is_whole: bool = False

    def __post_init__(self) -> None:
        for row in self.series:
            if len(row.values) != len(self.labels):
                raise ValueError(f"series {row.name!r} has {len(row.values)} values for {len(self.labels)} labels")
            if any(isinstance(value, float) for value in row.values):
                raise TypeError(f"series {row.name!r} holds a float")


def fold(series: Sequence[Series]) -> tuple[Series, ...]:
    """At most nine series, largest first, the rest summed as "Other"; up to nine are only ordered."""
    ordered = sorted(series, key=lambda row: (-abs(sum(Fraction(value) for value in row.values)), row.name))
    if len(ordered) <= MOST_SERIES:
        return tuple(ordered)
    rest = [row.values for row in ordered[MOST_SERIES:]]
    other = Series(name="Other", values=tuple(map(_sum, zip(*rest, strict=True))))
    return (*ordered[:MOST_SERIES], other)


def _sum(values: Sequence[Exact]) -> Exact:
    """Whole numbers stay whole: a table shows the sum of amounts as an amount."""
    whole = [value for value in values if isinstance(value, int)]
    return sum(whole) if len(whole) == len(values) else sum((Fraction(value) for value in values), Fraction(0))


def stacked_bars(chart: Chart) -> Markup:
    """A bar for each label, its series stacked; negative values hang below the zero line."""
    series = fold(chart.series)
    columns = [[Fraction(row.values[i]) for row in series] for i in range(len(chart.labels))]
    top = max((sum((v for v in column if v > 0), Fraction(0)) for column in columns), default=Fraction(0))
    bottom = min((sum((v for v in column if v < 0), Fraction(0)) for column in columns), default=Fraction(0))
    axis = _Axis.spanning(bottom, top, is_whole=chart.is_whole)
    wide = next(wide for most, wide in _WIDTHS if len(columns) <= most)
    parts: list[Markup] = []
    for i, column in enumerate(columns):
        above = below = Fraction(0)
        for k, value in enumerate(column):
            if not value:
                continue
            low, high = (above, above + value) if value > 0 else (below + value, below)
            above, below = (high, below) if value > 0 else (above, low)
            words = f"{chart.labels[i]}, {series[k].name}: {chart.tick(value)}"
            parts.append(
                _BAR.format(
                    colour=_colour(k),
                    x=i * _SLOT + (_SLOT - wide) // 2,
                    width=wide,
                    y=_n(axis.y(high)),
                    height=_n(axis.y(low) - axis.y(high)),
                    words=words,
                )
            )
    return _frame(chart, series, axis, Markup("").join(parts))


def lines(chart: Chart) -> Markup:
    """A line for each series over the labels, on one zero-based axis; a series of one value is a dot."""
    series = fold(chart.series)
    values = [Fraction(value) for row in series for value in row.values]
    axis = _Axis.spanning(min(values, default=Fraction(0)), max(values, default=Fraction(0)), is_whole=chart.is_whole)
    parts = []
    for k, row in enumerate(series):
        if len(row.values) == 1:
            y = _n(axis.y(Fraction(row.values[0])))
            parts.append(_DOT.format(colour=_colour(k), x=_SLOT // 2, y=y, name=row.name))
            continue
        points = " ".join(f"{i * _SLOT + _SLOT // 2},{_n(axis.y(Fraction(v)))}" for i, v in enumerate(row.values))
        parts.append(_LINE.format(colour=_colour(k), points=points, name=row.name))
    return _frame(chart, series, axis, Markup("").join(parts))


def sparkline(id: str, title: str, values: Sequence[Exact]) -> Markup:
    """A small line without axes beside a figure; `title` says in words what it shows."""
    exact = [Fraction(value) for value in values]
    exact *= 2 if len(exact) == 1 else 1  # one value is a level line
    low, high = min(exact, default=Fraction(0)), max(exact, default=Fraction(0))
    span = (high - low) or Fraction(1)
    points = " ".join(f"{i * 10},{_n(2 + 28 * (high - value) / span)}" for i, value in enumerate(exact))
    width = max(10, 10 * (len(exact) - 1))
    return Markup(
        '<svg class="sparkline" role="img" aria-labelledby="{id}-title" viewBox="0 0 {width} 32" preserveAspectRatio="none">'
        '<title id="{id}-title">{title}</title><polyline class="line s1" points="{points}"/></svg>'
    ).format(id=id, width=width, title=title, points=points)


def level(used: Exact, limit: Exact, *, title: str, marks: Sequence[int] = ()) -> Markup:
    """A bar of how much of a limit is used, with marks at percentages of the limit; what is over the limit is drawn as over.

    `title` says it in words. The scale ends at the limit, or at what is used when that is more.
    """
    end = max(Fraction(used), Fraction(limit), Fraction(1, 10**12))
    within = min(max(Fraction(used), Fraction(0)), Fraction(limit)) / end * 1000
    over = max(Fraction(used) - Fraction(limit), Fraction(0)) / end * 1000
    ratio = Fraction(used) / Fraction(limit) * 100 if limit else Fraction(0)
    crossed = sum(1 for mark in marks if ratio >= mark)
    tone = "level-over" if over or (marks and crossed == len(marks)) else "level-near" if crossed else "level-within"
    positions = (_n(Fraction(mark, 100) * Fraction(limit) / end * 1000) for mark in marks)
    drawn_marks = Markup("").join(_MARK.format(x=x) for x in positions if x not in ("0.00", "1000.00"))
    return Markup(
        '<svg class="level-bar {tone}" role="img" aria-label="{title}" viewBox="0 0 1000 10" preserveAspectRatio="none">'
        '<rect class="level-ground" width="1000" height="10"/><rect class="level-used" width="{within}" height="10"/>'
        '<rect class="level-beyond" x="{within}" width="{over}" height="10"/>{marks}</svg>'
    ).format(tone=tone, title=title, within=_n(within), over=_n(over), marks=drawn_marks)


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """A vertical axis of even steps that holds zero; `y` turns a value into a coordinate."""

    low: Fraction
    high: Fraction
    step: Fraction
    is_flat: bool  # nothing but zeros: the axis says zero once

    @classmethod
    def spanning(cls, bottom: Fraction, top: Fraction, *, is_whole: bool = False) -> "_Axis":
        bottom, top = min(bottom, Fraction(0)), max(top, Fraction(0))
        step = _round_step((top - bottom) / _TICKS or Fraction(1, _TICKS))
        step = max(step, Fraction(1)) if is_whole else step
        return cls(low=bottom // step * step, high=-(-top // step) * step or step, step=step, is_flat=bottom == top)

    def y(self, value: Fraction) -> Fraction:
        return (self.high - value) / (self.high - self.low) * _HEIGHT

    def ticks(self) -> list[Fraction]:
        if self.is_flat:
            return [Fraction(0)]
        count = int((self.high - self.low) / self.step)
        return [self.high - i * self.step for i in range(count + 1)]


def _round_step(least: Fraction) -> Fraction:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten that is not below `least`."""
    power = Fraction(1)
    while power * 10 <= least:
        power *= 10
    while power > least:
        power /= 10
    return next(
        m * power for m in (Fraction(1), Fraction(2), Fraction(5, 2), Fraction(5), Fraction(10)) if m * power >= least
    )


def _frame(chart: Chart, series: Sequence[Series], axis: _Axis, drawing: Markup) -> Markup:
    """The drawing with grid, axis words and legend. The axis words are hidden from screen readers, which get title, description and the table."""
    width = max(1, len(chart.labels)) * _SLOT
    grid = Markup("").join(
        _GRID.format(kind="zero" if tick == 0 else "grid", width=width, y=_n(axis.y(tick))) for tick in axis.ticks()
    )
    every = -(-len(chart.labels) // _LABELS) or 1
    # Every other word is minor: the stylesheet leaves it out where the page is narrow.
    words = Markup("").join(
        _WORD.format(kind="minor" if i // every % 2 else "major", label=label if i % every == 0 else "")
        for i, label in enumerate(chart.labels)
    )
    ticks = Markup("").join(Markup("<span>{}</span>").format((chart.axis or chart.tick)(tick)) for tick in axis.ticks())
    legend = Markup("").join(_KEY.format(colour=_colour(k), name=row.name) for k, row in enumerate(series))
    return Markup(
        '<div class="chart{dense}"><div class="chart-y" aria-hidden="true">{ticks}</div>'
        '<svg class="chart-plot" role="img" aria-labelledby="{id}-title {id}-desc" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{desc}</desc>{drawing}</svg>'
        '<div class="chart-x" aria-hidden="true">{words}</div><ul class="chart-legend">{legend}</ul></div>'
    ).format(
        dense=" chart-dense" if len(chart.labels) >= _DENSE else "", id=chart.id, title=chart.title, desc=chart.description, width=width, height=_HEIGHT, ticks=ticks, words=words,
        legend=legend, drawing=grid + drawing,
    )  # fmt: skip


def _colour(k: int) -> str:
    return "s0" if k == MOST_SERIES else f"s{k + 1}"


def _n(value: Fraction) -> str:
    """A coordinate in hundredths, without a float."""
    hundredths = int(value * 100)
    return f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
