"""Copies of GPUs against what carries them: the PCI Express link, NVLinks, or the GPU's own memory.

Between two GPUs of a host NVLinks are taken where all active ones end at switches, for then all of them lead to every
other GPU. Where they lead to single GPUs it is not told how many of them end at the one that was copied to, and nothing
is expected. Without NVLinks the PCI Express link of the copying GPU bounds it: whether the host lets the two reach each
other straight is not known, so that this is shown, and not judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netprobe.detectors._gpus import HostGpu
from netprobe.locate.expected import is_gpu
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.gpu import CopyRate, CopyWay, GpuEndpoint
from netprobe.model.limits import Limits
from netprobe.stats.copy_rates import NvLinks, PcieLink, copy_expectation_gbps
from netprobe.units import gbps

BY_PCIE: Final = (CopyWay.TO_GPU, CopyWay.FROM_GPU)
SPEED_GTPS: Final = {3: 8.0, 4: 16.0, 5: 32.0}
"""Of each lane, by generation."""
TOUCHES: Final = 2  # a copy within a GPU reads its memory, and writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCopy:
    """A copy that is slower than what carries it."""

    rate: CopyRate
    expected_gbps: float
    """At most, of payload."""

    @property
    def ratio(self) -> float:
        """What is left of that."""
        return self.rate.gbps / self.expected_gbps


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyBound:
    """What a copy can reach at most."""

    gbps: float
    is_judged: bool
    """Whether a copy far below it is a fault."""


def slow_copies(gpu: HostGpu, ways: tuple[CopyWay, ...], evidence: Evidence, limits: Limits) -> tuple[SlowCopy, ...]:
    """Return the copies of a GPU these ways below copy_ratio of what carries them, the worst first."""
    placement = placement_of(evidence.ranks)
    found = [
        SlowCopy(rate=rate, expected_gbps=bound.gbps)
        for endpoint in evidence.gpus
        if endpoint.pci == gpu.pci and placement.host(endpoint.rank) == gpu.host
        for rate, bound in _bounded(endpoint, gpu, evidence)
        if rate.way in ways and bound.is_judged and rate.gbps < limits.copy_ratio * bound.gbps
    ]
    return tuple(sorted(found, key=lambda each: each.ratio))


def copies_of(
    endpoint: GpuEndpoint, gpu: HostGpu | None, evidence: Evidence, limits: Limits
) -> tuple[tuple[CopyRate, ...], bool]:
    """Return a rank's copies with what they can reach, and whether one of them is judged and too slow.

    ``gpu``: what was told of the GPU while stages ran; None where nothing was.
    """
    bounds = {rate.way: bound for rate, bound in _bounded(endpoint, gpu, evidence)}
    is_low = any(
        rate.way in bounds and bounds[rate.way].is_judged and rate.gbps < limits.copy_ratio * bounds[rate.way].gbps
        for rate in endpoint.copies
    )
    return tuple(
        rate if rate.way not in bounds else _with_bound(rate, bounds[rate.way]) for rate in endpoint.copies
    ), is_low


def _with_bound(rate: CopyRate, bound: CopyBound) -> CopyRate:
    return CopyRate(way=rate.way, size_bytes=rate.size_bytes, gbps=rate.gbps, expected_gbps=bound.gbps)


def _bounded(endpoint: GpuEndpoint, gpu: HostGpu | None, evidence: Evidence) -> Iterator[tuple[CopyRate, CopyBound]]:
    for rate in endpoint.copies:
        bound = _bound(rate.way, endpoint, gpu, evidence)
        if bound is not None:
            yield rate, bound


def _bound(way: CopyWay, endpoint: GpuEndpoint, gpu: HostGpu | None, evidence: Evidence) -> CopyBound | None:
    """Return what a copy of 64 MiB can reach; None where that is not known."""
    if way is CopyWay.WITHIN_GPU:
        return _judged(_of_memory(endpoint.name, evidence))
    if gpu is None:
        return None
    if way in BY_PCIE:
        return _judged(_of_pcie(gpu))
    links = max((each.links_active_least or 0 for each in gpu.windows), default=0)
    if not links:
        return _judged(_of_pcie(gpu), is_judged=False)
    return _judged(_of_nvlinks(gpu))


def _judged(bound_gbps: float | None, *, is_judged: bool = True) -> CopyBound | None:
    return None if bound_gbps is None else CopyBound(gbps=bound_gbps, is_judged=is_judged)


def _of_pcie(gpu: HostGpu) -> float | None:
    """Return what the GPU and its slot could carry together, as NVML tells that."""
    generation = max((each.pcie_generation_most or 0 for each in gpu.windows), default=0)
    width = max((each.pcie_width_most or 0 for each in gpu.windows), default=0)
    return copy_expectation_gbps(PcieLink(speed_gtps=SPEED_GTPS.get(generation), width=width or None))


def _of_nvlinks(gpu: HostGpu) -> float | None:
    """Return what the links carry that it has: how many of them are up is another question."""
    told = [each for each in gpu.windows if each.links_active_least]
    if any(each.links_switched_least != each.links_active_least for each in told):
        return None
    generations = {each.link_generation for each in told}
    generation = generations.pop() if len(generations) == 1 else None
    return copy_expectation_gbps(
        NvLinks(generation=generation, links=min(each.links_active_least or 0 for each in told))
    )


def _of_memory(name: str, evidence: Evidence) -> float | None:
    """Return half of what its memory does, as its maker publishes it; a site's figure goes first."""
    for entry in evidence.expectations:
        if entry.memory_gigabytes_per_s is not None and entry.gpu is not None and is_gpu(entry.gpu, name):
            return gbps(entry.memory_gigabytes_per_s / TOUCHES, 1.0)
    return None
