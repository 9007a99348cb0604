"""What it costs a host that a GPU's memory is sent from, or received into, where both ends tried both kinds of memory.

The other end of such a pair uses its host memory, and the same two ports carry the same bytes host to host: what is
missing is lost between this end's GPU and its NIC, whoever the other end is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.layers import HOST, Layer, LayerTable, medians_by
from netprobe.model.plan import Memory, Path

BoolArray = NDArray[np.bool_]

FROM_GPU: Final = (Memory.DEVICE, Memory.HOST)
INTO_GPU: Final = (Memory.HOST, Memory.DEVICE)
BETWEEN_GPUS: Final = (Memory.DEVICE, Memory.DEVICE)
COMBINATIONS: Final = (HOST, FROM_GPU, INTO_GPU, BETWEEN_GPUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCost:
    """What one rank keeps of its rate when its GPU's memory is used; rates are medians over its pairs."""

    rank: int
    sends: bool
    """Whether the GPU's memory was sent from; else it was received into."""
    host_gbps: float
    gpu_gbps: float
    ratio: float
    """Median over pairs of their own ratios."""
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPair:
    """What two ranks keep of their rate from GPU to GPU."""

    src: int
    dst: int
    host_gbps: float
    gpu_gbps: float

    @property
    def ratio(self) -> float:
        """The share that is left."""
        return self.gpu_gbps / self.host_gbps


def measured_combinations(table: LayerTable) -> tuple[tuple[Memory, Memory], ...]:
    """Return which of the four combinations verbs carried with pairs that have been measured host to host as well."""
    host = table.layer(Path.VERBS, HOST)
    if host is None:
        return ()
    layers = ((each, table.layer(Path.VERBS, each)) for each in COMBINATIONS)
    return tuple(each for each, layer in layers if layer is not None and np.isfinite(layer.speed / host.speed).any())


def gpu_costs(table: LayerTable, able: BoolArray) -> tuple[GpuCost, ...]:
    """Return the costs of ranks on the pairs that may be judged, senders first."""
    host = table.layer(Path.VERBS, HOST)
    if host is None:
        return ()
    sides = ((True, FROM_GPU), (False, INTO_GPU))
    layers = ((sends, table.layer(Path.VERBS, memories)) for sends, memories in sides)
    return tuple(each for sends, gpu in layers if gpu for each in _costs(table, host, gpu, able, sends=sends))


def gpu_pairs(table: LayerTable, able: BoolArray) -> tuple[GpuPair, ...]:
    """Return what pairs that may be judged did from GPU to GPU."""
    host, gpu = table.layer(Path.VERBS, HOST), table.layer(Path.VERBS, BETWEEN_GPUS)
    if host is None or gpu is None:
        return ()
    return tuple(
        GpuPair(
            src=int(table.src[row]),
            dst=int(table.dst[row]),
            host_gbps=float(host.speed[row]),
            gpu_gbps=float(gpu.speed[row]),
        )
        for row in np.flatnonzero(able & np.isfinite(gpu.speed / host.speed))
    )


def _costs(table: LayerTable, host: Layer, gpu: Layer, able: BoolArray, *, sends: bool) -> Iterator[GpuCost]:
    kept = able & np.isfinite(gpu.speed / host.speed)
    ends = (table.src if sends else table.dst)[kept]
    ranks, ratios = medians_by(ends, (gpu.speed / host.speed)[kept])
    _, of_host = medians_by(ends, host.speed[kept])
    _, of_gpu = medians_by(ends, gpu.speed[kept])
    _, pairs = np.unique(ends, return_counts=True)
    for index, rank in enumerate(ranks.tolist()):
        yield GpuCost(
            rank=rank,
            sends=sends,
            host_gbps=float(of_host[index]),
            gpu_gbps=float(of_gpu[index]),
            ratio=float(ratios[index]),
            pairs=int(pairs[index]),
        )
