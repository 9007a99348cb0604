"""Small drawings for pages that run no script, and for paper: lines on two axes, and bars in a cell.

Coordinates are of the drawing's own view box; colours are classes of the page's style, so that they follow its theme.
"""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 62
RIGHT: Final = 36
TOP: Final = 26
BOTTOM: Final = 42
MOST_DOTS: Final = 64
"""Points of a line that are marked one by one; with more they would hide it."""
SERIES_COLOURS: Final = 6
"""Colours of lines that the page's style has; more lines begin again, dashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line; x and y are in the units of the axes. It is broken where y is NaN: nobody measured there."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    is_expected: bool = False
    """Whether it is what should be reached, and nothing that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What is usual, from ``low`` to ``high``; NaN where nobody knows."""

    name: str
    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def outlines(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """The corners of each part that is in one piece."""
        return tuple(
            (*((x, high) for x, _, high in part), *((x, low) for x, low, _ in reversed(part)))
            for part in pieces(tuple(zip(self.x, self.low, self.high, strict=True)))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What lies behind lines."""

    band: Band | None = None
    marks: tuple[tuple[float, str], ...] = ()
    """Places on the first axis, and what happened there."""

    @property
    def outlines(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Those of the band."""
        return () if self.band is None else self.band.outlines


NOTHING: Final = Behind()
Row = TypeVar("Row", bound=tuple[float, ...])


def pieces(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    """Yield the rows that follow each other without a NaN between them."""
    for is_known, part in groupby(rows, key=lambda row: all(map(math.isfinite, row))):
        if is_known:
            yield tuple(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis: its title, its ticks with their words, and whether it is logarithmic."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = True


def line_chart(
    lines: Sequence[Line],
    across: Scale,
    up: Scale,
    *,
    label: str,
    behind: Behind = NOTHING,
) -> str:
    """Return an SVG; ``label`` says to who cannot see it what it shows. Nothing without points."""
    x = [value for line in lines for value in line.x]
    y = [value for line in lines for value in line.y if math.isfinite(value)]
    if not y:
        return ""
    y += [value for outline in behind.outlines for _, value in outline]
    place_x = _place([*x, *(tick for tick, _ in across.ticks)], across.is_log, LEFT, WIDTH - RIGHT)
    place_y = _place([*y, *(tick for tick, _ in up.ticks)], up.is_log, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">',
        *_grid(across, up, place_x, place_y),
        *_backdrop(behind, place_x, place_y),
        *(part for index, line in enumerate(lines) for part in _line(index, line, place_x, place_y)),
        "</svg>",
    ]
    return "".join(parts)


def class_of(index: int) -> str:
    """Return the class that colours the line with this number."""
    return f"s{index % SERIES_COLOURS}" + (" again" if index >= SERIES_COLOURS else "")


def bars(counts: Sequence[float | None], *, logarithmic: bool, titles: Sequence[str] = ()) -> str:
    """Return an SVG of bars for a cell of a table; what is not known is a dot below, and no bar."""
    heights = [None if each is None else math.log2(1 + each) if logarithmic else each for each in counts]
    tallest = max((each for each in heights if each is not None), default=0.0) or 1.0
    parts = [f'<svg class="bars" viewBox="0 0 {4 * len(counts)} 24" preserveAspectRatio="none" aria-hidden="true">']
    for index, height in enumerate(heights):
        title = f"<title>{html.escape(titles[index])}</title>" if titles else ""
        if height is None:
            parts.append(f'<rect class="unknown" x="{4 * index + 1}" y="23" width="2" height="1">{title}</rect>')
        elif height > 0:
            tall = max(1.5, 23 * height / tallest)
            parts.append(f'<rect x="{4 * index}" y="{24 - tall:.1f}" width="3" height="{tall:.1f}">{title}</rect>')
    return "".join([*parts, "</svg>"])


def curve(values: Sequence[float], *, reach_ratio: float) -> str:
    """Return an SVG of a line for a cell of a table, broken where a value is NaN.

    It spans its own values, at least ``reach_ratio`` of their middle either way, so that noise stays flat.
    """
    known = sorted(value for value in values if math.isfinite(value))
    center = known[len(known) // 2] if known else 0.0
    reach = abs(center) * reach_ratio
    low, high = (min(known[0], center - reach), max(known[-1], center + reach)) if known else (0.0, 0.0)
    place = _Place(low=low, high=high, is_log=False, start=23.0, end=1.0)
    parts = [
        f'<svg class="trend" viewBox="0 0 {max(len(values) - 1, 1)} 24" preserveAspectRatio="none" aria-hidden="true">'
    ]
    for part in pieces(tuple((float(at), value) for at, value in enumerate(values))):
        # A night alone is a dash: round ends would be drawn out with the whole.
        points = part if len(part) > 1 else ((part[0][0] - 0.4, part[0][1]), (part[0][0] + 0.4, part[0][1]))
        path = " ".join(f"{x:g},{place(y):g}" for x, y in points)
        parts.append(f'<polyline points="{path}"/>')
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    low: float
    high: float
    is_log: bool
    start: float
    end: float

    def __call__(self, value: float) -> float:
        told = math.log10(value) if self.is_log else value
        span = self.high - self.low or 1.0
        return round(self.start + (told - self.low) / span * (self.end - self.start), 1)


def _place(values: Iterable[float], is_log: bool, start: float, end: float) -> _Place:
    told = [math.log10(value) if is_log else value for value in values]
    return _Place(low=min(told), high=max(told), is_log=is_log, start=start, end=end)


def _grid(across: Scale, up: Scale, place_x: _Place, place_y: _Place) -> Iterable[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, text in up.ticks:
        at = place_y(value)
        yield f'<line class="grid" x1="{LEFT}" y1="{at}" x2="{right}" y2="{at}"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{html.escape(text)}</text>'
    for value, text in across.ticks:
        at = place_x(value)
        yield f'<line class="grid" x1="{at}" y1="{TOP}" x2="{at}" y2="{bottom}"/>'
        yield f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{html.escape(text)}</text>'
    middle = (LEFT + right) / 2
    yield f'<text class="title" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(across.title)}</text>'
    yield f'<text class="title" x="2" y="10">{html.escape(up.title)}</text>'


def _backdrop(behind: Behind, place_x: _Place, place_y: _Place) -> Iterator[str]:
    for outline in behind.outlines:
        path = " ".join(f"{place_x(x)},{place_y(y)}" for x, y in outline)
        yield f'<polygon class="band" points="{path}"/>'
    for value, text in behind.marks:
        at = place_x(value)
        yield f'<line class="mark" x1="{at}" y1="{TOP}" x2="{at}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="mark" x="{at}" y="{TOP - 4}" text-anchor="middle">{html.escape(text)}</text>'


def _line(index: int, line: Line, place_x: _Place, place_y: _Place) -> Iterator[str]:
    kind = "expected" if line.is_expected else class_of(index)
    name = f"<title>{html.escape(line.name)}</title>"
    has_dots = not line.is_expected and len(line.x) <= MOST_DOTS
    for part in pieces(tuple(zip(line.x, line.y, strict=True))):
        points = [(place_x(x), place_y(y)) for x, y in part]
        if len(points) > 1:
            path = " ".join(f"{x},{y}" for x, y in points)
            yield f'<polyline class="{kind}" points="{path}">{name}</polyline>'
        if has_dots or len(points) == 1:
            yield from (f'<circle class="{kind}" cx="{x}" cy="{y}" r="2.5">{name}</circle>' for x, y in points)
