"""RoCE ports of one host in one subnet, for whose addresses the host answers on any of them.

Does not handle: IPv6, whose neighbours are found per interface; routing rules, which are not read, so that a host that
has the rules but not the setting is told as well.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface, IPv4Network, ip_interface

from netprobe.contracts import Detector
from netprobe.detectors._fleet import HostPort, alike, config_again, distinct, roce_ports
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits

ID = "same-subnet"


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Tell of hosts with ports that share a subnet, unless each interface answers for its own address alone."""
    shared = [each for host in alike(roce_ports(evidence), lambda each: each.host).values() for each in _shared(host)]
    mixing = [(network, ports) for network, ports in shared if any(_arp_ignore(each) == 0 for each in ports)]
    for pairs in alike(mixing, lambda each: (each[0], tuple(port.port.name for port in each[1]))).values():
        yield _finding(pairs[0][0], [ports for _, ports in pairs])
    unknown = [ports for _, ports in shared if all(_arp_ignore(each) is None for each in ports)]
    if unknown:
        hosts = distinct([port for ports in unknown for port in ports])
        yield Gap(
            topic=ID,
            reason=f"RoCE ports share a subnet on {listed(hosts)}, and how ARP is answered there is not known",
            remedy="sysctl net.ipv4.conf.all.arp_ignore there; 1 is right",
        )


def _shared(ports: Sequence[HostPort]) -> Iterator[tuple[IPv4Network, list[HostPort]]]:
    """Yield each subnet that two interfaces or more of a host are in, and a port of each."""
    by_network: dict[IPv4Network, dict[str, HostPort]] = {}
    for port in ports:
        for network in _networks(port):
            by_network.setdefault(network, {}).setdefault(port.interface, port)
    for network, by_interface in by_network.items():
        if len(by_interface) > 1:
            yield network, list(by_interface.values())


def _networks(port: HostPort) -> Iterator[IPv4Network]:
    for text in () if port.net is None else port.net.addresses:
        try:
            address = ip_interface(text)
        except ValueError:
            continue
        if isinstance(address, IPv4Interface) and address.network.num_addresses > 1 and not address.is_link_local:
            yield address.network


def _arp_ignore(port: HostPort) -> int | None:
    return None if port.net is None else port.net.arp_ignore


def _finding(network: IPv4Network, groups: Sequence[Sequence[HostPort]]) -> Finding:
    first = groups[0]
    hosts = distinct([ports[0] for ports in groups])
    names = listed(port.port.name for port in first)
    interfaces = [port.interface for port in first]
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=hosts,
        hosts=(),
        summary=f"{names} are in one subnet ({network}), and the host answers for the address of each on all of them: "
        "packets for one port may arrive at another, which drops them",
        facts=tuple(
            Fact(metric=f"arp_ignore of {port.host} {port.port.netdev}", observed=f"{_arp_ignore(port)}",
                 expected="1 or more", basis="sysctl net.ipv4.conf, the larger of all and its own")
            for ports in groups for port in ports if _arp_ignore(port) == 0
        )[:MOST_FACTS],
        next_action="sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2, and a routing rule for "
        f"each address (ip rule add from ADDRESS table N; ip route add {network} dev {interfaces[-1]} table N); or a "
        "subnet for each rail",
        retest=config_again(hosts),
    )  # fmt: skip


DETECTOR = Detector(
    id=ID,
    title="RoCE ports of a host that share a subnet, and answer for each other",
    cause="""Linux answers an ARP request for any of its addresses on whatever interface it comes in, and sends by the
    first route that fits. With two ports in one subnet peers may learn the wrong port's MAC address: the NIC that gets
    the packets has no such address in its table and drops them, so that some pairs never connect, or break when a
    neighbour entry is renewed.""",
    evidence="""Inventories alone: active RoCE ports on different interfaces of one host whose IPv4 addresses are in the
    same subnet, where arp_ignore (the larger of all and the interface's) is 0 on any of them. Routing rules are not
    read.""",
    remedy="""`sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2` (and in /etc/sysctl.d), with a
    table and a rule for each address; or give each rail a subnet of its own, as most fabrics do. Then on the peers:
    `ip neigh flush all`.""",
    limits=(),
    detect=detect,
    audits=True,
)
