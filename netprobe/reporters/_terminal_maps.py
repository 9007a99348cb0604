"""Maps and distributions for a terminal: a digit for each cell, coloured where there is colour, and bars in a line.

A digit says by itself what its colour says, for a pipe, a mail, or eyes that do not tell the colours apart.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.locate.heat import Axis, Grid, binned, by_host, by_leaf, by_rank, grid_of, speed_of, worst_pairs
from netprobe.model.exhibits import Exhibits, Figure, PairMap, Places, Spread
from netprobe.model.plan import Scope
from netprobe.reporters._colours import LEVELS, hexadecimal, levels_of, palette
from netprobe.reporters._page_words import against_typical, map_title, spread_title, value_words
from netprobe.reporters._sparkline import BARS, regrouped, sparkline
from netprobe.reporters._wording import counted, duration, message_size, short_name
from netprobe.reporters.console import console_for, without_trailing_spaces

if TYPE_CHECKING:
    from rich.text import Text

INDENT: Final = "  "
LABEL_WIDTH: Final = 20
NOT_MEASURED: Final = "·"
MOST_WORST: Final = 5
BAR_COUNT: Final = 24
DIGITS: Final = 10
LEGENDS: Final = {
    Figure.BANDWIDTH: "digits: tenths of the typical rate, 9 from 90 % on",
    Figure.LATENCY: "digits: tenths of the typical speed, 9 from 90 % on",
    Figure.LOSS: "digits: 0 none lost, 1 to 9 from 1e-7 to 1e-2 of the packets",
}
WAYS: Final = {"nic": by_rank, "host": by_host, "leaf": by_leaf}


def terminal_maps(exhibits: Exhibits, figures: tuple[Figure, ...], by: str | None, options: RenderOptions) -> str:
    """Return the maps of these figures, with the worst pairs below each; PlanError for a ``by`` that cannot be."""
    console = console_for(options, colours="256")
    maps = [each for each in exhibits.maps if each.figure in figures]
    if not maps:
        return f"{INDENT}no map: no {' or '.join(figures)} of pairs was measured\n"
    axis = _axis(exhibits.places, by, options.width)
    with console.capture() as captured:
        for pair_map in maps:
            for line in _map_lines(pair_map, exhibits.places, axis, options):
                console.print(line, soft_wrap=True)
    return without_trailing_spaces(captured.get())


def terminal_tails(exhibits: Exhibits, *, bars: str = BARS) -> str:
    """Return the distributions of round trips, two lines each; ``bars`` are the characters, shortest first."""
    spreads = [each for each in exhibits.spreads if each.scope is not Scope.WORLD]
    if not spreads:
        return f"{INDENT}no distribution: no round trips were measured\n"
    head = f"{INDENT}latency, half a round trip; both axes of the bars are logarithmic\n\n"
    return head + "".join(f"{line}\n" for spread in spreads for line in _tail_lines(spread, bars))


def _axis(places: Places, by: str | None, width: int) -> Axis:
    """Return what was asked for, or the finest axis that has room; what has none is binned."""
    most = max(1, width - len(INDENT) - LABEL_WIDTH - 1)
    if by is not None:
        if by not in WAYS:
            raise PlanError(f"--by {by}: rows and columns are of none such", remedy=", ".join(WAYS))
        axis = WAYS[by](places)
        if not axis.names:
            raise PlanError("--by leaf: nobody told which leaf switch a host is on", remedy="--by host")
        return binned(axis, most)
    hosts = by_host(places)
    ranks = by_rank(places)
    if len(hosts.names) == 1 or len(hosts.names) < len(ranks.names) <= most // 2:
        return binned(ranks, most)
    if len(hosts.names) > most and 1 < len(places.leaves) <= most:
        return by_leaf(places)
    return binned(hosts, most)


def _map_lines(pair_map: PairMap, places: Places, axis: Axis, options: RenderOptions) -> Iterator["Text"]:
    from rich.text import Text

    grid = grid_of(pair_map, axis)
    cell_width = 2 if 2 * len(axis.names) <= options.width - len(INDENT) - LABEL_WIDTH else 1
    typical = "" if pair_map.typical is None else f", typical {value_words(pair_map.figure, pair_map.typical)}"
    yield Text(f"{INDENT}{map_title(pair_map)}", style="bold")
    yield Text(
        f"{INDENT}{counted(len(pair_map.value), 'pair')} measured{typical}; rows send, columns receive", style="dim"
    )
    yield Text()
    yield from _column_numbers(len(axis.names), cell_width)
    yield from _rows(grid, pair_map, cell_width)
    yield Text(f"{INDENT}{LEGENDS[pair_map.figure]}; {NOT_MEASURED} not measured", style="dim")
    if len(axis.names) < len(places.nics):
        cell = "all packets of its pairs together" if pair_map.figure is Figure.LOSS else "the slowest of its pairs"
        yield Text(f"{INDENT}a cell is {cell}", style="dim")
    yield Text()
    yield from _worst_lines(pair_map, by_rank(places))


def _column_numbers(count: int, cell_width: int) -> Iterator["Text"]:
    """Yield the numbers of columns, a digit below the other; rows have the same numbers."""
    from rich.text import Text

    numbers = [str(number) for number in range(1, count + 1)]
    deepest = len(numbers[-1])
    for place in range(deepest):
        cells = "".join(number.rjust(deepest)[place].rjust(cell_width) for number in numbers)
        yield Text(f"{INDENT}{' ' * LABEL_WIDTH}{cells}", style="dim")


def _rows(grid: Grid, pair_map: PairMap, cell_width: int) -> Iterator["Text"]:
    from rich.text import Text

    colours, levels = palette(), levels_of(grid.badness)
    digits = _digits(grid, pair_map)
    number_width = len(str(len(grid.names)))
    for row, name in enumerate(grid.names):
        shown = short_name(name)
        room = LABEL_WIDTH - number_width - 2
        label = shown if len(shown) <= room else f"{shown[: room - 1]}…"
        line = Text(f"{INDENT}{row + 1:>{number_width}} {label:<{room}} ")
        for column, level in enumerate(levels[row].tolist()):
            if level == LEVELS:
                line.append(NOT_MEASURED.rjust(cell_width), style="dim")
                continue
            words = "#ffffff" if level > 0.75 * LEVELS else "#14181d"
            cell = str(digits[row, column]).rjust(cell_width)
            line.append(cell, style=f"{words} on {hexadecimal(colours[level])}")
        yield line


def _digits(grid: Grid, pair_map: PairMap) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    if pair_map.figure is Figure.LOSS:
        lost = np.minimum(np.nan_to_num(grid.badness) * DIGITS, DIGITS - 1)
        return np.where(grid.value > 0, np.maximum(lost, 1), 0).astype(np.int64)
    speed = np.nan_to_num(speed_of(pair_map.figure, grid.value, pair_map.typical), posinf=1.0)
    return np.clip(speed * DIGITS, 0, DIGITS - 1).astype(np.int64)


def _worst_lines(pair_map: PairMap, axis: Axis) -> Iterator["Text"]:
    from rich.text import Text

    worst = worst_pairs(pair_map, MOST_WORST).tolist()
    if not worst:
        yield Text(f"{INDENT}no pair lost anything")
    for index in worst:
        src, dst, value = int(pair_map.src[index]), int(pair_map.dst[index]), float(pair_map.value[index])
        of_typical = against_typical(pair_map.figure, value, pair_map.typical)
        told = value_words(pair_map.figure, value) + (f", {of_typical}" if of_typical else "")
        yield Text(f"{INDENT}{short_name(axis.names[src])} → {short_name(axis.names[dst])}: {told}")
    yield Text()


def _tail_lines(spread: Spread, bars: str) -> Iterator[str]:
    yield f"{INDENT}{spread_title(spread)}, {message_size(spread.size_bytes)}, {counted(spread.samples, 'sample')}"
    drawn = sparkline(regrouped(spread.density, BAR_COUNT), logarithmic=True, bars=bars)
    told = (("median", 0.5), ("99.9 %", 0.999))
    figures = ", ".join(f"{name} {duration(spread.at(share))}" for name, share in told)
    yield f"{INDENT * 2}{duration(spread.min_ns):>8} {drawn} {duration(spread.max_ns):<8} {figures}"
