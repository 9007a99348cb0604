"""Lines of a page: latencies by percentile, and collectives by size against what is expected of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.model.exhibits import Exhibits, Spread
from netprobe.model.plan import Path, Scope
from netprobe.model.report import GroupSummary, Report
from netprobe.reporters._page_words import CARRIERS, memory_words, spread_title
from netprobe.reporters._svg import NOTHING, Behind, Line, Scale, bars, class_of, line_chart
from netprobe.reporters._wording import duration, message_size, three_digits

TOLD_SHARES: Final = (0.5, 0.9, 0.99, 0.999, 0.9999)
PERCENTILE_TICKS: Final = ((0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"),
                           (0.99999, "99.999 %"), (0.999999, "99.9999 %"))  # fmt: skip
MOST_LINES: Final = 12
MOST_SPREADS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines with their axes: as a drawing, and as what the script draws them from."""

    lines: tuple[Line, ...]
    across: Scale
    up: Scale
    drawing: str
    legend: tuple[tuple[str, str], ...]
    """(class, name) of each line."""
    behind: Behind = NOTHING
    labels: tuple[str, ...] = ()
    """What each point of a line is called, where its place on the axis does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRow:
    """A distribution as a row of a table."""

    title: str
    size: str
    bars: str
    """An SVG."""
    figures: tuple[str, ...]
    """Least, TOLD_SHARES, most, and the number of samples."""
    is_collective: bool


def latency_chart(exhibits: Exhibits) -> Chart | None:
    """Return latencies by percentile: of each probe the smallest size; of collectives none, they are curves by size."""
    chosen: dict[tuple[object, ...], Spread] = {}
    for spread in exhibits.spreads:
        if spread.scope is not Scope.WORLD:
            key = spread.probe, spread.scope, spread.path, spread.send_memory, spread.receive_memory
            if key not in chosen or spread.size_bytes < chosen[key].size_bytes:
                chosen[key] = spread
    lines = tuple(line for spread in list(chosen.values())[:MOST_LINES] if len((line := _spread_line(spread)).x) > 1)
    if not lines:
        return None
    furthest = max(max(line.x) for line in lines)
    ticks = tuple((1 / (1 - share), text) for share, text in PERCENTILE_TICKS if 1 / (1 - share) <= furthest * 1.01)
    across = Scale(title="share of all iterations that took no longer", ticks=ticks)
    up = Scale(title="half a round trip", ticks=_duration_ticks([value for line in lines for value in line.y]))
    return chart_of(lines, across, up, "latency by percentile")


def _spread_line(spread: Spread) -> Line:
    points = [each for each in spread.points if each.share >= 0.5]
    return Line(
        name=f"{spread_title(spread)}, {message_size(spread.size_bytes)}",
        x=tuple(1 / (1 - each.share) for each in points),
        y=tuple(max(each.elapsed_ns, 1.0) for each in points),
    )


def spread_rows(exhibits: Exhibits) -> tuple[SpreadRow, ...]:
    """Return the distributions in words, round trips before collectives."""
    ordered = sorted(exhibits.spreads, key=lambda each: each.scope is Scope.WORLD)
    return tuple(
        SpreadRow(
            title=spread_title(each),
            size=message_size(each.size_bytes) if each.size_bytes else "",
            bars=bars(each.density, logarithmic=True),
            figures=(
                duration(each.min_ns),
                *(duration(each.at(share)) for share in TOLD_SHARES),
                duration(each.max_ns),
                f"{each.samples:,}",
            ),
            is_collective=each.scope is Scope.WORLD,
        )
        for each in ordered[:MOST_SPREADS]
    )


def collectives_chart(report: Report, exhibits: Exhibits | None) -> Chart | None:
    """Return busbw by size, of each collective out of place, with what the table of expectations asks."""
    lines = tuple(_collective_lines(report.groups))[:MOST_LINES]
    if not lines:
        return None
    expected = tuple(_expected_lines(exhibits, lines)) if exhibits is not None else ()
    sizes = sorted({size for line in lines for size in line.x})
    step = max(1, len(sizes) // 8)
    across = Scale(title="size", ticks=tuple((size, message_size(int(size))) for size in sizes[::step]))
    values = [value for line in (*lines, *expected) for value in line.y]
    up = Scale(title="busbw, GB/s", ticks=_round_steps(max(values)), is_log=False)
    return chart_of((*lines, *expected), across, up, "bandwidth of collectives by size")


def _collective_lines(groups: Sequence[GroupSummary]) -> Iterator[Line]:
    by_kind: dict[tuple[object, ...], list[GroupSummary]] = {}
    for row in groups:
        if row.busbw_gigabytes_per_s and not row.in_place and row.size_bytes:
            by_kind.setdefault((row.probe, row.path, row.memory, row.dtype, row.op), []).append(row)
    kinds = {(probe, path, memory) for probe, path, memory, *_ in by_kind}
    for rows in by_kind.values():
        first = rows[0]
        best: dict[int, float] = {}
        for row in rows:
            best[row.size_bytes] = max(best.get(row.size_bytes, 0.0), row.busbw_gigabytes_per_s or 0.0)
        kind = f", {first.dtype}" if len(by_kind) > len(kinds) else ""
        sizes = sorted(best)
        yield Line(
            name=f"{CARRIERS[first.path]} {first.probe}{memory_words(first.memory, first.memory)}{kind}",
            x=tuple(float(size) for size in sizes),
            y=tuple(best[size] for size in sizes),
        )


def _expected_lines(exhibits: Exhibits, lines: Sequence[Line]) -> Iterator[Line]:
    furthest = max(max(line.x) for line in lines)
    for each in exhibits.expected:
        if each.busbw_gigabytes_per_s and each.from_bytes is not None:
            start = min(float(max(each.from_bytes, 1)), furthest)
            yield Line(
                name=f"expected of {CARRIERS[each.path]} {each.probe}: {three_digits(each.busbw_gigabytes_per_s)} GB/s "
                f"({each.source})",
                x=(start, max(furthest, start * 2)),
                y=(each.busbw_gigabytes_per_s, each.busbw_gigabytes_per_s),
                is_expected=True,
            )


def expectation_notes(report: Report, exhibits: Exhibits | None) -> tuple[str, ...]:
    """Return why curves have nothing to be held against."""
    if exhibits is None or not report.groups:
        return ()
    lacking = [
        f"{CARRIERS[each.path]} {each.probe}: the table of expectations has no figure for {each.source}"
        for each in exhibits.expected
        if each.busbw_gigabytes_per_s is None
    ]
    of_hosts = any(row.path is not Path.NCCL and not row.memory.needs_gpu for row in report.groups)
    return (*lacking, *(("of collectives in host memory nobody has published a figure to expect",) if of_hosts else ()))


def chart_of(lines: tuple[Line, ...], across: Scale, up: Scale, label: str, behind: Behind = NOTHING) -> Chart:
    """Return lines with their drawing and its legend; ``label`` says to who cannot see it what it shows."""
    legend = [("expected" if line.is_expected else class_of(index), line.name) for index, line in enumerate(lines)]
    if behind.band is not None:
        legend.append(("band", behind.band.name))
    return Chart(
        lines=lines,
        across=across,
        up=up,
        drawing=line_chart(lines, across, up, label=label, behind=behind),
        legend=tuple(legend),
        behind=behind,
    )


def _duration_ticks(values_ns: Sequence[float]) -> tuple[tuple[float, str], ...]:
    return tuple((value, duration(value)) for value, _ in _decades(values_ns))


def _decades(values: Sequence[float]) -> tuple[tuple[float, str], ...]:
    """Return ticks around the values: 1, 2 and 5 of each decade while these are few, else the decades."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    factors = (1, 2, 5) if high - low <= 2 else (1,)
    ticks = [factor * 10.0**decade for decade in range(low, high + 1) for factor in factors]
    first = max((at for at, tick in enumerate(ticks) if tick <= min(values)), default=0)
    last = next((at for at, tick in enumerate(ticks) if tick >= max(values)), len(ticks) - 1)
    return tuple((tick, f"{tick:g}") for tick in ticks[first : last + 1])


def _round_steps(largest: float) -> tuple[tuple[float, str], ...]:
    """Return ticks from 0 up, five to ten of them, a round number apart."""
    return tuple((tick, f"{tick:g}") for tick in round_ticks(0.0, largest))


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return five to ten places a round number apart, the first not above ``low``, the last not below ``high``."""
    rough = (high - low or abs(high) or 1.0) / 6
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= rough)
    return tuple(count * step for count in range(math.floor(low / step), math.ceil(high / step) + 1))
