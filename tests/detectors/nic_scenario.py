"""The part of a scenario that is about NICs: what hosts are made of, and what their ports counted.

[[nics]]                                  # every host has one of these; a later line of the same name changes it
name = "mlx5_0"                           # the RDMA device; absent: an interface alone
netdev = "eth0"
on = ["node2"]                            # absent: every host
missing = true                            # these hosts do not have it
port = { rate_gbps = 400.0 }              # fields of model.inventory.RdmaPort
net = { mtu_bytes = 9000 }                # of NetDevice
qos = { trust = "dscp" }                  # of QosSettings
ecn = { cnp_dscp = 48 }                   # of EcnSettings
pci = { width = 16 }                      # of PciDevice
gids = [[3, "0000:0000:0000:0000:0000:ffff:0a01:0001", "RoCE v2"]]

[[gpus]]                                  # every host has one of these
address = "0000:1b:00.0"
pci = { numa_node = 0, path = ["0000:00:01.0"] }

[[gpu_windows]]                           # what GPUs of every host showed; a later line changes what earlier ones say
pci = ["0000:18:00.0"]                    # absent in a later line: all of them
on = ["node2"]                            # absent: every host
stage = "bandwidth"
set = { samples = 200, samples_held = 10, holds = { "power brake" = 10 } }  # fields of model.gpu.GpuWindow

[[gpu_grown]]                             # what their counters grew by in that stage; as above
seconds = 10.0
grown = { nvlink_crc = 1000 }

[[systems]]
on = ["node2"]
set = { governor = "powersave" }          # fields of SystemSettings

[[counted]]                               # what ports counted; a later line changes what earlier ones say
span = "load"                             # or provoked, idle-before, idle-after, quiet; rounds: of each round that fits
nic = "mlx5_0"                            # absent: every port
on = ["node2"]                            # absent: every host
with = ["node3"]                          # of rounds: only with these partners
seconds = 10.0                            # of a span
grown = { "out-of-sequence" = 5 }         # by meaning
by_priority = { "pause-received" = [0, 0, 0, 7, 0, 0, 0, 0] }
at_least = ["link-down"]
unrecognised = { "rdma/mlx5_0/1/odd_drops" = 3 }
"""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from netprobe.model.evidence import PairTable
from netprobe.model.gpu import GpuGrowth, GpuWindow
from netprobe.model.inventory import (
    EcnSettings,
    Gid,
    HostInventory,
    NetDevice,
    PciDevice,
    QosSettings,
    RdmaPort,
    SystemSettings,
)
from netprobe.model.meaning import Meaning
from netprobe.model.ports import NO_PORTS, PairCounts, PortTable, Span, SpanCounts
from netprobe.units import NS_PER_S

ROUNDS = "rounds"
WITH_NONE = ("gpu_direct",)  # where "none" is what a host says


class NicLine(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    netdev: str = "eth0"
    on: list[str] = []
    missing: bool = False
    port: dict[str, Any] = {}
    net: dict[str, Any] = {}
    qos: dict[str, Any] = {}
    ecn: dict[str, Any] = {}
    pci: dict[str, Any] = {}
    gids: list[tuple[int, str, str]] | None = None


class GpuLine(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    on: list[str] = []
    pci: dict[str, Any] = {}


class GpuWindowLine(msgspec.Struct, forbid_unknown_fields=True, rename={"traits": "set"}):
    pci: list[str] = []
    on: list[str] = []
    stage: str = "bandwidth"
    traits: dict[str, Any] = {}


class GpuGrownLine(msgspec.Struct, forbid_unknown_fields=True):
    grown: dict[str, int]
    pci: list[str] = []
    on: list[str] = []
    stage: str = "bandwidth"
    seconds: float = 10.0


class SystemLine(msgspec.Struct, forbid_unknown_fields=True, rename={"settings": "set"}):
    settings: dict[str, Any]
    on: list[str] = []


class CountedLine(msgspec.Struct, forbid_unknown_fields=True, rename={"peers": "with"}):
    span: str = Span.LOAD.value
    nic: str | None = None
    on: list[str] = []
    peers: list[str] = []
    seconds: float = 10.0
    grown: dict[Meaning, float] = {}
    by_priority: dict[Meaning, list[float]] = {}
    at_least: list[Meaning] = []
    unrecognised: dict[str, float] = {}


PORT = RdmaPort(
    device="mlx5_0", port=1, link_layer="Ethernet", state="ACTIVE", physical_state="LinkUp", rate_gbps=400.0,
    driver="mlx5_core", netdev="eth0", pci="0000:17:00.0", firmware="28.40.1000", board="MT_0000000838",
    model="MT4129", forces_no_class=True, node_guid=None,
)  # fmt: skip
NET = NetDevice(
    name="eth0", state="up", mtu_bytes=9000, speed_gbps=400.0, driver="mlx5_core", pci="0000:17:00.0", fec="RS"
)
QOS = QosSettings(pfc_enabled=(False,) * 3 + (True,) + (False,) * 4, trust="dscp", dscp_to_priority=((26, 3),))
ECN = EcnSettings(notification_point=(True,) * 8, reaction_point=(True,) * 8, cnp_dscp=48)
PCI = PciDevice(
    address="0000:17:00.0", kind="nic", vendor="15b3", device="1021", numa_node=0, speed_gtps=32.0,
    speed_most_gtps=32.0, width=16, width_most=16,
)  # fmt: skip
GPU_WINDOW = GpuWindow(
    stage="bandwidth", rank=0, pci=None, name="NVIDIA H100 80GB HBM3", samples=200, samples_busy=200,
    sm_clock_least_mhz=1900, sm_clock_typical_mhz=1980.0, sm_clock_target_mhz=1980, celsius_most=60,
    slowdown_celsius=87, pcie_generation_best=5, pcie_generation_most=5, pcie_width_least=16, pcie_width_most=16,
    links=18, links_active_least=18, remap_pending=False, remap_failed=False,
)  # fmt: skip
SYSTEM = SystemSettings(
    kernel="6.8.0", memlock_bytes=(1 << 63) - 1, governor="performance", deepest_idle_state="C1", iommu="identity",
    gpu_direct=None,
)  # fmt: skip


def gpu_windows(hosts: list[str], lines: list[GpuWindowLine]) -> tuple[GpuWindow, ...]:
    """Return what GPUs showed, by host, stage and address; a host's first rank is the one that asked."""
    windows: dict[tuple[str, str, str], GpuWindow] = {}
    for line in lines:
        for host in line.on or dict.fromkeys(hosts):
            for pci in line.pci or sorted({pci for own, _, pci in windows if own == host}):
                before = windows.get((host, line.stage, pci), GPU_WINDOW)
                named = replace(before, stage=line.stage, rank=hosts.index(host), pci=None if pci == "none" else pci)
                traits = {name: None if value == "none" else value for name, value in line.traits.items()}
                windows[host, line.stage, pci] = msgspec.convert({**msgspec.to_builtins(named), **traits}, GpuWindow)
    return tuple(windows.values())


def gpu_growths(hosts: list[str], lines: list[GpuGrownLine]) -> tuple[GpuGrowth, ...]:
    """Return what counters of GPUs grew by, in order of the lines."""
    return tuple(
        GpuGrowth(
            stage=line.stage, rank=hosts.index(host), pci=pci, elapsed_ns=round(line.seconds * NS_PER_S),
            grown=line.grown,
        )
        for line in lines
        for host in dict.fromkeys(hosts)
        if not line.on or host in line.on
        for pci in line.pci
    )  # fmt: skip


def inventories(
    hosts: list[str], nics: list[NicLine], gpus: list[GpuLine], systems: list[SystemLine]
) -> dict[str, HostInventory]:
    """Return what every host is made of; nothing when the scenario tells nothing of it."""
    if not (nics or gpus or systems):
        return {}
    names = list(dict.fromkeys(hosts))
    return {host: _inventory(host, number, nics, gpus, systems) for number, host in enumerate(names, start=1)}


def _inventory(
    host: str, number: int, nics: list[NicLine], gpus: list[GpuLine], systems: list[SystemLine]
) -> HostInventory:
    lines: dict[str, list[NicLine]] = {}
    for line in nics:
        if not line.on or host in line.on:
            lines.setdefault(line.name or line.netdev, []).append(line)
    present = [own for own in lines.values() if not own[-1].missing]
    system = SYSTEM
    for line in systems:
        if not line.on or host in line.on:
            system = _changed(system, line.settings)
    return HostInventory(
        host=host,
        rdma_ports=tuple(_port(own, number) for own in present if own[0].name),
        net_devices=tuple(_net(own) for own in present),
        pci_devices=(
            *(_pci(own) for own in present),
            *(
                _changed(replace(PCI, address=gpu.address, kind="gpu", vendor="10de", device="2330"), gpu.pci)
                for gpu in gpus
                if not gpu.on or host in gpu.on
            ),
        ),
        system=system,
    )


def _port(own: list[NicLine], number: int) -> RdmaPort:
    address = f"0000:0000:0000:0000:0000:ffff:0a01:{number:04x}"
    gids = (Gid(index=3, address=address, kind="RoCE v2", netdev=own[0].netdev),)
    port = replace(PORT, device=own[0].name, netdev=own[0].netdev, gids=gids)
    for line in own:
        port = _changed(port, line.port)
        if line.gids is not None:
            gids = tuple(Gid(index=i, address=each, kind=kind, netdev=own[0].netdev) for i, each, kind in line.gids)
            port = replace(port, gids=gids)
    return port


def _net(own: list[NicLine]) -> NetDevice:
    net, qos, ecn = replace(NET, name=own[0].netdev), QOS, ECN
    for line in own:
        net, qos, ecn = _changed(net, line.net), _changed(qos, line.qos), _changed(ecn, line.ecn)
    return replace(net, qos=qos, ecn=ecn)


def _pci(own: list[NicLine]) -> PciDevice:
    pci = PCI
    for line in own:
        pci = _changed(pci, line.pci)
    return pci


def _changed(record: Any, values: dict[str, Any]) -> Any:
    """Return a record with other values; ``"none"`` stands for None, which TOML does not have."""
    return replace(record, **{name: value if name in WITH_NONE else _frozen(value) for name, value in values.items()})


def _frozen(value: Any) -> Any:
    if value == "none":
        return None
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def port_table(
    inventories: dict[str, HostInventory],
    lines: list[CountedLine],
    rounds: tuple[PairTable, ...],
    rank_hosts: tuple[str, ...],
) -> PortTable:
    """Return what ports counted: spans as the lines say, and a row for both ends of each pair in its round."""
    if not lines:
        return NO_PORTS
    ports = [
        (host, net.name, next((port.name for port in told.rdma_ports if port.netdev == net.name), net.name))
        for host, told in inventories.items()
        for net in told.net_devices
    ]
    spans = {Span(line.span) for line in lines if line.span != ROUNDS}
    return PortTable(
        host=tuple(host for host, _, _ in ports),
        name=tuple(name for _, _, name in ports),
        netdev=tuple(netdev for _, netdev, _ in ports),
        spans={span: _span([line for line in lines if line.span == span], ports) for span in spans},
        pairs=_pairs([line for line in lines if line.span == ROUNDS], ports, rounds, rank_hosts),
    )


def _span(lines: list[CountedLine], ports: list[tuple[str, str, str]]) -> SpanCounts:
    elapsed_ns = np.full(len(ports), np.nan)
    grown = {meaning: np.full(len(ports), np.nan) for line in lines for meaning in (*line.grown, *line.by_priority)}
    by_priority = {meaning: np.full((len(ports), 8), np.nan) for line in lines for meaning in line.by_priority}
    at_least = {meaning: np.zeros(len(ports), dtype=bool) for line in lines for meaning in line.at_least}
    unrecognised = []
    for line in lines:
        for index in _fitting(line, ports):
            elapsed_ns[index] = line.seconds * NS_PER_S
            for meaning, values in line.by_priority.items():
                by_priority[meaning][index] = values
                grown[meaning][index] = max(values) if meaning.endswith("-time") else sum(values)
            for meaning, value in line.grown.items():
                grown[meaning][index] = value
            for meaning in line.at_least:
                at_least[meaning][index] = True
            unrecognised += [(index, name, value) for name, value in line.unrecognised.items()]
    return SpanCounts(
        elapsed_ns=elapsed_ns, grown=grown, by_priority=by_priority, at_least=at_least, unrecognised=tuple(unrecognised)
    )


def _fitting(line: CountedLine, ports: list[tuple[str, str, str]]) -> list[int]:
    return [
        index
        for index, (host, _, name) in enumerate(ports)
        if (not line.on or host in line.on) and line.nic in (None, name)
    ]


def _pairs(
    lines: list[CountedLine],
    ports: list[tuple[str, str, str]],
    rounds: tuple[PairTable, ...],
    rank_hosts: tuple[str, ...],
) -> PairCounts:
    rows = [
        (table.stage, index, port, peer, sends or not table.directed)
        for table in rounds
        for index, (src, dst) in enumerate(zip(table.src.tolist(), table.dst.tolist(), strict=True))
        for own, peer, sends in ((rank_hosts[src], rank_hosts[dst], True), (rank_hosts[dst], rank_hosts[src], False))
        for port, (host, _, _) in enumerate(ports)
        if host == own
    ]
    grown = {meaning: np.full(len(rows), np.nan) for line in lines for meaning in line.grown}
    for line in lines:
        fitting = set(_fitting(line, ports))
        for row, (_, _, port, peer, _) in enumerate(rows):
            if port in fitting and (not line.peers or peer in line.peers):
                for meaning, value in line.grown.items():
                    grown[meaning][row] = value
    return PairCounts(
        stage=tuple(stage for stage, *_ in rows),
        round_index=np.array([index for _, index, *_ in rows], dtype=np.int64),
        port=np.array([port for _, _, port, _, _ in rows], dtype=np.int64),
        peer=tuple(peer for _, _, _, peer, _ in rows),
        is_sender=np.array([sends for *_, sends in rows], dtype=np.bool_),
        grown=grown,
    )
