"""``netprobe inventory``: what hosts are made of, one host in full or many by what differs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from netprobe.cli.gathering import Whom, gathered
from netprobe.cli.output import print_drawn, render_options
from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.launch.gathering import Gathered
from netprobe.locate.fleet import Difference, differences, facts_of
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.verdict import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

FORMATS: Final = ("console", "json")
MOST_VALUES: Final = 4  # of one fact; a fact with more is different everywhere, such as an address


def show_inventory(whom: Whom, output_format: str) -> int:
    """Print what hosts are made of; return 0, or 3 when somebody did not tell."""
    if output_format not in FORMATS:
        raise PlanError(f"there is no format called {output_format!r} here", remedy=" or ".join(FORMATS))
    told = gathered(whom)
    if told is None:
        return ExitCode.HEALTHY
    print_drawn(_json(told) if output_format == "json" else _text(told, render_options(verbose=False)))
    return ExitCode.INCONCLUSIVE if told.gaps or not told.inventories else ExitCode.HEALTHY


def _json(told: Gathered) -> str:
    from netprobe.model.inventory import INVENTORY_FORMAT, Inventories
    from netprobe.store.encoding import json_document

    return json_document(Inventories(format=INVENTORY_FORMAT, hosts=told.inventories)).decode()


def _text(told: Gathered, options: RenderOptions) -> str:
    from rich.text import Text

    from netprobe.reporters._wording import counted, fold
    from netprobe.reporters.console import console_for, print_gaps, without_trailing_spaces

    console = console_for(options)
    hosts = told.inventories
    with console.capture() as captured:
        console.print(Text(f"{counted(len(hosts), 'host')}  {fold(each.host for each in hosts)}", style="bold"))
        if len(hosts) == 1:
            _print_parts(console, hosts[0])
        elif hosts:
            _print_differences(console, differences(hosts))
        console.print()
        print_gaps(console, "not told", (*told.gaps, *_host_gaps(hosts)))
    return without_trailing_spaces(captured.get())


def _host_gaps(hosts: tuple[HostInventory, ...]) -> Iterator[Gap]:
    """Yield what hosts could not read, each reason once."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for inventory in hosts:
        for gap in inventory.gaps:
            seen.setdefault((gap.topic, gap.reason, gap.remedy), []).append(inventory.host)
    from netprobe.reporters._wording import fold

    for (topic, reason, remedy), names in seen.items():
        where = "" if len(names) == len(hosts) else f" ({fold(names)})"
        yield Gap(topic=topic, reason=f"{reason}{where}", remedy=remedy)


def _print_parts(console: "Console", inventory: HostInventory) -> None:
    """Print every fact of a host, part by part."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from netprobe.reporters._wording import visible

    parts: dict[str, list[tuple[str, str]]] = {}
    for name, value in facts_of(inventory):
        parts.setdefault(name.part, []).append((name.topic, value))
    for part, facts in parts.items():
        console.print(Text(f"\n  {visible(part)}", style="bold"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for topic, value in facts:
            grid.add_row(Text(visible(topic), style="dim"), Text(visible(value)))
        console.print(Padding(grid, (0, 0, 0, 4)))


def _print_differences(console: "Console", found: tuple[Difference, ...]) -> None:
    """Print what is not the same on all hosts, against what most have."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from netprobe.reporters._wording import fold, visible

    if not found:
        console.print(Text("\n  all of them are alike"))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for header in ("part", "fact", "most have", "others"):
        table.add_column(Text(header), overflow="fold")
    for each in found:
        usual = (each.usual or "absent") if each.has_usual else "no majority"
        others = [f"{value or 'absent'}: {fold(hosts)}" for value, hosts in each.others]
        if len(others) > MOST_VALUES:
            others = [f"{len(others)} different values"]
        cells = (each.name.part, each.name.topic, usual, "; ".join(others))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print()
    console.print(Padding(table, (0, 0, 0, 2)))
