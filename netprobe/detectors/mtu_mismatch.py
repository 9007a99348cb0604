"""RoCE ports whose interface has another MTU than most hosts have for that port.

Does not handle: InfiniBand, whose MTU the subnet manager sets; an MTU that is small everywhere; interfaces without
RDMA, and packets that vanish on the way (mtu).
"""

from collections.abc import Iterator, Sequence

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    Usual,
    alike,
    alone_gap,
    config_again,
    fleet_gaps,
    roce_ports,
    undecided,
    usual,
)
from netprobe.locate.roce import HEADERS_BYTES, payload_bytes
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits

ID = "mtu-mismatch"


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports with an odd MTU; those whose RDMA packets get smaller degrade."""
    for ports in alike(roce_ports(evidence), lambda each: each.port.name).values():
        most = usual(mtu for each in ports if (mtu := _mtu(each)) is not None)
        yield from _split(ports) if most is None else _odd(ports, most)
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    yield from fleet_gaps(ID, evidence)


def _mtu(port: HostPort) -> int | None:
    net = port.net
    return None if net is None else net.mtu_bytes


def _odd(ports: Sequence[HostPort], most: Usual[int]) -> Iterator[Finding]:
    for port in ports:
        mtu_bytes = _mtu(port)
        if mtu_bytes is not None and mtu_bytes != most.value:
            yield _finding(port, mtu_bytes, most)


def _split(ports: Sequence[HostPort]) -> Iterator[Finding]:
    told = [(port, mtu_bytes) for port in ports if (mtu_bytes := _mtu(port)) is not None]
    is_less = len({payload_bytes(mtu_bytes) for _, mtu_bytes in told}) > 1
    yield from undecided(
        ID,
        f"MTU of {ports[0].port.name}",
        [(port.host, port.subject, f"{mtu_bytes}") for port, mtu_bytes in told],
        Severity.DEGRADES if is_less else Severity.WARNS,
        "decide which MTU is right, set it on all (ip link set dev DEVICE mtu MTU) and in their network configuration",
    )


def _finding(port: HostPort, mtu_bytes: int, most: Usual[int]) -> Finding:
    own, others = payload_bytes(mtu_bytes), payload_bytes(most.value)
    is_less = (own or 0) < (others or 0)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if is_less else Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(port.subject,),
        hosts=(port.host,) if is_less else (),
        summary=f"MTU {mtu_bytes}, where {most.count} others have {most.value}: RDMA packets of {_size(own)} "
        f"{'as theirs' if own == others else f'instead of {_size(others)}'}",
        facts=(
            Fact(metric=f"MTU of {port.host} {port.port.netdev}", observed=f"{mtu_bytes}", expected=f"{most.value}",
                 basis="the same port of most hosts"),
            Fact(metric="largest payload of RoCE that fits", observed=_size(own), expected=_size(others),
                 basis=f"256 to 4096 bytes, and {HEADERS_BYTES} for headers"),
        ),
        next_action=f"ip link set dev {port.interface} mtu {most.value}, and in the host's network configuration, so "
        "that it outlives a reboot; the switch port has to take it",
        retest=config_again([port.host]),
    )  # fmt: skip


def _size(payload: int | None) -> str:
    return "nothing" if payload is None else f"{payload} B"


DETECTOR = Detector(
    id=ID,
    title="a RoCE port whose MTU is not that of the others",
    cause="""An interface was set up otherwise, or came back with its default of 1500 after a reboot. RoCE takes the
    largest payload of 256 to 4096 bytes that fits, and both ends have to agree: the smaller one holds for the pair,
    and programs that do not ask fail.""",
    evidence="""The MTU of each active RoCE port's interface against the port of the same name on most hosts, three or
    more. It degrades where a smaller payload follows (below an MTU of 4192 packets have 2048 bytes or less); otherwise
    it is a warning. Where no MTU is that of most, all that differ are told, and nobody is blamed.""",
    remedy="""`ip link set dev DEVICE mtu 9000`, and in the network configuration; then `ping -M do -s 8972 ADDRESS` to
    see that switches take it. `ibv_devinfo` shows active_mtu.""",
    limits=(),
    detect=detect,
    audits=True,
)
