"""What NICs count while a screening runs, on a fabric that does not exist: laid over the run that it leaves behind.

Each host has one 400G port with the counters of mlx5, PFC on priority 3 and DCQCN, and all were told to stop now and
then. Does not handle: queues. A fault is no more than what it leaves behind in the counters.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.catalogue.keys import CounterKey, Origin
from netprobe.model.counters import IDLE, CounterWindow
from netprobe.model.histogram import Histogram, bin_of
from netprobe.model.inventory import (
    PRIORITIES,
    EcnSettings,
    Gid,
    HostInventory,
    NetDevice,
    PciDevice,
    QosSettings,
    RdmaPort,
)
from netprobe.model.plan import Scope, Stage
from netprobe.model.run import StageOutcome
from netprobe.model.series import Metric, Phase, Series
from netprobe.store.counters_table import counters_frame_of
from netprobe.store.reader import Run
from netprobe.store.series_table import frame_of
from netprobe.units import NS_PER_S

if TYPE_CHECKING:
    import polars as pl

DEVICE: Final = "mlx5_0"
NETDEV: Final = "eth0"
LOSSLESS: Final = 3
DSCP: Final = 26
PACKET_BYTES: Final = 4096
WORD_BYTES: Final = 4  # port_xmit_data counts words
LOST_EVERY: Final = 20_000  # packets, where nothing stops a sender in time
DROPPED: Final = 40  # packets of a stage, by a leaf that a storm keeps full
MARKING: Final = ("np_ecn_marked_roce_packets", "np_cnp_sent", "rp_cnp_handled")
COLLECTIVE: Final = "alltoall"
ITERATIONS: Final = 100
STAGE_NS: Final = 10 * NS_PER_S
IDLE_NS: Final = 2 * NS_PER_S

RDMA_NAMES: Final = (
    "out_of_sequence", "packet_seq_err", "implied_nak_seq_err", "local_ack_timeout_err", "duplicate_request",
    "roce_adp_retrans", "rnr_nak_retry_err", "out_of_buffer", "req_transport_retries_exceeded",
    "rx_icrc_encapsulated", "np_ecn_marked_roce_packets", "np_cnp_sent", "rp_cnp_handled", "rp_cnp_ignored",
    "port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets",
)  # fmt: skip
ETHTOOL_NAMES: Final = (
    "rx_crc_errors_phy", "rx_pcs_symbol_err_phy", "link_down_events_phy", "rx_discards_phy", "tx_discards_phy",
    "outbound_pci_stalled_wr_events", "tx_pause_storm_warning_events", "tx_pause_storm_error_events",
    *(f"{way}_prio{priority}_{what}" for way in ("rx", "tx") for priority in (0, LOSSLESS)
      for what in ("bytes", "packets")),
    *(f"{way}_prio{LOSSLESS}_{what}" for way in ("rx", "tx")
      for what in ("pause", "pause_duration", "pause_transition")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NicFaults:
    """What is wrong with hosts (by number); empty: nothing."""

    pfc_missing: frozenset[int] = frozenset()
    """Their leaf's port does not stop them, and drops some of what they send when all send at once."""
    pauses_idle: frozenset[int] = frozenset()
    """Their NIC tells the leaf to stop, whether anything is sent or not; the leaf, full, stops everybody else, marks
    nothing, and drops what waits for too long."""
    loses_receiving: frozenset[int] = frozenset()
    """Bits flip on the cable from the leaf to them."""
    narrow_pcie: frozenset[int] = frozenset()
    """Eight lanes of sixteen: they cannot take what the wire brings, and say so."""


def with_nics(run: Run, faults: NicFaults | None = None) -> Run:
    """Return a screening's run as it is when the hosts have NICs that count."""
    import polars as pl

    wrong = faults or NicFaults()
    hosts = tuple(dict.fromkeys(rank.host for rank in run.header.ranks))
    numbers = {host: number for number, host in enumerate(hosts)}
    host_of = {rank.rank: numbers[rank.host] for rank in run.header.ranks}
    first_rank = {numbers[rank.host]: rank.rank for rank in reversed(run.header.ranks)}
    windows = tuple(_windows(run.series, host_of, first_rank, wrong))
    return replace(
        _with_collective(run),
        counters=pl.concat([run.counters, counters_frame_of(windows)]),
        inventories=tuple(_inventory(host, number, wrong) for host, number in numbers.items()),
    )


def _windows(
    series: "pl.DataFrame", host_of: Mapping[int, int], first_rank: Mapping[int, int], faults: NicFaults
) -> Iterator[CounterWindow]:
    totals: dict[tuple[str, int], Counter[str]] = {}
    for (stage, index, host), grown in _rounds(series, host_of, faults).items():
        totals.setdefault((stage, host), Counter()).update(grown)
        totals.setdefault((COLLECTIVE, host), Counter()).update(_shared_load(host, grown, faults))
        of_rdma = {name: grown[name] for name in RDMA_NAMES}
        yield _window(stage, index, first_rank[host], NS_PER_S, _named(of_rdma))
    for (stage, host), grown in totals.items():
        grown.update(_flow_control(host, faults, STAGE_NS))
        if faults.pauses_idle:
            grown.update({"packet_seq_err": DROPPED, "roce_adp_retrans": DROPPED})
            grown -= Counter({name: grown[name] for name in MARKING})
        yield _window(stage, None, first_rank[host], STAGE_NS, _named(_with_zeros(grown)))
    for span in IDLE:
        for host, rank in first_rank.items():
            idle = _with_zeros(_storm(host, faults, IDLE_NS))
            yield _window(span, None, rank, IDLE_NS, _named(idle))


def _rounds(
    series: "pl.DataFrame", host_of: Mapping[int, int], faults: NicFaults
) -> dict[tuple[str, int, int], Counter[str]]:
    """Return what RDMA counters of each host grew by in each round, by (stage, round, host)."""
    rounds: dict[tuple[str, int, int], Counter[str]] = {}
    columns = ("stage", "round_index", "src", "dst", "bytes_per_iteration", "iterations")
    for stage, index, src, dst, size_bytes, iterations in series.select(columns).iter_rows():
        sender, receiver = host_of[src], host_of[dst]
        sends = rounds.setdefault((stage, index, sender), Counter())
        takes = rounds.setdefault((stage, index, receiver), Counter())
        packets = size_bytes * iterations // PACKET_BYTES
        _count_traffic(sends, takes, size_bytes * iterations, packets)
        if receiver in faults.pauses_idle:
            sends.update({"local_ack_timeout_err": 1})
        if receiver in faults.loses_receiving:
            lost = -(-packets // LOST_EVERY)
            sends.update({"packet_seq_err": lost, "roce_adp_retrans": lost})
            takes.update({"out_of_sequence": lost})
            takes.update({"rx_crc_errors_phy": lost, "rx_pcs_symbol_err_phy": lost})
    return rounds


def _shared_load(host: int, alone: Counter[str], faults: NicFaults) -> Counter[str]:
    """Return what a host counts when all send to all: what it counts alone, and what its leaf drops unasked."""
    grown = Counter(alone)
    if host in faults.pfc_missing:
        lost = -(-grown["port_xmit_packets"] // LOST_EVERY)
        grown.update({"packet_seq_err": lost, "roce_adp_retrans": lost})
    return grown


def _with_collective(run: Run) -> Run:
    """Return the run with an all-to-all at its end, as long as all pairs together."""
    import polars as pl

    stage = Stage(id=COLLECTIVE, probe="alltoall", scope=Scope.WORLD, sizes_bytes=(8 << 20,), dtype="uint8")
    everyone = tuple(rank.rank for rank in run.header.ranks)
    outcome = StageOutcome(stage=COLLECTIVE, rounds=1, planned_pairs=(), elapsed_ns=STAGE_NS, ranks=everyone)
    took_ns = 2 * stage.sizes_bytes[0] // PACKET_BYTES
    operation = Series(
        stage=COLLECTIVE, probe="alltoall", metric=Metric.OPERATION, phase=Phase.TIMED, round_index=0, src=0, dst=None,
        size_bytes=stage.sizes_bytes[0], bytes_per_iteration=stage.sizes_bytes[0], window=1, dtype="uint8", op=None,
        root=None, in_place=False, iterations=ITERATIONS, total_ns=ITERATIONS * took_ns, min_ns=took_ns,
        max_ns=took_ns, histogram=Histogram(bins=(int(bin_of(np.array([took_ns]))[0]),), counts=(ITERATIONS,)),
        slowest=(), faults=(), checked_iterations=1,
    )  # fmt: skip
    header = replace(
        run.header,
        plan=replace(run.header.plan, stages=(*run.header.plan.stages, stage)),
        outcomes=(*run.header.outcomes, outcome),
    )
    return replace(run, header=header, series=pl.concat([run.series, frame_of((operation,))]))


def _count_traffic(sends: Counter[str], takes: Counter[str], size_bytes: int, packets: int) -> None:
    marked = packets // 1000
    sends.update({"port_xmit_data": size_bytes // WORD_BYTES, "port_xmit_packets": packets})
    sends.update({f"tx_prio{LOSSLESS}_bytes": size_bytes, f"tx_prio{LOSSLESS}_packets": packets})
    sends.update({"rp_cnp_handled": marked // 10})
    takes.update({"port_rcv_data": size_bytes // WORD_BYTES, "port_rcv_packets": packets})
    takes.update({f"rx_prio{LOSSLESS}_bytes": size_bytes, f"rx_prio{LOSSLESS}_packets": packets})
    takes.update({"np_ecn_marked_roce_packets": marked, "np_cnp_sent": marked // 10})


def _storm(host: int, faults: NicFaults, elapsed_ns: int) -> dict[str, int]:
    """Return what a NIC counts that tells the leaf to stop all the time, and what all others count then."""
    if host in faults.pauses_idle:
        return _pause_sent(elapsed_ns)
    is_stopped = faults.pauses_idle and host not in faults.pfc_missing
    return _pause("rx", elapsed_ns * 4 // 5) if is_stopped else {}


def _flow_control(host: int, faults: NicFaults, elapsed_ns: int) -> dict[str, int]:
    """Return the pause frames of a stage: everybody is told to stop now and then, but for whom nobody tells."""
    told = {} if host in faults.pfc_missing else _pause("rx", elapsed_ns // 2000)
    if host in faults.narrow_pcie:
        return {**told, **_pause("tx", elapsed_ns // 5), "outbound_pci_stalled_wr_events": elapsed_ns // NS_PER_S}
    return {**told, **_storm(host, faults, elapsed_ns)}


def _pause_sent(elapsed_ns: int) -> dict[str, int]:
    """Return what a NIC that always tells to stop counts: no resumption in between."""
    return {**_pause("tx", elapsed_ns), f"tx_prio{LOSSLESS}_pause_transition": 0, "tx_pause_storm_warning_events": 1}


def _pause(way: str, stopped_ns: int) -> dict[str, int]:
    stopped_us = stopped_ns // 1000
    prefix = f"{way}_prio{LOSSLESS}_pause"
    return {prefix: stopped_us // 5, f"{prefix}_duration": stopped_us, f"{prefix}_transition": stopped_us // 10}


def _with_zeros(grown: Mapping[str, int]) -> dict[str, int]:
    return {name: grown.get(name, 0) for name in (*RDMA_NAMES, *ETHTOOL_NAMES)}


def _named(grown: Mapping[str, int]) -> dict[str, int]:
    return {str(_key(name)): growth for name, growth in grown.items()}


def _key(name: str) -> CounterKey:
    if name in RDMA_NAMES:
        return CounterKey(origin=Origin.RDMA, device=DEVICE, port=1, name=name)
    return CounterKey(origin=Origin.ETHTOOL, device=NETDEV, port=1, name=name)


def _window(stage: str, index: int | None, rank: int, elapsed_ns: int, grown: Mapping[str, int]) -> CounterWindow:
    return CounterWindow(stage=stage, round_index=index, rank=rank, elapsed_ns=elapsed_ns, grown=grown)


def _inventory(host: str, number: int, faults: NicFaults) -> HostInventory:
    address = f"10.1.{number // 250}.{number % 250 + 1}"
    pci = PciDevice(
        address="0000:17:00.0", kind="nic", vendor="15b3", device="1021", numa_node=0, speed_gtps=32.0,
        speed_most_gtps=32.0, width=8 if number in faults.narrow_pcie else 16, width_most=16,
    )  # fmt: skip
    gid = Gid(index=3, address=f"0000:0000:0000:0000:0000:ffff:{_hexadecimal(address)}", kind="RoCE v2", netdev=NETDEV)
    port = RdmaPort(
        device=DEVICE, port=1, link_layer="Ethernet", state="ACTIVE", physical_state="LinkUp", rate_gbps=400.0,
        driver="mlx5_core", netdev=NETDEV, pci=pci.address, firmware="28.40.1000", board="MT_0000000838",
        model="MT4129", node_guid=None, gids=(gid,), traffic_class=DSCP << 2,
    )  # fmt: skip
    qos = QosSettings(
        pfc_enabled=tuple(priority == LOSSLESS for priority in range(PRIORITIES)),
        trust="dscp",
        dscp_to_priority=((DSCP, LOSSLESS),),
    )
    everywhere = (True,) * PRIORITIES
    net = NetDevice(
        name=NETDEV, state="up", mtu_bytes=9000, speed_gbps=400.0, driver="mlx5_core", pci=pci.address,
        addresses=(f"{address}/16",), fec="RS", qos=qos,
        ecn=EcnSettings(notification_point=everywhere, reaction_point=everywhere, cnp_dscp=48),
    )  # fmt: skip
    return HostInventory(host=host, rdma_ports=(port,), net_devices=(net,), pci_devices=(pci,))


def _hexadecimal(address: str) -> str:
    first, second, third, fourth = (int(part) for part in address.split("."))
    return f"{first:02x}{second:02x}:{third:02x}{fourth:02x}"
