"""Hosts that have fewer RDMA ports than most others.

Does not handle: ports that are there and down (link-downgrade), and hosts that are meant to differ where they are few.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import Usual, config_again, fleet_gaps, host_ports, undecided, usual
from netprobe.detectors._words import listed
from netprobe.locate.fleet import MAJORITY
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, RdmaPort
from netprobe.model.limits import Limits

ID = "missing-nic"
LOOK: Final = (
    "look for the device on the bus (lspci -d 15b3: for NVIDIA's) and for what its driver says (dmesg); reseat or "
    "replace the card"
)


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that lack a port."""
    told = [each for each in evidence.inventories.values() if _is_listed(each)]
    count = usual(len(each.rdma_ports) for each in told)
    if count is not None:
        yield from (_finding(each, told, count) for each in told if len(each.rdma_ports) < count.value)
    else:
        counts = [(each.host, each.host, f"{len(each.rdma_ports)}") for each in told]
        yield from undecided(ID, "the number of RDMA ports", counts, Severity.DEGRADES, LOOK)
    unread = sorted(each.host for each in evidence.inventories.values() if each.gaps and not each.rdma_ports)
    if unread and host_ports(evidence):
        yield Gap(
            topic=ID,
            reason=f"whether RDMA devices are missing is not known of {listed(unread)}, which could not tell of any",
            remedy="netprobe inventory there says why",
        )
    yield from fleet_gaps(ID, evidence)


def _is_listed(inventory: HostInventory) -> bool:
    """Return whether all ports of a host are told, and not merely those that a report was handed over for."""
    is_read = inventory.system is not None and (inventory.rdma_ports or not inventory.gaps)
    states = [port.state for port in inventory.rdma_ports]
    return bool(is_read or (states and None not in states))


def _finding(inventory: HostInventory, told: Sequence[HostInventory], count: Usual[int]) -> Finding:
    own, missing = len(inventory.rdma_ports), _missing(inventory, told)
    names = f" ({listed(missing)})" if missing else ""
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(inventory.host,),
        hosts=(inventory.host,),
        summary=f"has {own or 'no'} RDMA port{'s' * (own != 1)}, where {count.count} others have {count.value}{names}",
        facts=(
            Fact(metric=f"RDMA ports of {inventory.host}", observed=f"{own}", expected=f"{count.value}",
                 basis="most hosts"),
        ),
        next_action=LOOK,
        retest=config_again([inventory.host]),
    )  # fmt: skip


def _missing(inventory: HostInventory, told: Sequence[HostInventory]) -> list[str]:
    """Return which ports most hosts have and this one has not, by place on the bus: names move up when one is gone."""
    counted = Counter(place for each in told for place in {_place(port) for port in each.rdma_ports})
    own = {_place(port) for port in inventory.rdma_ports}
    return sorted(place for place, hosts in counted.items() if place not in own and hosts > MAJORITY * len(told))


def _place(port: RdmaPort) -> str:
    return port.name if port.pci is None else f"{port.pci}{'' if port.port == 1 else f'/{port.port}'}"


DETECTOR = Detector(
    id=ID,
    title="a NIC that other hosts have",
    cause="""A card fell off the bus, its driver did not load, its firmware hangs, or it was never put in. Jobs fail at
    start, or take another way: over fewer rails, or over TCP.""",
    evidence="""The number of RDMA ports of each host against that of most hosts, three or more. What is missing is told
    by its address on the bus, since the names of the others move up. More than most is no fault. Where no number
    is that of most, all are told, and nobody is blamed.""",
    remedy="""`lspci`, `dmesg | grep -i mlx5`, a cold start of the host (AC off); then replace the card. Leave the host
    out of jobs that use all rails.""",
    limits=(),
    detect=detect,
    audits=True,
)
