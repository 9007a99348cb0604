"""Maps of pairs for a page: a picture or a table that needs no script, the worst pairs in words, and arrays for the
script.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from netprobe.locate.heat import (
    Axis,
    Grid,
    by_host,
    by_leaf,
    by_rank,
    grid_of,
    in_order_of_leaves,
    worst_pairs,
)
from netprobe.model.exhibits import Exhibits, Figure, PairMap, Places
from netprobe.reporters._colours import LEVELS, hexadecimal, levels_of, palette
from netprobe.reporters._page_words import against_typical, loss_words, map_tab, map_title, value_words
from netprobe.reporters._payload import Payload, coded
from netprobe.reporters._png import indexed_png
from netprobe.reporters._wording import ABSENT, counted, short_name

MOST_IN_TABLE: Final = 12
"""Rows of a map that is a table with its values; more do not fit on paper."""
MOST_WORST: Final = 10
LARGEST_VIEW: Final = 1024
"""Rows and columns of a map that a browser still draws and moves at once (docs/reading-reports.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a map that is a table."""

    text: str
    colour: str | None
    """None: not measured."""
    is_dark: bool
    """Whether its colour is so dark that words on it have to be white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSection:
    """One map as the template draws it."""

    tab: str
    title: str
    note: str
    axis: str
    """What rows and columns of the picture are."""
    names: tuple[str, ...]
    table: tuple[tuple[str, tuple[Cell, ...]], ...]
    """Rows with their name; empty where there are too many."""
    picture: str
    """A data URL; empty where there is a table."""
    worst_title: str
    worst_columns: tuple[str, ...]
    worst: tuple[tuple[str, ...], ...]
    legend: tuple[str, str]
    """Words for both ends of the scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    name: str
    axis: Axis
    order: tuple[int, ...] | None = None


def map_sections(exhibits: Exhibits) -> tuple[MapSection, ...]:
    """Return every map of the exhibits."""
    return tuple(_section(each, exhibits.places) for each in exhibits.maps)


def map_words(exhibits: Exhibits, payload: Payload) -> dict[str, Any]:
    """Return what the script needs for the maps; the arrays go into the payload."""
    views = [view for view in _views(exhibits.places) if len(view.axis.names) <= LARGEST_VIEW]
    return {
        "palette": [hexadecimal(colour) for colour in palette()],
        "levels": LEVELS,
        "axes": [
            {
                "name": view.name,
                "names": [short_name(name) for name in view.axis.names],
                "order": view.order,
            }
            for view in views
        ],
        "maps": [_map_words(each, views, payload) for each in exhibits.maps],
    }


def _map_words(pair_map: PairMap, views: list[_View], payload: Payload) -> dict[str, Any]:
    grids: dict[int, dict[str, Any] | None] = {}
    for view in views:
        if id(view.axis) not in grids:
            grids[id(view.axis)] = _grid_words(grid_of(pair_map, view.axis), payload)
    return {
        "figure": pair_map.figure.value,
        "typical": pair_map.typical,
        "directed": pair_map.directed,
        "views": [grids[id(view.axis)] for view in views],
    }


def _grid_words(grid: Grid, payload: Payload) -> dict[str, Any] | None:
    """Return a grid for the script; None where it has no room in the page any more."""
    codes, low, step = coded(grid.value)
    block = payload.add(codes, levels_of(grid.badness))
    return None if block is None else {"block": block, "low": low, "step": step}


def _views(places: Places) -> Iterator[_View]:
    """Yield the axes on which a map can be drawn, the one to begin with first."""
    ranks, hosts = by_rank(places), by_host(places)
    has_leaves = 1 < len(places.leaves) < len(places.nics)
    if len(hosts.names) > 1:
        yield _View(name="host by host", axis=hosts)
    if len(ranks.names) > len(hosts.names):
        noun = "NIC" if all(nic is not None for nic in places.nics) else "rank"
        yield _View(name=f"every {noun}, by host", axis=ranks)
        if has_leaves:
            yield _View(name=f"every {noun}, by leaf", axis=ranks, order=tuple(in_order_of_leaves(places).tolist()))
    elif has_leaves:
        yield _View(name="hosts, by leaf", axis=hosts, order=tuple(in_order_of_leaves(places).tolist()))
    if has_leaves:
        yield _View(name="leaf by leaf", axis=by_leaf(places))


def _section(pair_map: PairMap, places: Places) -> MapSection:
    axis = by_host(places) if len(places.hosts) > 1 else by_rank(places)
    grid = grid_of(pair_map, axis)
    is_table = len(axis.names) <= MOST_IN_TABLE
    return MapSection(
        tab=map_tab(pair_map),
        title=map_title(pair_map),
        note=_note(pair_map, places),
        axis="hosts" if len(places.hosts) > 1 else "ranks",
        names=tuple(short_name(name) for name in axis.names),
        table=tuple(_table(pair_map, grid)) if is_table else (),
        picture="" if is_table else _picture(grid),
        worst_title=_worst_title(pair_map),
        worst_columns=_worst_columns(pair_map),
        worst=tuple(_worst(pair_map, by_rank(places))),
        legend=("none lost", "1 % and more") if pair_map.figure is Figure.LOSS else ("typical", "half as fast"),
    )


def _note(pair_map: PairMap, places: Places) -> str:
    ends = len(places.nics)
    possible = ends * (ends - 1) // (1 if pair_map.directed else 2)
    measured = f"{len(pair_map.value):,} of {counted(possible, 'pair')} measured"
    if pair_map.figure is Figure.LOSS:
        sent = 0.0 if pair_map.weight is None else float(pair_map.weight.sum())
        lost = 0.0 if pair_map.weight is None else float((pair_map.weight * pair_map.value).sum())
        return f"{measured}; {sent:,.0f} packets sent, {lost:,.0f} lost"
    typical = "" if pair_map.typical is None else f"; typical {value_words(pair_map.figure, pair_map.typical)}"
    return f"{measured}{typical}; a cell is the slowest of its pairs"


def _table(pair_map: PairMap, grid: Grid) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    colours, levels = palette(), levels_of(grid.badness)
    for name, values, row in zip(grid.names, grid.value.tolist(), levels.tolist(), strict=True):
        yield (
            short_name(name),
            tuple(
                Cell(text=ABSENT, colour=None, is_dark=False)
                if level == LEVELS
                else Cell(
                    text=_short_value(pair_map.figure, value),
                    colour=hexadecimal(colours[level]),
                    is_dark=level > 0.75 * LEVELS,
                )
                for value, level in zip(values, row, strict=True)
            ),
        )


def _short_value(figure: Figure, value: float) -> str:
    words = value_words(figure, value)
    return words.removesuffix(" Gb/s") if figure is Figure.BANDWIDTH else words


def _picture(grid: Grid) -> str:
    body = indexed_png(levels_of(grid.badness), palette())
    return f"data:image/png;base64,{base64.b64encode(body).decode('ascii')}"


def _worst_title(pair_map: PairMap) -> str:
    return "pairs that lost most" if pair_map.figure is Figure.LOSS else "slowest pairs"


def _worst_columns(pair_map: PairMap) -> tuple[str, ...]:
    told = "lost of sent" if pair_map.figure is Figure.LOSS else "of typical"
    return ("from", "to", pair_map.figure.value, told, *(("way back",) if pair_map.directed else ()))


def _worst(pair_map: PairMap, axis: Axis) -> Iterator[tuple[str, ...]]:
    for index in worst_pairs(pair_map, MOST_WORST).tolist():
        src, dst, value = int(pair_map.src[index]), int(pair_map.dst[index]), float(pair_map.value[index])
        back = np.flatnonzero((pair_map.src == dst) & (pair_map.dst == src))
        told = (
            _of_sent(pair_map, index)
            if pair_map.figure is Figure.LOSS
            else against_typical(pair_map.figure, value, pair_map.typical)
            .removesuffix(" of typical")
            .removesuffix(" typical")
        )
        way_back = value_words(pair_map.figure, float(pair_map.value[back[0]])) if len(back) else ABSENT
        names = short_name(axis.names[src]), short_name(axis.names[dst])
        yield (*names, value_words(pair_map.figure, value), told, *((way_back,) if pair_map.directed else ()))


def _of_sent(pair_map: PairMap, index: int) -> str:
    if pair_map.weight is None:
        return loss_words(float(pair_map.value[index]))
    sent = float(pair_map.weight[index])
    return f"{sent * float(pair_map.value[index]):,.0f} of {sent:,.0f}"
