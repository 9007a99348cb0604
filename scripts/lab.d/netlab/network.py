"""The cables and switches of a lab, as commands of ip and tc. Pure but for ``lay`` and ``plug``.

Data: host fab0 — leaf bridge l1… — trunk — spine bridge s1. Management: host mg0 — bridge m0, where the login host is.
"""

from typing import Final

from netlab.commands import in_network, ip
from netlab.processes import Held
from netlab.shape import DATA_DEVICE, MANAGEMENT_DEVICE, Host, Shape, rate_text

SPINE: Final = "s1"
MANAGEMENT_SWITCH: Final = "m0"
ETHERNET_BYTES: Final = 14

# Segmentation is done before a packet is sent, as by a network card: what is lost is one packet, not 64 KiB.
_ONE_PACKET_AT_A_TIME: Final = "gso_max_segs 1"
_BURST_NS: Final = 250_000
"""What a limited port sends at once, in time at its rate: what its timer needs; more would let short tests run free."""
_QUEUE_BYTES: Final = 8 << 20
"""Room for what all hosts together may have under way to one, by the windows that the holder sets."""


def leaf_switch(leaf: int) -> str:
    """Return the bridge of a leaf."""
    return f"l{leaf}"


def trunk_up(leaf: int) -> str:
    """Return the leaf's end of its trunk."""
    return f"up{leaf}"


def trunk_down(leaf: int) -> str:
    """Return the spine's end of a leaf's trunk."""
    return f"down{leaf}"


def lay(fabric: Held, shape: Shape) -> None:
    """Put up the switches and trunks."""
    lines = [line for name in _switches(shape) for line in _switch(name)]
    for leaf in range(1, shape.leaves + 1):
        up, down = trunk_up(leaf), trunk_down(leaf)
        lines += [
            f"link add {up} mtu {shape.mtu_bytes} type veth peer name {down} mtu {shape.mtu_bytes}",
            f"link set {up} master {leaf_switch(leaf)} up",
            f"link set {down} master {SPINE} up",
        ]
    ip(fabric, lines)


def plug(fabric: Held, held: Held, host: Host, shape: Shape) -> None:
    """Connect a host to its switches, and give it its addresses and its rate."""
    ip(fabric, _cables(host, held.pid, shape))
    ip(held, _addresses(host, shape))
    if host.leaf is not None and shape.rate_bps is not None:
        set_rate(held, DATA_DEVICE, shape.rate_bps, shape)
        set_rate(fabric, host.data_port, shape.rate_bps, shape)


def unplug(fabric: Held, host: Host) -> None:
    """Take away the cables that a host had, if they are still there."""
    ports = (host.management_port,) if host.leaf is None else (host.management_port, host.data_port)
    listed = in_network(fabric, ("ip", "-o", "link", "show")).splitlines()
    present = {line.split()[1].partition("@")[0].rstrip(":") for line in listed}
    ip(fabric, [f"link delete {port}" for port in ports if port in present])


def set_rate(held: Held, device: str, rate_bps: int | None, shape: Shape) -> None:
    """Limit what a device sends; None lifts the limit."""
    if rate_bps is None:
        in_network(held, ("tc", "qdisc", "replace", "dev", device, "root", "pfifo", "limit", "1000"))
        return
    largest_bytes = shape.mtu_bytes + ETHERNET_BYTES
    burst_bytes = max(2 * largest_bytes, rate_bps * _BURST_NS // 8_000_000_000)
    limits = ("rate", rate_text(rate_bps), "burst", str(burst_bytes), "limit", str(_QUEUE_BYTES))
    in_network(held, ("tc", "qdisc", "replace", "dev", device, "root", "tbf", *limits))


def set_delay(held: Held, device: str, delay_ms: float, *, is_jitter: bool, shape: Shape) -> None:
    """Hold back what a device sends, by so many milliseconds, or by up to twice as many at random."""
    delay = ("delay", f"{delay_ms}ms", *((f"{delay_ms}ms",) if is_jitter else ()))
    rate = () if shape.rate_bps is None else ("rate", rate_text(shape.rate_bps))
    in_network(held, ("tc", "qdisc", "replace", "dev", device, "root", "netem", *delay, *rate, "limit", "10000"))


def _switches(shape: Shape) -> tuple[str, ...]:
    return (*(leaf_switch(leaf) for leaf in range(1, shape.leaves + 1)), SPINE, MANAGEMENT_SWITCH)


def _switch(name: str) -> tuple[str, str]:
    return (
        f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set {name} up",
    )


def _cables(host: Host, pid: int, shape: Shape) -> list[str]:
    far_end = f"{MANAGEMENT_DEVICE} address {host.management_mac}"
    lines = _cable(host.management_port, MANAGEMENT_SWITCH, far_end, pid, 1500)
    if host.leaf is not None:
        far_end = f"{DATA_DEVICE} address {host.data_mac}"
        lines += _cable(host.data_port, leaf_switch(host.leaf), far_end, pid, shape.mtu_bytes)
    return lines


def _cable(port: str, switch: str, far_end: str, pid: int, mtu_bytes: int) -> list[str]:
    return [
        f"link add {port} mtu {mtu_bytes} type veth peer name {far_end} mtu {mtu_bytes} netns {pid}",
        f"link set {port} {_ONE_PACKET_AT_A_TIME}",
        f"link set {port} master {switch} up",
    ]


def _addresses(host: Host, shape: Shape) -> list[str]:
    # Neighbours are entered by hand: a lost ARP would cost a second, where a lost packet costs a retransmission, and a
    # host that comes back would stay unknown for as long.
    others = [each for each in shape.neighbours() if each != host]
    entry = "neigh replace {} lladdr {} dev {} nud permanent"
    lines = [
        f"addr add {host.management_address}/24 dev {MANAGEMENT_DEVICE}",
        f"link set {MANAGEMENT_DEVICE} up",
        *(entry.format(each.management_address, each.management_mac, MANAGEMENT_DEVICE) for each in others),
    ]
    if host.leaf is None:
        return lines
    return [
        *lines,
        f"addr add {host.data_address}/24 dev {DATA_DEVICE}",
        f"link set {DATA_DEVICE} {_ONE_PACKET_AT_A_TIME} up",
        *(entry.format(each.data_address, each.data_mac, DATA_DEVICE) for each in others if each.leaf is not None),
    ]
