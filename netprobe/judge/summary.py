"""The figures of a report: one row for each probe, scope and size."""

import math
from collections.abc import Callable

import numpy as np

from netprobe.detectors._gpu_copies import copies_of
from netprobe.detectors._gpus import HostGpu, host_gpus
from netprobe.detectors._rdma_ends import ETHERNET
from netprobe.locate.placement import Placement, placement_of
from netprobe.locate.roce import payload_bytes
from netprobe.model.collective import SHAPES
from netprobe.model.evidence import Evidence, GroupResult, NoiseTable, PairTable
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.limits import Limits
from netprobe.model.plan import DTYPE_BYTES
from netprobe.model.rdma import RdmaEndpoint
from netprobe.model.report import EndpointSummary, GpuSummary, GroupSummary, NoiseSummary, PairSummary
from netprobe.model.series import Metric
from netprobe.stats.distinct import count_distinct
from netprobe.stats.rates import algbw_gigabytes_per_s, busbw_gigabytes_per_s, window_gbps
from netprobe.units import NS_PER_S


def pair_summary(table: PairTable, placement: Placement) -> PairSummary:
    """Return the row of one table of pairs, which has at least one."""
    # Half of a round trip is the latency; a window is a window.
    halves = 2 if table.metric is Metric.ROUND_TRIP else 1
    typical_ns = float(np.median(table.p50_ns))
    worst = int(np.argmax(table.p50_ns))
    has_others = len(table.src) > 1
    worst_ns = float(table.p50_ns[worst])
    streams = table.metric is Metric.WINDOW
    return PairSummary(
        probe=table.probe,
        scope=table.scope,
        size_bytes=table.size_bytes,
        window=table.window,
        pairs=_distinct_pairs(table),
        samples=int(table.samples.sum()),
        typical_ns=typical_ns / halves,
        p99_ns=_scaled(_median_if_most_know(table.p99_ns), halves),
        max_ns=float(table.max_ns.max()) / halves,
        typical_gbps=window_gbps(table.bytes_per_iteration, typical_ns) if streams else None,
        typical_messages_per_s=_messages_per_s(table, typical_ns) if streams else None,
        worst_pair=(placement.name(int(table.src[worst])), placement.name(int(table.dst[worst])))
        if has_others
        else None,
        worst_ns=worst_ns / halves if has_others else None,
        worst_gbps=window_gbps(table.bytes_per_iteration, worst_ns) if has_others and streams else None,
        path=table.path,
        operation=table.operation,
        send_memory=table.send_memory,
        receive_memory=table.receive_memory,
        pipelined_gbps=_pipelined_gbps(table),
        mean_ns=_scaled(_mean_ns(table), halves),
        min_ns=_scaled(_finite(float(table.min_ns.min())), halves),
    )


def _distinct_pairs(table: PairTable) -> int:
    base = 1 + int(table.dst.max())
    return count_distinct(table.src * base + table.dst, below=(1 + int(table.src.max())) * base)


def _mean_ns(table: PairTable) -> float | None:
    samples = int(table.samples.sum())
    return _finite(float(table.total_ns.sum()) / samples) if samples else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pipelined_gbps(table: PairTable) -> float | None:
    if table.pipelined_ns is None:
        return None
    return window_gbps(table.bytes_per_iteration, float(np.nanmedian(table.pipelined_ns)))


def _median_if_most_know(p99_ns: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float | None:
    """Return the median of what is known; None if most pairs are too slow to have enough samples: it would flatter."""
    known = p99_ns[np.isfinite(p99_ns)]
    return float(np.median(known)) if 2 * len(known) > len(p99_ns) else None


def _scaled(value_ns: float | None, divisor: int) -> float | None:
    return None if value_ns is None else value_ns / divisor


def _messages_per_s(table: PairTable, window_ns: float) -> float | None:
    if table.size_bytes == 0 or window_ns <= 0:
        return None
    return table.bytes_per_iteration / table.size_bytes * NS_PER_S / window_ns


def group_summary(result: GroupResult) -> GroupSummary:
    """Return the row of one collective, in the terms of nccl-tests."""
    return GroupSummary(
        probe=result.probe,
        size_bytes=result.size_bytes,
        count=_elements(result),
        dtype=result.dtype,
        op=result.op,
        root=result.root,
        in_place=result.in_place,
        ranks=result.ranks,
        iterations=result.iterations,
        time_ns=result.mean_ns,
        p50_ns=result.p50_ns,
        p99_ns=result.p99_ns,
        max_ns=result.max_ns,
        algbw_gigabytes_per_s=algbw_gigabytes_per_s(result.probe, result.size_bytes, result.mean_ns, result.ranks),
        busbw_gigabytes_per_s=busbw_gigabytes_per_s(result.probe, result.size_bytes, result.mean_ns, result.ranks),
        wrong_bytes=result.wrong_bytes,
        path=result.path,
        memory=result.memory,
        pipelined_ns=result.pipelined_ns,
        pipelined_iterations=result.pipelined_iterations,
        pipelined_algbw_gigabytes_per_s=_pipelined(algbw_gigabytes_per_s, result),
        pipelined_busbw_gigabytes_per_s=_pipelined(busbw_gigabytes_per_s, result),
    )


def _pipelined(rate: Callable[[str, int, float, int], float | None], result: GroupResult) -> float | None:
    return (
        None
        if result.pipelined_ns is None
        else rate(result.probe, result.size_bytes, result.pipelined_ns, result.ranks)
    )


def _elements(result: GroupResult) -> int:
    """Return the count column of nccl-tests: one rank's share where the size is split among all."""
    shape = SHAPES.get(result.probe)
    parts = result.ranks if shape is not None and shape.chunked else 1
    return result.size_bytes // (DTYPE_BYTES.get(result.dtype, 1) * parts)


def noise_summary(noise: NoiseTable) -> NoiseSummary | None:
    """Return what hosts took away from ranks that only computed; None where that was not measured."""
    if not len(noise.rank):
        return None
    worst = int(np.argmax(noise.ratio))
    longest_ns = noise.detour_max_ns[np.isfinite(noise.detour_max_ns)]
    woken_ns = noise.wake_p50_ns[np.isfinite(noise.wake_p50_ns)]
    return NoiseSummary(
        ranks=len(noise.rank),
        lost_ratio=float(np.median(noise.ratio)),
        worst_lost_ratio=float(noise.ratio[worst]),
        worst_rank=int(noise.rank[worst]),
        worst_cpu=int(noise.cpu[worst]) if noise.cpu[worst] >= 0 else None,
        longest_ns=float(longest_ns.max()) if len(longest_ns) else None,
        wake_late_ns=float(np.median(woken_ns)) if len(woken_ns) else None,
    )


def endpoint_summary(endpoint: RdmaEndpoint, evidence: Evidence) -> EndpointSummary:
    """Return what a rank used for RDMA."""
    host = placement_of(evidence.ranks).host(endpoint.rank)
    return EndpointSummary(
        rank=endpoint.rank,
        host=host,
        device=endpoint.name,
        netdev=endpoint.netdev,
        gid_kind=endpoint.gid_kind,
        gid_index=endpoint.gid_index,
        gid=endpoint.gid,
        mtu_bytes=_packet_bytes(endpoint, host, evidence),
        why=endpoint.why,
    )


def gpu_summaries(evidence: Evidence, limits: Limits) -> tuple[GpuSummary, ...]:
    """Return the GPU that each rank used, and what it copied."""
    told = {(each.host, each.pci): each for each in host_gpus(evidence)}
    host_of = placement_of(evidence.ranks).host
    return tuple(
        _gpu_summary(each, host_of(each.rank), told.get((host_of(each.rank), each.pci)), evidence, limits)
        for each in evidence.gpus
    )


def _gpu_summary(gpu: GpuEndpoint, host: str, told: HostGpu | None, evidence: Evidence, limits: Limits) -> GpuSummary:
    copies, are_slow = copies_of(gpu, told, evidence, limits)
    return GpuSummary(
        rank=gpu.rank,
        host=host,
        ordinal=gpu.ordinal,
        pci=gpu.pci,
        name=gpu.name,
        nic=gpu.nic,
        why=gpu.why,
        takes_mpi=gpu.takes_mpi,
        driver=gpu.driver,
        copies=copies,
        copies_are_slow=are_slow,
    )


def _packet_bytes(endpoint: RdmaEndpoint, host: str, evidence: Evidence) -> int | None:
    if endpoint.link_layer != ETHERNET:
        return None  # the subnet manager's, whatever the interface has
    inventory = evidence.inventories.get(host)
    net = None if inventory is None else inventory.net_device(endpoint.netdev)
    own = None if net is None or net.mtu_bytes is None else payload_bytes(net.mtu_bytes)
    wished = [stage.rdma.path_mtu_bytes for stage in evidence.plan.stages if stage.rdma is not None]
    return own if own is None else min([own, *(each for each in wished if each is not None)])
