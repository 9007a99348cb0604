"""Hosts whose settings, or whose bytes, leave out the fast ports; and ports that somebody else uses.

Does not handle: which interface MPI took over TCP, since its bytes are no RDMA; and what others send while
collectives run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors._fleet import active_ports, alike, config_again, usual
from netprobe.detectors._ports import SENT_BYTES, Ports
from netprobe.detectors._selection import environment_of, fast_ports, nccl_ports, parse_selection, ucx_ports
from netprobe.detectors._signatures import most_grown
from netprobe.detectors._words import listed, percent
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, RdmaPort
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Path, Scope
from netprobe.model.ports import PortTable, Span
from netprobe.units import format_gbps, gbps

ID = "wrong-nic"
LISTS: Final = {"NCCL_IB_HCA": nccl_ports, "UCX_NET_DEVICES": ucx_ports}
SOCKETS: Final = "NCCL_SOCKET_IFNAME"
LOOPBACK: Final = "lo"
SYNTAX: Final = {
    "NCCL_IB_HCA": "(beginnings of names; = before whole names, ^ before those to leave out)",
    SOCKETS: "(beginnings of names; = before whole names, ^ before those to leave out)",
    "UCX_NET_DEVICES": "(each as DEVICE:PORT)",
}

MOST_OF_PROBE: Final = 1.25
"""Times the bytes of timed iterations: warm-up takes a tenth, headers less than that, checks the rest."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """What a variable selects that it should not."""

    variable: str
    value: str
    what: str
    severity: Severity
    expected: str


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that use other ports than the fast ones, and say whose ports are busy by themselves."""
    built = _as_built(evidence)
    found = [
        (inventory.host, wrong)
        for inventory in built.values()
        if any(port.is_active for port in inventory.rdma_ports)
        for wrong in (*_lists(inventory), *_sockets(inventory))
    ]
    for wrong, pairs in alike(found, lambda each: each[1]).items():
        yield _finding(wrong, [host for host, _ in pairs])
    yield from _detours(evidence, built, limits)
    yield from _busy(evidence, limits)


def _as_built(evidence: Evidence) -> dict[str, HostInventory]:
    """Return the inventories with each port at the rate that its name and model has on most hosts.

    A port that came up slower is a fault of its link, of which link-downgrade tells: whoever uses it chose rightly.
    """
    alike_ports = alike(active_ports(evidence), lambda each: (each.port.name, each.port.model))
    rates = {key: usual(each.port.rate_gbps for each in own) for key, own in alike_ports.items()}

    def built(port: RdmaPort) -> RdmaPort:
        rate = rates.get((port.name, port.model))
        is_slower = rate is not None and (port.rate_gbps or 0.0) < (rate.value or 0.0)
        return replace(port, rate_gbps=rate.value) if is_slower and rate is not None else port

    return {
        host: replace(inventory, rdma_ports=tuple(map(built, inventory.rdma_ports)))
        for host, inventory in evidence.inventories.items()
    }


def _lists(inventory: HostInventory) -> Iterator[_Wrong]:
    environment = environment_of(inventory)
    for variable, ports_of in LISTS.items():
        value = environment.get(variable, "")
        wrong = _what_is_wrong(inventory, ports_of(inventory)) if value else None
        if wrong is not None:
            what, severity = wrong
            fast = _names(fast_ports(inventory.rdma_ports))
            yield _Wrong(variable=variable, value=value, what=what, severity=severity, expected=fast)


def _what_is_wrong(inventory: HostInventory, used: Sequence[RdmaPort]) -> tuple[str, Severity] | None:
    if not used:
        return "no active RDMA port: data goes over TCP, or nowhere", Severity.DEGRADES
    if not set(used) & set(fast_ports(inventory.rdma_ports)):
        return f"{_names(used)} alone, and no fast port", Severity.DEGRADES
    management = [each for each in used if _leads_out(inventory, each)]
    if management and len(management) < len(used):
        return f"{_names(management)} too, which carries the default route", Severity.WARNS
    return None


def _sockets(inventory: HostInventory) -> Iterator[_Wrong]:
    """Yield when no interface of the host fits: NCCL then cannot start. The slowest one that fits will do for it."""
    value = environment_of(inventory).get(SOCKETS, "")
    selection = parse_selection(value)
    names = [each.name for each in inventory.net_devices]
    if selection is not None and names and not any(selection.has(name) for name in (*names, LOOPBACK)):
        yield _Wrong(
            variable=SOCKETS, value=value, what="no interface of the host", severity=Severity.BLOCKS,
            expected=listed(names),
        )  # fmt: skip


def _leads_out(inventory: HostInventory, port: RdmaPort) -> bool:
    net = inventory.net_device(port.netdev)
    return net is not None and net.is_default_route


def _names(ports: Sequence[RdmaPort]) -> str:
    return listed(port.name for port in ports)


def _finding(wrong: _Wrong, hosts: Sequence[str]) -> Finding:
    return Finding(
        detector=ID,
        severity=wrong.severity,
        confidence=Confidence.MEDIUM if wrong.severity is Severity.BLOCKS else Confidence.HIGH,
        subjects=tuple(hosts),
        hosts=(),
        summary=f"{wrong.variable}={wrong.value} selects {wrong.what}",
        facts=(
            Fact(metric=f"what {wrong.variable} selects", observed=wrong.what, expected=wrong.expected,
                 basis="the recorded environment, and the ports of the host"),
        ),
        next_action=f"unset {wrong.variable}, or let it name {wrong.expected} {SYNTAX[wrong.variable]}",
        retest=config_again(hosts),
    )  # fmt: skip


def _detours(evidence: Evidence, built: Mapping[str, HostInventory], limits: Limits) -> Iterator[Finding]:
    """Yield hosts that sent a good part of the probe's bytes by ports that are not their fast ones."""
    table, sent = evidence.ports, evidence.ports.grown(Meaning.RDMA_SENT_BYTES)
    needed = _probe_bytes(evidence)
    for host, rows in _rows(table).items():
        inventory = built.get(host)
        fast = {port.name for port in fast_ports(inventory.rdma_ports)} if inventory is not None else set()
        slow = [row for row in rows if table.name[row] not in fast]
        detoured, total = float(np.nansum(sent[slow])), float(np.nansum(sent[rows]))
        # Against the probe's own as well: when it went over TCP, what is RDMA is somebody else's.
        if fast and slow and detoured > 0 and detoured >= limits.wrong_port_ratio * max(total, needed.get(host, 0.0)):
            busiest = max(slow, key=lambda row: np.nan_to_num(sent[row]))
            yield _detour(host, table.name[busiest], detoured / total, sorted(fast), limits)


def _rows(table: PortTable) -> dict[str, list[int]]:
    return alike(range(len(table.host)), lambda row: table.host[row])


def _probe_bytes(evidence: Evidence) -> dict[str, float]:
    """Return what the probe sent from each host to others in pairs: timed iterations alone, so the least of it.

    Where verbs were measured, they alone are sure to be RDMA.
    """
    placement = placement_of(evidence.ranks)
    paths = {table.path for table in evidence.pairs}
    total = np.zeros(len(placement.hosts))
    for table in evidence.pairs:
        if table.scope is Scope.BETWEEN_HOSTS and (table.path is Path.VERBS or Path.VERBS not in paths):
            size_bytes = table.samples * float(table.bytes_per_iteration)
            for ranks in (table.src,) if table.directed else (table.src, table.dst):
                total += np.bincount(placement.host_of[ranks], size_bytes, len(total))
    return dict(zip(placement.hosts, total.tolist(), strict=True))


def _detour(host: str, port: str, share: float, fast: Sequence[str], limits: Limits) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(),
        summary=f"sends {percent(share)} of its RDMA by slower ports ({port}), and not by {listed(fast)}",
        facts=(
            Fact(metric=f"RDMA bytes of {host} by slower ports", observed=percent(share),
                 expected=f"below {percent(limits.wrong_port_ratio)}", basis="limit wrong_port_ratio; NIC, under load"),
        ),
        next_action=f"let UCX_NET_DEVICES and NCCL_IB_HCA name {listed(fast)}, and see that their "
        "addresses can be reached",
        retest=config_again([host]),
    )  # fmt: skip


def _busy(evidence: Evidence, limits: Limits) -> Iterator[Gap]:
    """Yield which ports moved bytes that are somebody else's; whoever measures there measures both."""
    ports, busy = Ports(evidence=evidence, limits=limits), dict[str, float]()
    for span in (Span.IDLE_BEFORE, Span.IDLE_AFTER):
        moved_gbps = ports.moved_gbps(span)
        for row in np.flatnonzero(ports.is_in_use(span)).tolist():
            busy[ports.subject(row)] = max(busy.get(ports.subject(row), 0.0), float(moved_gbps[row]))
    if busy:
        yield _shared(busy, "while nothing was measured")
    beyond = {
        host: more_gbps
        for host, more_gbps, line_gbps in _rates_beyond(evidence)
        if more_gbps >= limits.foreign_traffic_ratio * line_gbps
    }
    if beyond:
        yield _shared(beyond, "beyond what the probe sent")


def _shared(busy: dict[str, float], when: str) -> Gap:
    return Gap(
        topic=ID,
        reason=f"somebody else uses {listed(busy)}: up to {format_gbps(max(busy.values()))} {when}; "
        "rates of these hosts tell of both",
        remedy="look for jobs, storage or copies on them (rdma statistic show, ss -tni), and measure again",
    )


def _rates_beyond(evidence: Evidence) -> Iterator[tuple[str, float, float]]:
    """Yield (host, Gb/s sent beyond the probe's, rate of its ports); nothing after collectives, which nobody counts."""
    table, needed = evidence.ports, _probe_bytes(evidence)
    sent, elapsed_ns = most_grown(table, SENT_BYTES), table.elapsed_ns(Span.LOAD)
    for host, rows in _rows(table).items() if not evidence.has_collectives else ():
        inventory = evidence.inventories.get(host)
        rates = {port.name: port.rate_gbps or 0.0 for port in inventory.rdma_ports} if inventory is not None else {}
        own = [row for row in rows if rates.get(table.name[row]) and np.isfinite(sent[row]) and elapsed_ns[row] > 0]
        if own and needed.get(host):
            more_bytes = float(sent[own].sum()) - MOST_OF_PROBE * needed[host]
            yield host, gbps(more_bytes, float(elapsed_ns[own].max())), sum(rates[table.name[row]] for row in own)


DETECTOR = Detector(
    id=ID,
    title="a host that leaves out its fast ports, or shares them",
    cause="""A list of devices names the NIC of management or storage, was written for hosts with other names, or leaves
    out the fast ports: data goes over a slow port, or over TCP. Or another job, storage or a copy uses the ports while
    they are measured.""",
    evidence="""NCCL_IB_HCA, UCX_NET_DEVICES and NCCL_SOCKET_IFNAME of the recorded environment against the active ports
    of the host: none, none of the fast ones (above half of the best rate; a port that came up slower than its like on
    most hosts is link-downgrade's), or one with the default route among others.
    From counters: RDMA bytes by slower ports under load, from wrong_port_ratio of all and of what the probe sent. What
    ports move while nothing is measured, or a quarter beyond what the probe sent where there were pairs alone, is
    somebody else's: told from foreign_traffic_ratio of their rate, and nobody is blamed for it.""",
    remedy="""Name the fast devices, or unset the list. NCCL_DEBUG=INFO prints NET/IB and the devices it uses;
    UCX_LOG_LEVEL=info those of UCX.""",
    limits=("wrong_port_ratio", "foreign_traffic_ratio"),
    detect=detect,
    audits=True,
)
