"""What is wrong with the settings of a RoCE port, whatever the other hosts have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netprobe.detectors._fleet import HostPort
from netprobe.detectors._selection import environment_of, nccl_ports, ucx_ports
from netprobe.detectors._settings import LOST, QOS
from netprobe.locate.fleet import priorities
from netprobe.model.finding import Severity
from netprobe.model.inventory import QosSettings

LOSSLESS: Final = 3
"""The priority that most guides make lossless, for commands on hosts that have none."""
CNP_DSCPS: Final = (48, *range(63, -1, -1))
"""Where CNPs may go, the best first: 48 is what mlx5 starts with and most guides keep (priority 6)."""
USERS: Final = {"NCCL_IB_TC": nccl_ports, "UCX_IB_TRAFFIC_CLASS": ucx_ports}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What one port is set to, what it should be, and the command."""

    topic: str
    """As in locate.fleet: where the port differs from most in it, that says it all."""
    severity: Severity
    summary: str
    observed: str
    expected: str
    basis: str
    command: str
    """With the interface of the port in it."""
    rests_on: frozenset[str] = QOS
    """Topics as well: where the port differs from most in one of them, that is to be mended first, and this looked at
    again. Two commands for one mistake would undo each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What a rule would have to know of a port, beside what it knows, to call it wrong or fine."""

    reason: str
    remedy: str


def tells_pfc(port: HostPort) -> bool:
    """Return whether it is known which priorities are lossless: nothing here can be judged without."""
    return port.net is not None and port.net.qos is not None and port.net.qos.pfc_enabled is not None


def lacks_of(port: HostPort) -> tuple[Lack, ...]:
    """Return what could not be judged for want of something else: it may be wrong, so it must not pass for fine."""
    return tuple(_lacks(port))


def _lacks(port: HostPort) -> Iterator[Lack]:
    qos = None if port.net is None else port.net.qos
    if port.net is None or qos is None or qos.pfc_enabled is None:
        return  # said of all settings of the interface together
    if not any(qos.pfc_enabled):
        pauses = port.net.pause_receives, port.net.pause_sends
        if None in pauses and True not in pauses:
            yield Lack(
                reason="PFC is off in every priority, and whether global pause is on instead is not known",
                remedy="ethtool -a DEVICE, or netprobe snapshot there, which tells both",
            )
    elif qos.trust is None:
        yield Lack(
            reason="some priorities are lossless, and what the priority is taken from (trust) is not known, so neither "
            "is whether RDMA rides in one of them",
            remedy="mlnx_qos -i DEVICE, or dcb apptrust show dev DEVICE",
        )
    elif _is_untagged_lossy(qos) and (not port.port.gids or None in _netdevs(port)):
        yield Lack(
            reason="the priority is taken from VLAN tags (trust pcp), 0 is not lossless, and whether any address of "
            "RDMA is on a VLAN is not known",
            remedy="show_gids, or netprobe snapshot there, which tells both",
        )


def _is_untagged_lossy(qos: QosSettings) -> bool:
    """Return whether packets without a tag are in a priority that drops."""
    return qos.trust == "pcp" and qos.pfc_enabled is not None and not qos.pfc_enabled[0]


def _netdevs(port: HostPort) -> set[str | None]:
    return {gid.netdev for gid in port.port.gids}


def wrongs_of(port: HostPort, *, has_ecn: bool) -> Iterator[Wrong]:
    """Yield what is wrong; ``has_ecn``: congestion control is on somewhere, so that off is no policy."""
    qos = None if port.net is None else port.net.qos
    if qos is None or qos.pfc_enabled is None:
        return
    lossless = frozenset(priority for priority, is_on in enumerate(qos.pfc_enabled) if is_on)
    if lossless:
        yield from _untagged(port, qos)
        yield from _misplaced(port, qos, lossless)
        yield from _unmarked(port, lossless) if has_ecn else ()
        yield from _stopped_cnps(port, qos, lossless)
    else:
        yield from _lossy(port, qos)


def is_judgeable(port: HostPort) -> bool:
    """Return whether any of these rules has on this port what it looks at."""
    net = port.net
    if net is None or net.qos is None or net.qos.pfc_enabled is None:
        return False
    if not any(net.qos.pfc_enabled):
        return not lacks_of(port)
    has_priority = any(
        net.qos.priority_of(traffic_class >> 2) is not None for _, traffic_class, _ in _traffic_classes(port)
    )
    return has_priority or net.ecn is not None or bool(net.qos.trust and port.port.gids)


def _lossy(port: HostPort, qos: QosSettings) -> Iterator[Wrong]:
    net = port.net
    if net is None or net.pause_receives is not False or net.pause_sends is not False:
        return
    mask = ",".join("1" if each == LOSSLESS else "0" for each in range(8))
    yield Wrong(
        topic="lossless priorities",
        severity=Severity.WARNS,
        summary="nothing stops a sender: PFC is off in every priority, and global pause is off",
        observed="PFC none, global pause off",
        expected="PFC in the priority of RDMA",
        basis=qos.origin,
        command=f"mlnx_qos -i {port.interface} --pfc {mask} (or dcb pfc set dev {port.interface} prio-pfc "
        f"{LOSSLESS}:on), if the switch has priority {LOSSLESS} lossless; {LOST}",
        rests_on=frozenset(),
    )


def _untagged(port: HostPort, qos: QosSettings) -> Iterator[Wrong]:
    if _is_untagged_lossy(qos) and port.port.netdev is not None and _netdevs(port) == {port.port.netdev}:
        yield Wrong(
            topic="trust",
            severity=Severity.DEGRADES,
            summary="trusts the priority of VLAN tags, and no address is on a VLAN: RDMA arrives in priority 0, which "
            "is not lossless",
            observed="trust pcp, addresses on the interface itself",
            expected="trust dscp, or addresses on a VLAN",
            basis=f"{qos.origin}; the table of addresses",
            command=f"mlnx_qos -i {port.interface} --trust dscp; {LOST}",
        )


def _misplaced(port: HostPort, qos: QosSettings, lossless: frozenset[int]) -> Iterator[Wrong]:
    for name, traffic_class, where in _traffic_classes(port):
        dscp = traffic_class >> 2
        priority = qos.priority_of(dscp)
        if priority is not None and priority not in lossless:
            wanted = min(lossless)
            fitting = next((each for each, own in qos.dscp_to_priority if own == wanted), wanted * 8)
            yield Wrong(
                topic=name,
                severity=Severity.DEGRADES,
                summary=f"{name} {traffic_class} (DSCP {dscp}) rides in priority {priority}, which is not lossless: "
                f"PFC is on for {priorities(qos.pfc_enabled)}",
                observed=f"{traffic_class}: priority {priority}",
                expected=f"{fitting << 2}: priority {wanted}",
                basis=f"{where}; {qos.origin}",
                command=_traffic_class_command(port, name, fitting << 2),
            )


def _traffic_classes(port: HostPort) -> Iterator[tuple[str, int, str]]:
    """Yield the classes that a port's traffic gets, by who sets them; the kernel's goes before all others."""
    if port.port.traffic_class is not None:
        yield "traffic class", port.port.traffic_class, "sysfs, tc/traffic_class"
        return
    if port.port.default_tos:
        yield "default type of service", port.port.default_tos, "configfs, default_roce_tos"
    environment = environment_of(port.inventory)
    for variable, ports_of in USERS.items():
        text = environment.get(variable, "")
        if text.isdecimal() and len(text) < 4 and int(text) < 256 and port.port in ports_of(port.inventory):
            yield variable, int(text), "the recorded environment"


def _traffic_class_command(port: HostPort, name: str, value: int) -> str:
    device, number = port.quoted_device, port.port.port
    if name == "traffic class":
        return f"echo {value} > /sys/class/infiniband/{device}/tc/{number}/traffic_class; {LOST}"
    if name == "default type of service":
        return f"cma_roce_tos -d {device} -p {number} -t {value}; {LOST}"
    return f"export {name}={value}"


def _unmarked(port: HostPort, lossless: frozenset[int]) -> Iterator[Wrong]:
    ecn = None if port.net is None else port.net.ecn
    if ecn is None:
        return
    silent = sorted(each for each in lossless if ecn.reaction_point[each] is False)
    if silent:
        yield _ecn_off(port, "reaction", "roce_rp", silent[0], "CNPs do not slow it down")
    # On mlx5 any of them turns all on.
    if not any(ecn.notification_point) and all(ecn.notification_point[each] is False for each in lossless):
        yield _ecn_off(port, "notification", "roce_np", min(lossless), "it does not answer marked packets with CNPs")


def _stopped_cnps(port: HostPort, qos: QosSettings, lossless: frozenset[int]) -> Iterator[Wrong]:
    ecn = None if port.net is None else port.net.ecn
    if ecn is None or ecn.cnp_dscp is None or not any(each is not False for each in ecn.notification_point):
        return  # whoever answers no marked packet sends no CNPs
    priority = qos.priority_of(ecn.cnp_dscp)
    free = (each for each in CNP_DSCPS if qos.priority_of(each) not in lossless)
    if priority in lossless and (wanted := next(free, None)) is not None:
        yield Wrong(
            topic="ECN CNP DSCP",
            severity=Severity.WARNS,
            summary=f"CNPs (DSCP {ecn.cnp_dscp}) ride in priority {priority}, which is lossless: a pause stops them "
            "just when they are needed",
            observed=f"{ecn.cnp_dscp}: priority {priority}",
            expected=f"{wanted}: priority {qos.priority_of(wanted)}",
            basis=f"{ecn.origin}; {qos.origin}" if ecn.origin != qos.origin else ecn.origin,
            command=f"echo {wanted} > /sys/class/net/{port.interface}/ecn/roce_np/cnp_dscp, if the switches give that "
            f"DSCP a queue of its own; {LOST}",
        )


def _ecn_off(port: HostPort, point: str, folder: str, priority: int, means: str) -> Wrong:
    ecn = None if port.net is None else port.net.ecn
    return Wrong(
        topic=f"ECN {point}",
        severity=Severity.WARNS,
        summary=f"ECN {point} is off in the lossless priority {priority}: {means}",
        observed="off",
        expected="on",
        basis="sysfs" if ecn is None else ecn.origin,
        command=f"echo 1 > /sys/class/net/{port.interface}/ecn/{folder}/enable/{priority}; {LOST}",
    )
