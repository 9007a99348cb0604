"""Leaves from cables: the site's list that ``--cables`` reads, or the LLDP neighbours that an inventory holds.

The switch at the other end of a cable is a leaf. A host whose cables all end at one switch is on it with all of its
NICs; one whose cables end at several has rails, numbered in the order of its interfaces' names (1, 2, … 10), which is
how netprobe deals NICs to the ranks of a host.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from netprobe.errors import FormatError, PlanError
from netprobe.inventory.lldp import COLUMNS, parse_site
from netprobe.launch.hosts import expanded, folded
from netprobe.model.inventory import Inventories
from netprobe.model.topology import Leaf

Cable = tuple[str, str, str]
"""Host, interface, switch."""
_LINES: Final = ",".join(COLUMNS) + ", as in node01,eth0,leaf3,Ethernet1/7"
_ASKED: Final = "netprobe inventory --hosts node[01-64] --format json, where lldpd runs, or with --cables"


def parse_cables(text: str, where: str) -> tuple[Leaf, ...]:
    """Return the leaves of lines of ``host,netdev,switch,port``; PlanError names the line."""
    try:
        told = parse_site(text, where)
    except FormatError as error:
        raise PlanError(" ".join(error.problem.split()), remedy=_LINES) from error
    return leaves_of(((host, netdev, at.system) for (host, netdev), at in told.items()), where, _LINES)


def parse_inventory(text: str, where: str) -> tuple[Leaf, ...]:
    """Return the leaves of what ``netprobe inventory --format json`` printed, by its LLDP neighbours."""
    try:
        told = msgspec.json.decode(text, type=Inventories)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise PlanError(f"{where}: it is no inventory: {' '.join(str(error).split())}", remedy=_ASKED) from error
    cables = []
    for host in told.hosts:
        carriers = {port.netdev for port in host.rdma_ports}
        known = [each for each in host.net_devices if each.neighbour is not None]
        # Management has neighbours too: where there are NICs with RDMA, the others are no part of the fabric.
        for each in [each for each in known if each.name in carriers] or known:
            assert each.neighbour is not None
            cables.append((host.host, each.name, each.neighbour.system))
    return leaves_of(cables, where, _ASKED)


def leaves_of(cables: Iterable[Cable], where: str, remedy: str) -> tuple[Leaf, ...]:
    """Return the leaves at the ends of cables; PlanError where there is no cable, or a host that is none."""
    switches: dict[str, dict[str, str]] = {}
    for host, netdev, switch in cables:
        switches.setdefault(host, {})[netdev] = switch
    hosts_on: dict[tuple[str, int | None], list[str]] = {}
    for host, by_netdev in switches.items():
        if expanded(host, f"{where}: {host!r}") != (host,):
            raise PlanError(f"{where}: {host!r} is not one host", remedy=remedy)
        ordered = [by_netdev[netdev] for netdev in sorted(by_netdev, key=_in_order)]
        for rail, switch in enumerate(ordered) if len(set(ordered)) > 1 else [(None, ordered[0])]:
            hosts_on.setdefault((switch, rail), []).append(host)
    if not hosts_on:
        raise PlanError(f"{where} tells of no cable", remedy=remedy)
    return tuple(Leaf(switch=switch, hosts=folded(hosts), rail=rail) for (switch, rail), hosts in hosts_on.items())


def _in_order(netdev: str) -> tuple[tuple[int, str], ...]:
    """Return a key by which eth2 comes before eth10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", netdev) if part)
