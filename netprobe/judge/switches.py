"""What grew on switches, port by port, with the host that is attached where somebody tells. Figures, no findings."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from netprobe.judge.benchmarks import Note
from netprobe.model.inventory import HostInventory
from netprobe.model.switches import SwitchPortCounts
from netprobe.units import format_count

FIGURES: Final[Mapping[str, str]] = {
    "pfc_watchdog_storms": "storms seen by the PFC watchdog",
    "rx_damaged": "frames received with a wrong checksum (CRC)",
    "drops": "packets dropped",
    "wred_drops": "packets dropped early",
    "fec_uncorrectable": "frames that FEC could not correct",
    "rx_errors": "frames received with any error, wrong checksums among them",
    "tx_errors": "frames that could not be sent",
    "rx_pfc": "PFC frames received",
    "tx_pfc": "PFC frames sent",
    "rx_pause_ns": "stopped",
    "ecn_marked": "packets marked",
}
"""Fields of SwitchPortCounts, the worst first."""


def switch_notes(growth: Iterable[SwitchPortCounts], inventories: Iterable[HostInventory]) -> Iterator[Note]:
    """Yield what grew at each port and priority, the worst first; one line for each switch where nothing did."""
    told = tuple(growth)
    attached = {
        (device.neighbour.system, device.neighbour.port): f"{inventory.host} {device.name}"
        for inventory in inventories
        for device in inventory.net_devices
        if device.neighbour is not None
    }
    grown = [each for each in told if any(getattr(each, name) for name in FIGURES)]
    for each in sorted(grown, key=lambda each: tuple(-(getattr(each, name) or 0) for name in FIGURES)):
        yield _note(each, attached.get((each.switch, each.port)))
    for switch in dict.fromkeys(each.switch for each in told):
        if not any(each.switch == switch for each in grown):
            yield Note(subject=switch, text="nothing grew between the two snapshots")


def _note(grown: SwitchPortCounts, attached: str | None) -> Note:
    where = "" if grown.priority is None else f"priority {grown.priority}: "
    whom = "" if attached is None else f" ({attached})"
    counts = {what: value for name, what in FIGURES.items() if (value := getattr(grown, name))}
    if grown.rx_errors == grown.rx_damaged:
        counts.pop(FIGURES["rx_errors"], None)  # nothing but wrong checksums, and those are told
    figures = (
        f"{what} for {format_count(value, 'ns')}" if what == FIGURES["rx_pause_ns"] else f"{what} {value:,}"
        for what, value in counts.items()
    )
    return Note(subject=f"{grown.switch} {grown.port}{whom}", text=f"{where}{', '.join(figures)}")
