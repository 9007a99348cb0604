"""``netprobe counters``: what the NICs of this host count just now, the worst first."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netprobe.catalogue.counter import Counter, Weight
from netprobe.catalogue.keys import key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.catalogue.readings import growth_between
from netprobe.cli.output import is_readers_terminal, print_drawn, render_options
from netprobe.cli.snapshotting import reading_of
from netprobe.cli.streams import tell
from netprobe.cli.unwatched import Watched, places_of, restarted, untold, watched
from netprobe.contracts import RenderOptions, System
from netprobe.model.snapshot import Reading
from netprobe.model.verdict import ExitCode
from netprobe.units import NS_PER_S

if TYPE_CHECKING:
    from rich.table import Table

SHORTEST_S: Final = 1.0
"""Nothing polls faster: each reading is a command to the NIC's firmware."""
WEIGHTS: Final = tuple(Weight)
STYLES: Final = {Weight.FAIL: "bold red", Weight.WARN: "yellow", Weight.NOTE: "cyan", Weight.INFO: "dim"}
ABSENT: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What the reader of the counters wants to see."""

    interval_s: float
    per_second: bool
    shows_all: bool
    """Also what did not grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A counter of one port, and what it grew by."""

    port: str
    name: str
    counter: Counter | None
    growth: int
    is_at_least: bool

    @property
    def weight(self) -> Weight:
        """What growth means; nothing where nothing grew."""
        return Weight.INFO if self.counter is None or not self.growth else self.counter.weight

    @property
    def scaled(self) -> int:
        """The growth in the unit of the catalogue."""
        return self.growth * (1 if self.counter is None else self.counter.scale)


def watch_counters(system: System, watching: Watching, *, goes_on: bool) -> int:
    """Print what counters grew by; once, or again and again until somebody interrupts."""
    before = reading_of(system)
    if not before.values:
        tell("netprobe: no NIC of this host has counters that are known; try: netprobe inventory")
        return ExitCode.INCONCLUSIVE
    if goes_on and is_readers_terminal(sys.stdout):
        _live(system, watching, before)
        return ExitCode.HEALTHY
    known = Watched(seen=places_of(before))
    while True:
        time.sleep(watching.interval_s)
        after = reading_of(system)
        known = watched(known, before, after)
        rows, lines = rows_between(before, after, watching), tuple(untold(known, before, after))
        print_drawn(table_text(rows, lines, after.at_ns - before.at_ns, watching, render_options(verbose=False)))
        if not goes_on:
            return ExitCode.INCONCLUSIVE if lines else ExitCode.HEALTHY
        before = after


def _live(system: System, watching: Watching, before: Reading) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from netprobe.reporters._wording import visible

    known = Watched(seen=places_of(before))
    with Live(console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(watching.interval_s)
            after = reading_of(system)
            known = watched(known, before, after)
            rows = rows_between(before, after, watching)
            lines = (Text(visible(line), style="yellow") for line in untold(known, before, after))
            live.update(Group(_table(rows, after.at_ns - before.at_ns, watching), *lines), refresh=True)
            before = after


def rows_between(before: Reading, after: Reading, watching: Watching) -> list[Row]:
    """Return the counters that grew, or all on request: the worst first, then the largest.

    Those of a port that began anew are left out: one that shows more than before may have grown from 0.
    """
    growth, anew = growth_between(before.values, after.values), restarted(before, after)
    rows = []
    for text, grown in growth.grown.items():
        key = key_of(text)
        if key is None or key.place in anew or not (grown or watching.shows_all):
            continue
        rows.append(
            Row(
                port=key.place,
                name=key.name,
                counter=counter_of(key.origin, key.name),
                growth=grown,
                is_at_least=text in growth.at_least,
            )
        )
    return sorted(rows, key=lambda row: (WEIGHTS.index(row.weight), -row.scaled, row.port, row.name))


def table_text(
    rows: Sequence[Row], lines: Sequence[str], elapsed_ns: int, watching: Watching, options: RenderOptions
) -> str:
    """Return the table as text, or that nothing grew, and lines below it."""
    from rich.text import Text

    from netprobe.reporters._wording import visible
    from netprobe.reporters.console import console_for, without_trailing_spaces

    console = console_for(options)
    with console.capture() as captured:
        if rows:
            console.print(_table(rows, elapsed_ns, watching))
        else:
            console.print(f"no counter grew within {elapsed_ns / NS_PER_S:.1f} s")
        for line in lines:
            console.print(Text(visible(line)))
    return without_trailing_spaces(captured.get())


def _table(rows: Sequence[Row], elapsed_ns: int, watching: Watching) -> "Table":
    from rich.table import Table
    from rich.text import Text

    from netprobe.reporters._wording import visible

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    grew = "per second" if watching.per_second else f"in {elapsed_ns / NS_PER_S:.1f} s"
    for header, is_number in (("", False), ("port", False), ("counter", False), (grew, True), ("what", False)):
        table.add_column(Text(header), justify="right" if is_number else "left", overflow="fold")
    figure = _per_second(elapsed_ns) if watching.per_second else lambda row: f"{row.scaled:,}"
    for row in rows:
        title = ABSENT if row.counter is None else _titled(row.counter)
        at_least = "≥ " if row.is_at_least else ""
        table.add_row(
            Text(row.weight, style=STYLES[row.weight]),
            *(Text(visible(cell)) for cell in (row.port, row.name, at_least + figure(row), title)),
        )
    return table


def _titled(counter: Counter) -> str:
    return f"{counter.title} ({counter.unit})" if counter.unit else counter.title


def _per_second(elapsed_ns: int) -> Callable[[Row], str]:
    seconds = elapsed_ns / NS_PER_S
    return lambda row: f"{row.scaled / seconds:,.1f}"
